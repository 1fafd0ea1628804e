"""What is noted while a batch goes through the chain, and the values in which that is handed on: whole or half-way.

A batch that is half-way can be sent to another machine, whose chain has the same steps and goes on with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.checkpoint.parts.manifest import StepTiming

if TYPE_CHECKING:
    import polars as pl

    from engine.batch import Batch
    from engine.text.json_values import Json
    from engine.worker.bisect import SetAside
    from engine.worker.stage import Stage


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What the whole chain made of a batch.

    `frame` is None when every row was taken out before anybody could tell what columns come out. `dropped` counts the
    rows that steps left out, less those that they added.
    """

    frame: pl.DataFrame | None
    timings: tuple[StepTiming, ...]
    states: dict[str, Json] | None
    attempts: int
    dropped: int = 0
    set_aside: tuple[SetAside, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentStart:
    """A batch as it came to the segment that it is in the middle of, and the rows that steps had left out by then."""

    batch: Batch
    dropped: int


@dataclass(frozen=True, slots=True)
class PartialResult:
    """A batch that is through the first `stages` stages of a chain, and what was noted until then.

    `batch` is None when every row was taken out. `start` is there when the batch is inside a segment and rows may have
    to be tried apart: that begins where the segment does.
    """

    stages: int
    batch: Batch | None
    start: SegmentStart | None = None
    timings: tuple[StepTiming, ...] = ()
    attempts: int = 1
    dropped: int = 0
    set_aside: tuple[SetAside, ...] = ()


@dataclass(slots=True)
class BatchContext:
    """What is noted while one batch goes through."""

    timings: list[StepTiming] = field(default_factory=list)
    states: dict[str, Json] = field(default_factory=dict)
    attempts: int = 1
    dropped: int = 0
    set_aside: list[SetAside] = field(default_factory=list)

    @classmethod
    def behind(cls, before: PartialResult) -> BatchContext:
        """Return the notes with which a batch goes on that is half-way."""
        return cls(list(before.timings), {}, before.attempts, before.dropped, list(before.set_aside))

    def note(self, stage: Stage, seconds: float, rows_in: int | None, rows_out: int | None, attempts: int) -> None:
        """Note that the batch is through a stage."""
        self.timings.append(StepTiming(stage.names, seconds, rows_in, rows_out))
        self.attempts = max(self.attempts, attempts)
        if rows_in is not None and rows_out is not None:
            self.dropped += rows_in - rows_out

    def partial(self, stages: int, batch: Batch | None, start: SegmentStart | None) -> PartialResult:
        """Return the batch behind so many stages, on its way to another process."""
        return PartialResult(
            stages, batch, start, tuple(self.timings), self.attempts, self.dropped, tuple(self.set_aside)
        )

    def result(self, batch: Batch | None) -> BatchResult:
        """Return the batch behind all stages, None when nobody could tell its columns."""
        frame = self._results(batch)
        return BatchResult(
            frame, tuple(self.timings), self.states or None, self.attempts, self.dropped, tuple(self.set_aside)
        )

    def _results(self, batch: Batch | None) -> pl.DataFrame | None:
        """Return the batch's results.

        A batch that was taken out whole has none, whatever steps behind make of no rows: its replay brings them all.
        """
        if batch is None:
            return None
        if any(aside.whole and not aside.obstacle for aside in self.set_aside):
            self.dropped += batch.data.height
            return batch.data.clear()
        return batch.data
