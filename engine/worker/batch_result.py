"""What the chain makes of one batch: filled in stage by stage, maybe on two machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.checkpoint.parts.manifest import StepTiming

if TYPE_CHECKING:
    import polars as pl

    from engine.batch import Batch
    from engine.text.json_values import Json
    from engine.worker.quarantined_rows import QuarantinedRows
    from engine.worker.stage import Stage


@dataclass(slots=True)
class BatchResult:
    """What the chain made of a batch; complete after the last stage.

    `frame` stays None when every row was quarantined before the columns of the results were known. `states` are the
    snapshots of the stateful steps after the batch, by name. `dropped` is the number of rows that steps left out, minus
    the number that they added.
    """

    frame: pl.DataFrame | None = None
    timings: list[StepTiming] = field(default_factory=list)
    states: dict[str, Json] = field(default_factory=dict)
    attempts: int = 1
    dropped: int = 0
    quarantined: list[QuarantinedRows] = field(default_factory=list)

    def add(self, stage: Stage, seconds: float, rows_in: int | None, rows_out: int | None, attempts: int) -> None:
        """Add a stage that the batch has passed."""
        self.timings.append(StepTiming(stage.names, seconds, rows_in, rows_out))
        self.attempts = max(self.attempts, attempts)
        if rows_in is not None and rows_out is not None:
            self.dropped += rows_in - rows_out

    def complete(self, batch: Batch | None) -> BatchResult:
        """Take the frame of the batch after all stages; `batch` is None when its columns aren't known.

        A batch that was quarantined whole has no results, even if later steps make rows out of no rows: its replay
        brings all of them.
        """
        if batch is not None:
            self.frame = batch.data
            if any(rows.whole and not rows.obstacle for rows in self.quarantined):
                self.dropped += batch.data.height
                self.frame = batch.data.clear()
        return self


@dataclass(frozen=True, slots=True)
class SegmentStart:
    """A batch as it entered its current segment, and the number of rows that steps had dropped by then."""

    batch: Batch
    dropped: int


@dataclass(frozen=True, slots=True)
class PartialResult:
    """A batch after the first `stages` stages of a chain, and its result by then; a chain of the same steps continues.

    `batch` is None when every row was quarantined. `start` is set when the batch is inside a segment and rows may have
    to be quarantined: the search for them begins at the start of the segment.
    """

    stages: int
    batch: Batch | None
    start: SegmentStart | None = None
    result: BatchResult = field(default_factory=BatchResult)
