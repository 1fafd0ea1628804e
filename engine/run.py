"""One run over an open checkpoint: from the resume rules to the record of how it ended."""

from __future__ import annotations

import json
import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from engine import advice, identity, resume
from engine.checkpoint.records import FailureRecord
from engine.delivery import Deliveries
from engine.errors import (
    CheckpointError,
    FetchFailed,
    PipelineError,
    RowsNotContiguous,
    SinkError,
    SinkFailed,
    StepError,
    StepFailed,
    StepSetupFailed,
    describe,
)
from engine.events import BatchFailed, RunStarted, StopWasRequested, Warned
from engine.executors.recipe import Recipe
from engine.executors.signals import Abandoned
from engine.executors.work import PartTarget
from engine.fetcher import SeekableFetcher
from engine.isolate import named_rows
from engine.jsonable import stored
from engine.masking import mask_secrets
from engine.policy import Quarantine
from engine.replay import Replay, Replayed
from engine.runner import Runner
from engine.state import RunState
from engine.step import StatefulBatchStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.checkpoint.parts import PartFormat
    from engine.checkpoint.records import RunOutcome
    from engine.checkpoint.store import CheckpointStore
    from engine.events import Listener
    from engine.executors.base import Executor
    from engine.executors.signals import StopSignal
    from engine.executors.work import BatchWork
    from engine.fetcher import BatchFetcher, SourceSize
    from engine.jsonable import Json
    from engine.policy import RetryPolicy
    from engine.resume import ResumePoint
    from engine.sink import Sink
    from engine.step import BatchStep


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run, and how."""

    name: str
    steps: tuple[BatchStep, ...]
    fetcher: BatchFetcher
    batch_size: int
    executor: Executor
    retry: RetryPolicy | None
    part_format: PartFormat
    sinks: tuple[Sink, ...] = ()
    quarantine: Quarantine | None = None
    """The limits when rows that fail are taken out by default, None when they stop the run."""

    @property
    def limits(self) -> Quarantine | None:
        """The limits that hold in this run: a step may take rows out although the pipeline stops for them."""
        if self.quarantine is None and any(step.on_error == "quarantine" for step in self.steps):
            return Quarantine()
        return self.quarantine


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
    current = identity.description(plan.steps, fetcher, plan.batch_size)
    changed = resume.refuse_changes(
        store.history.pipeline(),
        current,
        seekable=isinstance(fetcher, SeekableFetcher),
        accept=accept_changes,
        started=last is not None,
    )
    point = resume.resume_point(fetcher, plan.batch_size, last)
    run_id = None
    try:
        with ExitStack() as cleanup:
            plan.executor.prepare()
            size = _open(fetcher, point, emit, cleanup)
            run_id = store.history.begin_run(batch_size=plan.batch_size, pipeline=current, changed=changed)
            emit(_started(plan, store, run_id, point, size))
            if stop.asked:
                emit(StopWasRequested(stop.now))  # asked before anybody could know that a run begins
            for notice in (*store.notices, *advice.on(fetcher)):
                emit(Warned(notice))
            cleanup.callback(store.discard_uncommitted)
            return _run(plan, store, run_id, point, current, cleanup=cleanup, stop=stop, emit=emit)
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
    emit: Listener,
) -> Ended:
    try:
        states = _states(store, point)
        for step in plan.steps:
            cleanup.callback(_tear_down, step, emit)
            _set_up(step, states, store.next_batch_id)
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
            deliver=deliveries.deliver if plan.sinks else None,
        ).run(work)
    except Abandoned:
        _note(store, run_id, "stopped", emit)
        return Ended(run_id, RunState.RESUMABLE)
    except KeyboardInterrupt as error:
        _note(store, run_id, "stopped", emit)
        return _ended_by(error, run_id, emit)
    except BaseException as error:  # noqa: BLE001 (a PanicException is no Exception; `run` of the pipeline raises it)
        failure = failure_record(run_id, error, store.next_batch_id, plan.steps)
        emit(failed_event(failure))
        _note(store, run_id, "failed", emit, failure=failure)
        return Ended(run_id, RunState.FAILED, error)
    _note(store, run_id, "finished", emit)
    return Ended(run_id, RunState.INCOMPLETE if store.rows_quarantined() else RunState.FINISHED)


def replay(plan: Plan, store: CheckpointStore, *, stop: StopSignal, emit: Listener, accept_changes: bool) -> Replayed:
    """Put the rows in quarantine through the plan's steps again, bring the sinks up to date, and record it as a run.

    Raises:
        PipelineChanged: as `run`; nothing was begun.
        StepError, CheckpointError, SinkError, UsageError: what ended it. Rows that were through before are in the
            results.
    """
    current = identity.description(plan.steps, plan.fetcher, plan.batch_size)
    seekable = isinstance(plan.fetcher, SeekableFetcher)
    changed = resume.refuse_changes(
        store.history.pipeline(), current, seekable=seekable, accept=accept_changes, started=store.next_batch_id > 0
    )
    before = store.history.runs(1)
    run_id = store.history.begin_run(batch_size=plan.batch_size, pipeline=current, changed=changed)
    checkpoint = json.dumps({"key": store.key, "pipeline": current})
    done = None
    try:
        with ExitStack() as cleanup:
            cleanup.callback(store.discard_uncommitted)
            for step in plan.steps:
                cleanup.callback(_tear_down, step, emit)
                _set_up(step, {}, store.next_batch_id)
            done = Replay(
                store,
                plan.steps,
                retry=plan.retry,
                part_format=plan.part_format,
                checkpoint=checkpoint,
                stop=stop,
                emit=emit,
            ).run()
            deliveries = Deliveries(plan.sinks, store, stop=stop, emit=emit)
            cleanup.callback(deliveries.close)
            deliveries.catch_up()
    finally:
        words = "broken off" if done is None else f"replayed {done.rows:,} rows, {done.still:,} still in quarantine"
        # The frontier stays where it was, and so does what the last run made of it.
        same = before and before[0].next_batch_id == store.next_batch_id
        _note(store, run_id, before[0].outcome if same else "stopped", emit, message=words)
    return done


def _ended_by(error: BaseException, run_id: int, emit: Listener) -> Ended:
    if not isinstance(error, KeyboardInterrupt):
        return Ended(run_id, RunState.FAILED, error)
    emit(StopWasRequested(now=True))
    return Ended(run_id, RunState.RESUMABLE, error)


def _open(fetcher: BatchFetcher, point: ResumePoint, emit: Listener, cleanup: ExitStack) -> SourceSize | None:
    """Open the source where the run goes on, and return its size if it is known."""
    if not isinstance(fetcher, SeekableFetcher):
        return None
    cleanup.callback(_close, fetcher, emit)
    try:
        fetcher.open(point.position)
        return fetcher.size()
    except PipelineError:
        raise
    except Exception as error:
        raise FetchFailed(point.position.next_batch_id, error) from error


def _note(
    store: CheckpointStore,
    run_id: int,
    outcome: RunOutcome,
    emit: Listener,
    *,
    failure: FailureRecord | None = None,
    message: str = "",
) -> None:
    """Record how the run ended; a disk that can't take even that must not hide the error that ended it."""
    try:
        if failure is not None:
            store.history.add_failure(failure)
        store.history.end_run(run_id, outcome, failure.message if failure else message)
    except CheckpointError as error:
        emit(Warned(f"how run {run_id} ended could not be recorded: {error}"))


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
        rows_quarantined=store.rows_quarantined(),
    )


def _states(store: CheckpointStore, point: ResumePoint) -> Mapping[str, Json]:
    """Return the snapshots of the stateful steps after the last batch that stays."""
    before = point.position.next_batch_id - 1
    manifests = store.batches(before, before)
    return (manifests[0].states or {}) if manifests else {}


def _set_up(step: BatchStep, states: Mapping[str, Json], batch_id: int) -> None:
    try:
        step.setup()
        if isinstance(step, StatefulBatchStep):
            step.restore(stored(states.get(step.name)))
    except PipelineError:
        raise
    except Exception as error:
        raise StepSetupFailed(step.name, batch_id, error) from error


def _close(fetcher: SeekableFetcher, emit: Listener) -> None:
    try:
        fetcher.close()
    except Exception as error:  # noqa: BLE001 (as with a step: it doesn't change how the run ended)
        emit(Warned(f"the source could not be closed: {describe(error)}"))


def _tear_down(step: BatchStep, emit: Listener) -> None:
    try:
        step.teardown()
    except Exception as error:  # noqa: BLE001 (how the run ended is settled; what can't be closed doesn't change it)
        emit(Warned(f"step '{step.name}' could not be torn down: {describe(error)}"))


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
        generation=store.generation,
        run_key=f"{store.key}-{store.generation}",
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


def now() -> datetime:
    """Return the time as events and records have it: aware, UTC."""
    return datetime.now(UTC)


def source_name(fetcher: BatchFetcher) -> str:
    """Return what to call the source on a screen, without secrets."""
    if isinstance(fetcher, SeekableFetcher):
        content = fetcher.identity()
        name = str(content.get("source") or content.get("kind") or type(fetcher).__name__)
        return mask_secrets(f"{name} by {fetcher.route}" if fetcher.route else name)
    return getattr(fetcher, "__name__", type(fetcher).__name__)


def failure_record(run_id: int, error: BaseException, next_batch_id: int, steps: Sequence[BatchStep]) -> FailureRecord:
    """Return what is known of the error that ended a run, texts masked."""
    wrapped = isinstance(error, StepFailed | StepSetupFailed | FetchFailed | SinkFailed)
    cause = error.__cause__ if wrapped and error.__cause__ else error
    row_numbers, examples = named_rows(error, steps)
    return FailureRecord(
        run_id=run_id,
        failed_at=now(),
        batch_id=getattr(error, "batch_id", next_batch_id),
        start_row=error.start_row if isinstance(error, StepFailed | RowsNotContiguous) else None,
        end_row=error.end_row if isinstance(error, StepFailed | RowsNotContiguous) else None,
        step=error.step if isinstance(error, StepError) else error.sink if isinstance(error, SinkError) else None,
        attempts=getattr(error, "attempts", 1),
        error_type=type(cause).__name__,
        message=describe(error),
        hint=error.hint if isinstance(error, PipelineError) else "",
        traceback=mask_secrets("".join(traceback.format_exception(cause))),
        row_numbers=row_numbers,
        examples=examples,
    )


def failed_event(failure: FailureRecord) -> BatchFailed:
    """Return the failure as the event that is emitted for it."""
    return BatchFailed(
        run_id=failure.run_id,
        at=failure.failed_at,
        batch_id=failure.batch_id,
        start_row=failure.start_row,
        end_row=failure.end_row,
        step=failure.step,
        attempts=failure.attempts,
        error_type=failure.error_type,
        message=failure.message,
        hint=failure.hint,
        traceback=failure.traceback,
        row_numbers=failure.row_numbers,
        examples=failure.examples,
    )
