"""How a run ended, as the catalog keeps it and as listeners hear of it."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

from engine.checkpoint.catalog.records import FailureRecord
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
from engine.events import AttemptFailed, BatchFailed, Warned
from engine.runs.named_rows import named_rows
from engine.text.masking import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.checkpoint.store import CheckpointStore
    from engine.events import Event, Listener
    from engine.state import RunState
    from engine.steps.base import BatchStep


def now() -> datetime:
    """Return the time as events and records have it: aware, UTC."""
    return datetime.now(UTC)


class RetryCount:
    """A listener that hands events on to `emit`, and counts the retries among them."""

    def __init__(self, emit: Listener) -> None:
        self._emit = emit
        self._lock = Lock()
        self.retries = 0

    def __call__(self, event: Event) -> None:
        """Hand the event on. Safe from any thread."""
        if isinstance(event, AttemptFailed):
            with self._lock:
                self.retries += 1
        self._emit(event)


def note(
    store: CheckpointStore,
    run_id: int,
    state: RunState,
    emit: Listener,
    *,
    failure: FailureRecord | None = None,
    message: str = "",
    retries: int = 0,
) -> None:
    """Record how the run ended; a disk that can't take even that must not hide the error that ended it."""
    try:
        if failure is not None:
            store.history.add_failure(failure)
        store.history.end_run(run_id, state, failure.message if failure else message, retries=retries)
    except CheckpointError as error:
        emit(Warned(f"how run {run_id} ended could not be recorded: {error}"))


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
