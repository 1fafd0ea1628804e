"""One run over an open checkpoint: from the resume rules to the record of how it ended."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.errors import CheckpointError, describe
from engine.events import BatchFailed, RunStarted, StopWasRequested, Warned
from engine.runs.batch_loop import BatchLoop
from engine.runs.failure import failure_record, now
from engine.runs.resume_rules import resume_point
from engine.runs.session import Session
from engine.sources import advice
from engine.sources.base import SeekableFetcher
from engine.sources.memory import default_batch_bytes
from engine.state import RunState
from engine.text.masking import mask_secrets
from engine.worker.signals import Abandoned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.checkpoint.store import CheckpointStore
    from engine.events import Listener
    from engine.executors.base import Executor
    from engine.runs.plan import Plan
    from engine.runs.resume_rules import ResumePoint
    from engine.worker.signals import StopSignal


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: `state` is finished, incomplete, resumable or failed; `error` is what to raise then."""

    run_id: int
    state: RunState
    error: BaseException | None = None


def run(
    plan: Plan,
    executor: Executor,
    store: CheckpointStore,
    *,
    stop: StopSignal,
    emit: Listener,
    accept_changes: bool,
) -> Ended:
    """Run the plan from the frontier on, and record in the catalog how it went.

    Raises:
        PipelineChanged, SourceChanged, SourceNotFound: nothing was begun. The history of earlier runs says so.
    """
    run_id = None
    try:
        with Session(plan, store, stop=stop, emit=emit, accept_changes=accept_changes) as session:
            last = store.last_manifest()
            before = store.batches(last.batch_id - 1, last.batch_id - 1) if last else []
            point = resume_point(plan.batch_fetcher, plan.batch_size, last, before=before[0] if before else None)
            executor.prepare(plan.steps, plan.batch_fetcher)
            batch_bytes = plan.batch_bytes or default_batch_bytes(executor.workers)
            position = replace(point.position, batch_bytes=batch_bytes, accept_changes=accept_changes)
            point = replace(point, position=position)
            size = session.open_source(point.position)
            run_id = session.begin_run()
            first = point.position
            info, quarantined = plan.info(executor, size), _quarantined(store, point)
            emit(RunStarted(run_id, now(), info, first.next_batch_id, first.next_row, quarantined))
            if stop.asked:
                emit(StopWasRequested(stop.now))  # requested before anybody could know that a run begins
            said = _notices(plan)
            for notice in (*store.notices, *advice.warnings_for(plan.batch_fetcher), *said):
                emit(Warned(notice))
            return _run(session, executor, run_id, point, said)
    except BaseException as error:
        if run_id is None:
            record_refusal(plan, store, error)
            raise
        if isinstance(error, KeyboardInterrupt):  # perhaps nothing has recorded the end yet
            with suppress(CheckpointError):
                store.history.end_run(run_id, RunState.RESUMABLE)
        return _ended_by(error, run_id, emit)  # a second Ctrl-C, while the end was being recorded


def record_refusal(plan: Plan, store: CheckpointStore, error: BaseException) -> None:
    """Record that a run never began because of `error`; a catalog that can't be written must not hide it."""
    if isinstance(error, Exception):
        with suppress(CheckpointError):
            message = mask_secrets(f"it did not begin: {describe(error)}")
            store.history.add_refused_run(batch_size=plan.batch_size, message=message)


def _run(session: Session, executor: Executor, run_id: int, point: ResumePoint, said: Sequence[str]) -> Ended:
    plan, store, emit = session.plan, session.store, session.emit
    first = point.position.next_batch_id
    try:
        recipe = session.recipe(point.position, run_id=run_id, pinned=store.pinned_schema() if first else None)
        session.set_up_steps(recipe.states, store.next_batch_id)
        sinks = session.open_sinks()
        BatchLoop(
            store,
            executor,
            stop=session.stop,
            emit=emit,
            first_batch_id=first,
            replaces_last=point.replaces_last,
            quarantine=plan.limits,
            quarantined=_quarantined(store, point),
            deliver=sinks.deliver if plan.sinks else None,
        ).run(recipe)
        for notice in _notices(plan):
            if notice not in said:
                emit(Warned(notice))
        state = RunState.at_end(store.rows_quarantined())
    except Abandoned:
        session.end_run(run_id, RunState.RESUMABLE)
        return Ended(run_id, RunState.RESUMABLE)
    except KeyboardInterrupt as error:
        session.end_run(run_id, RunState.RESUMABLE)
        return _ended_by(error, run_id, emit)
    except BaseException as error:  # noqa: BLE001 (a PanicException is no Exception; `run` of the pipeline raises it)
        failure = failure_record(run_id, error, store.next_batch_id, plan.steps)
        emit(BatchFailed(failure))
        session.end_run(run_id, RunState.FAILED, failure=failure)
        return Ended(run_id, RunState.FAILED, error)
    session.end_run(run_id, state)
    return Ended(run_id, state)


def _notices(plan: Plan) -> Sequence[str]:
    return plan.batch_fetcher.notices() if isinstance(plan.batch_fetcher, SeekableFetcher) else ()


def _ended_by(error: BaseException, run_id: int, emit: Listener) -> Ended:
    if not isinstance(error, KeyboardInterrupt):
        return Ended(run_id, RunState.FAILED, error)
    emit(StopWasRequested(now=True))
    return Ended(run_id, RunState.RESUMABLE, error)


def _quarantined(store: CheckpointStore, point: ResumePoint) -> int:
    """Return how many rows are in quarantine, without those of a last batch that is done again."""
    last = store.last_manifest() if point.replaces_last else None
    return store.rows_quarantined() - (last.rows_quarantined if last else 0)
