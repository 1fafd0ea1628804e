"""Recompute: one committed batch is computed again from the source and replaces its damaged part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.checkpoint.parts import parts
from engine.errors import CheckpointCorrupt, SourceChanged, UsageError
from engine.runs.session import Session
from engine.sources.base import Position, SeekableFetcher

if TYPE_CHECKING:
    import polars as pl

    from engine.checkpoint.parts.manifest import Manifest
    from engine.checkpoint.store import CheckpointStore
    from engine.events import Listener
    from engine.runs.plan import Plan
    from engine.sources.base import BatchFetcher
    from engine.worker.signals import StopSignal


def recompute(plan: Plan, store: CheckpointStore, batch_id: int, *, stop: StopSignal, emit: Listener) -> None:
    """Fetch the batch's rows again, take them through the steps, and put the result in its place in one transaction.

    Raises:
        UsageError: no such batch is committed.
        PipelineChanged: its results would differ from those that were committed.
        SourceChanged: the source gives other rows than were committed, or the steps end in another state.
        StepError, SourceError, CheckpointError: what ended it; nothing is changed.
    """
    found = {manifest.batch_id: manifest for manifest in store.batches(batch_id - 1, batch_id)}
    manifest, before = found.get(batch_id), found.get(batch_id - 1)
    if manifest is None:
        raise UsageError(
            f"there is no committed batch {batch_id}", hint=f"They are numbered from 0 to {store.next_batch_id - 1}."
        )
    position = Position(batch_id, manifest.start_row, before.cursor if before else None)
    # A seekable source reads from any cursor with any size; a function finds its rows by the size of all.
    size = manifest.rows_in if isinstance(plan.batch_fetcher, SeekableFetcher) else plan.batch_size
    with Session(plan, store, stop=stop, emit=emit) as session:
        recipe = session.recipe(
            position, run_id=manifest.run_id, pinned=_schema_besides(store, batch_id), batch_size=size
        )
        session.open_source(position)
        session.set_up_steps(recipe.states, batch_id)
        done = recipe.work(stop=stop, emit=session.emit)(batch_id)
        store.replace(manifest, replace(_same(manifest, done, plan.batch_fetcher), epoch=manifest.epoch))


def _same(manifest: Manifest, done: Manifest | None, fetcher: BatchFetcher) -> Manifest:
    """Return the batch that was computed again. Raises `SourceChanged` if it isn't the one that was committed."""
    was = (manifest.start_row, manifest.end_row, manifest.states)
    if done is None or (done.start_row, done.end_row, done.states) != was or not _same_place(manifest, done, fetcher):
        raise SourceChanged(
            f"batch {manifest.batch_id} was committed with rows {manifest.start_row:,} to {manifest.end_row:,}, and "
            "gives a different result now"
        )
    return done


def _same_place(one: Manifest, other: Manifest, fetcher: BatchFetcher) -> bool:
    if isinstance(fetcher, SeekableFetcher) and one.cursor is not None and other.cursor is not None:
        return fetcher.same_place(one.cursor, other.cursor)
    return one.cursor == other.cursor


def _schema_besides(store: CheckpointStore, batch_id: int) -> pl.Schema | None:
    """Return the columns of the results by a part other than this batch's, None if there is no other batch."""
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
