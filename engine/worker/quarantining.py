"""A batch with rows that the source can't read or a step can't process: which rows may be quarantined.

And what the results of the others are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from engine.errors import QuarantineFull, RowsUnreadable, StepError, StepFailed, StepTimedOut, describe
from engine.policy import Quarantine
from engine.steps.base import StatefulBatchStep
from engine.text.format import SOURCE
from engine.worker.bisect import TooManyBadRows, bisect_batch
from engine.worker.quarantined_rows import QuarantinedRows, bad_rows, unreadable_rows, whole_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from engine.batch import Batch
    from engine.errors import PipelineError
    from engine.policy import RetryPolicy
    from engine.steps.base import BatchStep
    from engine.worker.bisect import BisectResult


@dataclass(frozen=True, slots=True)
class FailurePoint:
    """Where in the chain a batch failed.

    `first_step` is where a replay of its rows begins. `at_source` says whether the batch has the source's own rows
    there. `steps_after` are the steps after the segment that was tried.
    """

    first_step: str
    at_source: bool
    steps_after: Sequence[BatchStep]


class Quarantiner:
    """Quarantines rows of batches, as far as the policies of pipeline and steps allow it."""

    def __init__(self, steps: Sequence[BatchStep], *, retry: RetryPolicy, quarantine: Quarantine | None) -> None:
        self._steps = {step.name: step for step in steps}
        self._retry = retry
        self._by_default = quarantine is not None
        self._quarantine = quarantine or Quarantine()
        self.active = any(self._quarantines(step) for step in steps)
        self.obstacle = obstacle_in(steps)
        """Why rows of the source that it can't read can't be replayed, empty if they can."""

    def _quarantines(self, step: BatchStep) -> bool:
        return self._by_default if step.on_error is None else step.on_error == "quarantine"

    def may_quarantine(self, error: StepFailed) -> bool:
        """Say whether rows caused the failure: not the machine, and not an error that another try may remove."""
        step, cause = self._steps[error.step], error.__cause__
        if not self._quarantines(step) or cause is None or (step.retry or self._retry).covers(cause):
            return False
        if isinstance(cause, MemoryError) or (isinstance(cause, StepTimedOut) and not cause.ended):
            return False
        return isinstance(cause, Exception | pl.exceptions.PanicException)

    def unreadable(self, batch: Batch) -> QuarantinedRows:
        """Return the rows of a batch that the source can't read. Their places are right if there are no steps.

        Raises:
            RowsUnreadable: the pipeline stops at them.
            QuarantineFull: there are more than may go into quarantine.
        """
        error = RowsUnreadable(batch)
        if not self._by_default:
            raise error
        if len(batch.unreadable) > self._most(batch):
            excess = self._quarantine.excess(len(batch.unreadable), batch.end_row + 1)
            first = batch.unreadable[0]
            raise QuarantineFull(
                SOURCE, batch.batch_id, f"at least {excess}", f"{first.place}: {first.reason}"
            ) from error
        return unreadable_rows(batch, obstacle=self.obstacle)

    def around_unreadable(
        self, batch: Batch, again: Callable[[Batch], Batch], point: FailurePoint, unreadable: QuarantinedRows
    ) -> tuple[pl.DataFrame | None, QuarantinedRows | None, int]:
        """Process a batch of the source in the pieces between the rows that it can't read, which get their places.

        Return what `quarantine` returns; no bad rows if only the source refused some. Raises what `quarantine` raises.
        """
        places = unreadable.frame["position"]
        try:
            found = self._bisected(batch, again, unreadable.first_error, cuts=places.to_list())
        except TooManyBadRows as too_many:
            raise self._full(batch, too_many.first, too_many.count) from too_many.first
        unreadable.frame = unreadable.frame.with_columns(pl.Series("position", found.before_cuts, dtype=pl.Int64))
        if found.bad:
            _refuse_objects(batch, found.bad[0][2])
            return self._with_bad_rows(batch, found, again, point)
        return found.frame if batch.data.height else self._nothing(batch, again), None, found.rows_good - found.height

    def quarantine(
        self, batch: Batch, error: StepFailed, again: Callable[[Batch], Batch], point: FailurePoint
    ) -> tuple[pl.DataFrame | None, QuarantinedRows, int]:
        """Return the results of the good rows, the bad rows, and how many rows the steps dropped.

        `again` takes the batch, or a part of it, through the segment in which it failed. The results are None when
        there is no good row and the steps fail on a batch without rows as well.

        Raises:
            QuarantineFull: more rows fail than may go into quarantine.
            StepFailed: single rows don't cause the failure, or the rows can't be stored.
        """
        step = self._steps[error.step]
        _refuse_objects(batch, error)
        try:
            if step.row_wise and not isinstance(step, StatefulBatchStep):
                return self._with_bad_rows(batch, self._bisected(batch, again, error), again, point)
        except TooManyBadRows as too_many:
            raise self._full(batch, too_many.first, too_many.count) from too_many.first
        if batch.data.height > self._most(batch):
            raise self._full(batch, error, batch.data.height) from error
        rows = whole_batch(batch, error, at_source=point.at_source, places=True)
        memory = next((one.name for one in (step, *point.steps_after) if isinstance(one, StatefulBatchStep)), None)
        obstacle = "" if memory is None else f"step '{memory}' has a memory of the batches before"
        return (
            self._nothing(batch, again),
            QuarantinedRows(point.first_step, rows, error, whole=True, obstacle=obstacle),
            0,
        )

    def _bisected(
        self,
        batch: Batch,
        again: Callable[[Batch], Batch],
        unexplained: PipelineError,
        cuts: Sequence[int] | None = None,
    ) -> BisectResult:
        found = bisect_batch(
            batch,
            again,
            most=self._most(batch) - len(batch.unreadable),
            fatal=lambda failed: not self.may_quarantine(failed),
            unexplained=unexplained,
            cuts=cuts,
        )
        if cuts is None and not found.bad:
            raise unexplained  # both halves passed: the step isn't row-wise, although it says so
        return found

    def _with_bad_rows(
        self, batch: Batch, found: BisectResult, again: Callable[[Batch], Batch], point: FailurePoint
    ) -> tuple[pl.DataFrame | None, QuarantinedRows, int]:
        rows = bad_rows(batch, found, at_source=point.at_source, places=not point.steps_after)
        whole = point.steps_after[0].name if point.steps_after else None
        obstacle = "" if whole is None else f"step '{whole}' after it works on whole batches"
        frame = found.frame
        bad = QuarantinedRows(point.first_step, rows, found.bad[0][2], obstacle=obstacle)
        return self._nothing(batch, again) if frame is None else frame, bad, found.rows_good - found.height

    def _nothing(self, batch: Batch, again: Callable[[Batch], Batch]) -> pl.DataFrame | None:
        """Return the columns of the results, without a row; None if the steps fail without rows too."""
        try:
            return again(batch.with_data(batch.data.clear())).data.clear()
        except StepError:
            return None

    def _most(self, batch: Batch) -> int:
        """Return how many rows of this batch may be quarantined, if no row of an earlier batch is."""
        limits = [math.inf]
        if self._quarantine.max_rows is not None:
            limits.append(self._quarantine.max_rows)
        if self._quarantine.max_fraction is not None:
            limits.append(self._quarantine.max_fraction * (batch.end_row + 1))
        most = min(limits)
        return batch.size if most == math.inf else int(most)

    def _full(self, batch: Batch, error: StepFailed, count: int) -> QuarantineFull:
        excess = self._quarantine.excess(count, batch.end_row + 1)
        return QuarantineFull(error.step, batch.batch_id, f"at least {excess}", describe(error.__cause__ or error))


def obstacle_in(steps: Iterable[BatchStep], *, whole: bool = False) -> str:
    """Return why rows, alone or as a `whole` batch, can't be taken through the steps later; empty if they can."""
    for step in steps:
        if isinstance(step, StatefulBatchStep):
            return f"step '{step.name}' has a memory of the batches before"
        if not (step.row_wise or whole):
            return f"step '{step.name}' works on whole batches"
    return ""


def _refuse_objects(batch: Batch, error: StepFailed) -> None:
    """Raise the error if the rows of a batch can't be kept."""
    if pl.Object in batch.data.dtypes:  # Polars panics when it writes the quarantine's file
        error.add_note("Its rows can't be kept in quarantine: they hold Python objects, which no file takes.")
        raise error
