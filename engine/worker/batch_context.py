"""What is known of one batch while it goes through the chain, and the values that leave the chain: whole or partial.

A partial result can be sent to another machine, whose chain has the same steps and continues with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.checkpoint.parts.manifest import StepTiming

if TYPE_CHECKING:
    import polars as pl

    from engine.batch import Batch
    from engine.text.json_values import Json
    from engine.worker.bisect import QuarantinedRows
    from engine.worker.stage import Stage


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What the whole chain made of a batch.

    `frame` is None when every row was quarantined before the columns of the results were known. `dropped` is the
    number of rows that steps left out, minus the number that they added.
    """

    frame: pl.DataFrame | None
    timings: tuple[StepTiming, ...]
    states: dict[str, Json] | None
    attempts: int
    dropped: int = 0
    quarantined: tuple[QuarantinedRows, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentStart:
    """A batch as it entered its current segment, and the number of rows that steps had dropped by then."""

    batch: Batch
    dropped: int


@dataclass(frozen=True, slots=True)
class PartialResult:
    """A batch after the first `stages` stages of a chain, and what is known of it by then.

    `batch` is None when every row was quarantined. `start` is set when the batch is inside a segment and rows may have
    to be quarantined: the search for them begins at the start of the segment.
    """

    stages: int
    batch: Batch | None
    start: SegmentStart | None = None
    timings: tuple[StepTiming, ...] = ()
    attempts: int = 1
    dropped: int = 0
    quarantined: tuple[QuarantinedRows, ...] = ()


@dataclass(slots=True)
class BatchContext:
    """What is known of one batch while it goes through the stages."""

    timings: list[StepTiming] = field(default_factory=list)
    states: dict[str, Json] = field(default_factory=dict)
    attempts: int = 1
    dropped: int = 0
    quarantined: list[QuarantinedRows] = field(default_factory=list)

    @classmethod
    def after(cls, before: PartialResult) -> BatchContext:
        """Return the context in which a batch continues after a partial result."""
        return cls(list(before.timings), {}, before.attempts, before.dropped, list(before.quarantined))

    def add(self, stage: Stage, seconds: float, rows_in: int | None, rows_out: int | None, attempts: int) -> None:
        """Add a stage that the batch has passed."""
        self.timings.append(StepTiming(stage.names, seconds, rows_in, rows_out))
        self.attempts = max(self.attempts, attempts)
        if rows_in is not None and rows_out is not None:
            self.dropped += rows_in - rows_out

    def partial(self, stages: int, batch: Batch | None, start: SegmentStart | None) -> PartialResult:
        """Return the batch after so many stages, for another process."""
        return PartialResult(
            stages, batch, start, tuple(self.timings), self.attempts, self.dropped, tuple(self.quarantined)
        )

    def result(self, batch: Batch | None) -> BatchResult:
        """Return the batch after all stages; `batch` is None when the columns of its results aren't known."""
        frame = self._frame(batch)
        return BatchResult(
            frame, tuple(self.timings), self.states or None, self.attempts, self.dropped, tuple(self.quarantined)
        )

    def _frame(self, batch: Batch | None) -> pl.DataFrame | None:
        """Return the batch's results.

        A batch that was quarantined whole has none, even if later steps make rows out of no rows: its replay brings
        all of them.
        """
        if batch is None:
            return None
        if any(rows.whole and not rows.obstacle for rows in self.quarantined):
            self.dropped += batch.data.height
            return batch.data.clear()
        return batch.data
