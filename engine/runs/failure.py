"""The error that ended a run, as the catalog keeps it and as listeners get it; and which source rows it is about.

A check names rows by their place in the frame that it saw; steps before it may have dropped some. Where all of those
are row-wise expressions, running them again over the first n source rows costs little and has no side effects, and
the number of rows that come out grows with n: a binary search finds the source row (about 17 runs for a batch of
100,000).
"""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from engine.errors import (
    CheckFailed,
    FetchFailed,
    PipelineError,
    RowsNotContiguous,
    RowsUnreadable,
    SinkError,
    SinkFailed,
    StepError,
    StepFailed,
    StepSetupFailed,
    describe,
)
from engine.events import FailureRecord
from engine.steps.base import LazyBatchStep
from engine.text.masking import mask_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from engine.batch import Batch
    from engine.steps.base import BatchStep

_EXAMPLES = 20
_CELL_CHARACTERS = 200

Examples = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]


def now() -> datetime:
    """Return the time for events and records: aware, UTC."""
    return datetime.now(UTC)


def failure_record(run_id: int, error: BaseException, next_batch_id: int, steps: Sequence[BatchStep]) -> FailureRecord:
    """Return what is known of the error that ended a run, texts masked."""
    wrapped = isinstance(error, StepFailed | StepSetupFailed | FetchFailed | SinkFailed)
    cause = error.__cause__ if wrapped and error.__cause__ else error
    row_numbers, examples = named_rows(error, steps)
    spanned = error if isinstance(error, StepFailed | RowsNotContiguous | RowsUnreadable) else None
    return FailureRecord(
        run_id=run_id,
        at=now(),
        batch_id=getattr(error, "batch_id", next_batch_id),
        start_row=spanned.start_row if spanned else None,
        end_row=spanned.end_row if spanned else None,
        step=error.step if isinstance(error, StepError) else error.sink if isinstance(error, SinkError) else None,
        attempts=getattr(error, "attempts", 1),
        error_type=type(cause).__name__,
        message=describe(error),
        hint=error.hint if isinstance(error, PipelineError) else "",
        traceback=mask_secrets("".join(traceback.format_exception(cause))),
        row_numbers=row_numbers,
        examples=examples,
    )


def named_rows(error: BaseException, steps: Sequence[BatchStep]) -> tuple[tuple[int, ...], Examples]:
    """Return the source rows that the error names, and some of them whole as (columns, rows of texts).

    Both are empty for an error that names none. Row numbers are also empty where they can't be traced back
    through the earlier steps.
    """
    if isinstance(error, RowsUnreadable):
        refused = tuple((row.place, _text(row.text), _text(row.reason)) for row in error.rows)
        return tuple(row.row for row in error.rows), (("place", "text", "reason"), refused)
    if not isinstance(error, StepFailed) or not isinstance(error.__cause__, CheckFailed):
        return (), ((), ())
    check = error.__cause__
    examples = check.examples.head(_EXAMPLES)
    cells = tuple(tuple(_text(value) for value in row) for row in examples.iter_rows())
    names = [step.name for step in steps]
    before = steps[: names.index(error.step)]
    numbers: tuple[int, ...] = ()
    if error.source is not None and all(isinstance(step, LazyBatchStep) and step.row_wise for step in before):
        lazies = [step for step in before if isinstance(step, LazyBatchStep)]
        numbers = _traced(lazies, error.source, error.first, check.rows[:_EXAMPLES])
    return numbers, (tuple(examples.columns), cells)


def _traced(steps: Sequence[LazyBatchStep], source: Batch, first: int, rows: Sequence[int]) -> tuple[int, ...]:
    try:
        readable = source.readable[first:]
        return tuple(readable[source_row(steps, source.data[first:], row)] for row in rows)
    except Exception:  # noqa: BLE001 (a step may raise on a part of a batch; the failure itself matters more)
        return ()


def source_row(steps: Sequence[LazyBatchStep], source: pl.DataFrame, row: int) -> int:
    """Return the 0-based row of `source` that becomes row `row` after the row-wise `steps`.

    Raises:
        IndexError: the steps return fewer rows.
    """
    low, high = row, source.height - 1
    if row > high:
        raise IndexError(row)
    while low < high:
        middle = (low + high) // 2
        if _rows_out(steps, source.head(middle + 1)) > row:
            high = middle
        else:
            low = middle + 1
    return low


def _rows_out(steps: Sequence[LazyBatchStep], frame: pl.DataFrame) -> int:
    plan = frame.lazy()
    for step in steps:
        plan = step.lazy(plan)
    return plan.collect().height


def _text(value: object) -> str:
    text = "null" if value is None else str(value)
    return mask_secrets(text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…")
