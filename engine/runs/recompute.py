"""One committed batch computed again, from the source, in the place of its damaged part; the others stay."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.checkpoint.parts import parts
from engine.errors import CheckpointCorrupt, SourceChanged, UsageError
from engine.runs import fingerprint, resume_rules
from engine.runs.lifecycle import close, set_up, tear_down
from engine.sources.base import Position, SeekableFetcher
from engine.worker.recipe import Recipe
from engine.worker.work import PartTarget

if TYPE_CHECKING:
    import polars as pl

    from engine.checkpoint.parts.manifest import Manifest
    from engine.checkpoint.store import CheckpointStore
    from engine.events import Listener
    from engine.runs.plan import Plan
    from engine.worker.signals import StopSignal


def recompute(plan: Plan, store: CheckpointStore, batch_id: int, *, stop: StopSignal, emit: Listener) -> None:
    """Fetch the batch's rows again, take them through the steps, and put the result in its place in one transaction.

    Raises:
        UsageError: no such batch is committed.
        PipelineChanged: it would come out otherwise than it did.
        SourceChanged: the source gives other rows than were committed, or the steps end in another state.
        StepError, SourceError, CheckpointError: what ended it; nothing is changed.
    """
    manifest = next(iter(store.batches(batch_id, batch_id)), None)
    if manifest is None:
        raise UsageError(
            f"there is no committed batch {batch_id}", hint=f"They are numbered from 0 to {store.next_batch_id - 1}."
        )
    seekable = isinstance(plan.fetcher, SeekableFetcher)
    current = fingerprint.description(plan.steps, plan.fetcher, plan.batch_size)
    resume_rules.refuse_changes(store.history.pipeline(), current, seekable=seekable, accept=False, started=True)
    before = next(iter(store.batches(batch_id - 1, batch_id - 1)), None)
    position = Position(batch_id, manifest.start_row, before.cursor if before else None)
    states = (before.states or {}) if before else {}
    target = PartTarget(
        store.layout,
        plan.part_format,
        manifest.run_id,
        store.epoch,
        f"{store.key}-{store.epoch}",
        json.dumps({"key": store.key, "pipeline": current}),
    )
    # A seekable source goes on from any cursor with any size; a function finds its rows by the size of all.
    size = manifest.rows_in if seekable else plan.batch_size
    schema = _schema_besides(store, batch_id)
    recipe = Recipe(plan.steps, plan.fetcher, size, position, plan.retry, plan.quarantine, states, schema, target)
    with ExitStack() as cleanup:
        cleanup.callback(store.discard_uncommitted)
        if isinstance(plan.fetcher, SeekableFetcher):
            cleanup.callback(close, plan.fetcher, emit)
            plan.fetcher.open(position)
        for step in plan.steps:
            cleanup.callback(tear_down, step, emit)
            set_up(step, states, batch_id)
        done = recipe.work(stop=stop, emit=emit)(batch_id)
        _refuse_another(manifest, done)
        if done is not None:
            store.replace(manifest, replace(done, epoch=manifest.epoch))


def _refuse_another(manifest: Manifest, done: Manifest | None) -> None:
    was = (manifest.start_row, manifest.end_row, manifest.cursor, manifest.states)
    if done is None or (done.start_row, done.end_row, done.cursor, done.states) != was:
        raise SourceChanged(
            f"batch {manifest.batch_id} was committed with rows {manifest.start_row:,} to {manifest.end_row:,}, and "
            "comes out otherwise now"
        )


def _schema_besides(store: CheckpointStore, batch_id: int) -> pl.Schema | None:
    """Return the columns of the results by a part other than this batch's, None when there is none to tell."""
    import polars as pl

    for other in range(min(store.next_batch_id, batch_id + 2)):
        if other != batch_id:
            try:
                return parts.read_schema(store.layout.part(other))
            except (pl.exceptions.PolarsError, OSError):
                continue
    if store.next_batch_id > 1:
        raise CheckpointCorrupt(store.layout.results, "no part near it can tell the columns of the results")
    return None
