"""One run over an open checkpoint: from the resume rules to the record of how it ended."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import FetchFailed, PipelineError
from engine.events import RunStarted, StopWasRequested, Warned
from engine.runs import fingerprint, resume_rules
from engine.runs.batch_loop import Runner
from engine.runs.delivery import Deliveries
from engine.runs.failure import RetryCount, failed_event, failure_record, note, now
from engine.runs.lifecycle import close, set_up, tear_down
from engine.runs.plan import source_name
from engine.sources import advice
from engine.sources.base import SeekableFetcher
from engine.state import RunState
from engine.worker.recipe import Recipe
from engine.worker.signals import Abandoned
from engine.worker.work import PartTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.checkpoint.store import CheckpointStore
    from engine.events import Listener
    from engine.runs.plan import Plan
    from engine.runs.resume_rules import ResumePoint
    from engine.sources.base import BatchFetcher, SourceSize
    from engine.text.json_values import Json
    from engine.worker.signals import StopSignal
    from engine.worker.work import BatchWork


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: `state` is finished, incomplete, resumable or failed; `error` is what to raise then."""

    run_id: int
    state: RunState
    error: BaseException | None = None


def run(plan: Plan, store: CheckpointStore, *, stop: StopSignal, emit: Listener, accept_changes: bool) -> Ended:
    """Run the plan from the frontier on, and record in the catalog how it went.

    Raises:
        PipelineChanged, SourceChanged, SourceNotFound: nothing was begun and nothing recorded.
    """
    fetcher = plan.fetcher
    last = store.last_manifest()
    current = fingerprint.description(plan.steps, fetcher, plan.batch_size)
    changed = resume_rules.refuse_changes(
        store.history.pipeline(),
        current,
        seekable=isinstance(fetcher, SeekableFetcher),
        accept=accept_changes,
        started=last is not None,
    )
    point = resume_rules.resume_point(fetcher, plan.batch_size, last)
    run_id = None
    try:
        with ExitStack() as cleanup:
            plan.executor.prepare(plan.steps, fetcher)
            size = _open(fetcher, point, emit, cleanup)
            run_id = store.history.begin_run(batch_size=plan.batch_size, pipeline=current, changed=changed)
            emit(_started(plan, store, run_id, point, size))
            if stop.asked:
                emit(StopWasRequested(stop.now))  # asked before anybody could know that a run begins
            for notice in (*store.notices, *advice.on(fetcher)):
                emit(Warned(notice))
            cleanup.callback(store.discard_uncommitted)
            return _run(plan, store, run_id, point, current, cleanup=cleanup, stop=stop, emit=RetryCount(emit))
    except BaseException as error:
        if run_id is None:
            raise
        return _ended_by(error, run_id, emit)  # a second Ctrl-C, while the end was being recorded


def _run(
    plan: Plan,
    store: CheckpointStore,
    run_id: int,
    point: ResumePoint,
    description: str,
    *,
    cleanup: ExitStack,
    stop: StopSignal,
    emit: RetryCount,
) -> Ended:
    try:
        states = _states(store, point)
        for step in plan.steps:
            cleanup.callback(tear_down, step, emit)
            set_up(step, states, store.next_batch_id)
        deliveries = Deliveries(plan.sinks, store, stop=stop, emit=emit)
        cleanup.callback(deliveries.close)
        deliveries.catch_up()
        work = _work(plan, store, run_id, point, description, states=states, stop=stop, emit=emit)
        Runner(
            store,
            plan.executor,
            stop=stop,
            emit=emit,
            first_batch_id=point.position.next_batch_id,
            replaces_last=point.replaces_last,
            quarantine=plan.limits,
            quarantined=_quarantined(store, point),
            deliver=deliveries.deliver if plan.sinks else None,
        ).run(work)
        state = RunState.at_end(store.rows_quarantined())
    except Abandoned:
        note(store, run_id, RunState.RESUMABLE, emit, retries=emit.retries)
        return Ended(run_id, RunState.RESUMABLE)
    except KeyboardInterrupt as error:
        note(store, run_id, RunState.RESUMABLE, emit, retries=emit.retries)
        return _ended_by(error, run_id, emit)
    except BaseException as error:  # noqa: BLE001 (a PanicException is no Exception; `run` of the pipeline raises it)
        failure = failure_record(run_id, error, store.next_batch_id, plan.steps)
        emit(failed_event(failure))
        note(store, run_id, RunState.FAILED, emit, failure=failure, retries=emit.retries)
        return Ended(run_id, RunState.FAILED, error)
    note(store, run_id, state, emit, retries=emit.retries)
    return Ended(run_id, state)


def _ended_by(error: BaseException, run_id: int, emit: Listener) -> Ended:
    if not isinstance(error, KeyboardInterrupt):
        return Ended(run_id, RunState.FAILED, error)
    emit(StopWasRequested(now=True))
    return Ended(run_id, RunState.RESUMABLE, error)


def _open(fetcher: BatchFetcher, point: ResumePoint, emit: Listener, cleanup: ExitStack) -> SourceSize | None:
    """Open the source where the run goes on, and return its size if it is known."""
    if not isinstance(fetcher, SeekableFetcher):
        return None
    cleanup.callback(close, fetcher, emit)
    try:
        fetcher.open(point.position)
        return fetcher.size()
    except PipelineError:
        raise
    except Exception as error:
        raise FetchFailed(point.position.next_batch_id, error) from error


def _started(
    plan: Plan, store: CheckpointStore, run_id: int, point: ResumePoint, size: SourceSize | None
) -> RunStarted:
    return RunStarted(
        run_id=run_id,
        at=now(),
        pipeline=plan.name,
        source=source_name(plan.fetcher),
        checkpoint_dir=str(store.folder),
        steps=tuple(step.name for step in plan.steps),
        batch_size=plan.batch_size,
        workers=plan.executor.workers,
        window=plan.executor.window,
        next_batch_id=point.position.next_batch_id,
        next_row=point.position.next_row,
        source_rows=size.rows if size else None,
        source_rows_exact=bool(size and size.exact),
        sinks=tuple(sink.name for sink in plan.sinks),
        rows_quarantined=_quarantined(store, point),
    )


def _quarantined(store: CheckpointStore, point: ResumePoint) -> int:
    """Return how many rows are in quarantine, but for those of a last batch that is done again."""
    last = store.last_manifest() if point.replaces_last else None
    return store.rows_quarantined() - (last.rows_quarantined if last else 0)


def _states(store: CheckpointStore, point: ResumePoint) -> Mapping[str, Json]:
    """Return the snapshots of the stateful steps after the last batch that stays."""
    before = point.position.next_batch_id - 1
    manifests = store.batches(before, before)
    return (manifests[0].states or {}) if manifests else {}


def _work(
    plan: Plan,
    store: CheckpointStore,
    run_id: int,
    point: ResumePoint,
    description: str,
    *,
    states: Mapping[str, Json],
    stop: StopSignal,
    emit: Listener,
) -> BatchWork:
    first = point.position.next_batch_id
    target = PartTarget(
        layout=store.layout,
        part_format=plan.part_format,
        run_id=run_id,
        epoch=store.epoch,
        run_key=f"{store.key}-{store.epoch}",
        checkpoint=json.dumps({"key": store.key, "pipeline": description}),
    )
    recipe = Recipe(
        steps=plan.steps,
        fetcher=plan.fetcher,
        batch_size=plan.batch_size,
        position=point.position,
        retry=plan.retry,
        quarantine=plan.quarantine,
        states=states,
        pinned=None if first == 0 else store.pinned_schema(),
        target=target,
    )
    return recipe.work(stop=stop, emit=emit)
