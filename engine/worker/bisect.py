"""Find the rows that steps can't process, and process the others: by bisection, in memory.

The two halves of a batch go through a segment of row-wise steps, then the halves of each half that fails, down to
single rows. k bad rows among n cost O(k log n) tries, and the work of about two batches for each bad row.
(Delta debugging by halves: A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE
28(2), 2002; here rows fail independently of each other, so combinations of rows need not be tried.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from engine.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.batch import Batch
    from engine.errors import PipelineError


class TooManyBadRows(Exception):
    """More rows fail than may go into quarantine. Internal: it never leaves the engine."""

    def __init__(self, first: StepFailed, count: int) -> None:
        super().__init__(str(first))
        self.first = first
        self.count = count


@dataclass(slots=True)
class BisectResult:
    """The results of the good rows of a batch, None if it has none, and its bad rows.

    `bad` has for each bad row its number in the batch, how many results come before it, and its error. `height` is the
    number of results, `rows_good` the number of rows that they were made of. `before_cuts` has for each cut how many
    results come before it.
    """

    frame: pl.DataFrame | None = None
    bad: list[tuple[int, int, StepFailed]] = field(default_factory=list)
    height: int = 0
    rows_good: int = 0
    before_cuts: list[int] = field(default_factory=list)


def bisect_batch(
    batch: Batch,
    process: Callable[[Batch], Batch],
    *,
    most: int,
    fatal: Callable[[StepFailed], bool],
    unexplained: PipelineError,
    cuts: Sequence[int] | None = None,
) -> BisectResult:
    """Find the bad rows of a batch, and process its other rows; `process` takes any part of the batch.

    The batch has failed as a whole; if the result has no bad row, it fails only as a whole. With `cuts`, which are
    numbers of rows, the batch wasn't tried yet: it is processed in the pieces between them, so that their places among
    the results are known.

    Raises:
        TooManyBadRows: more than `most` rows fail.
        StepFailed: no row caused the error; `fatal` decides that.
        PipelineError: `unexplained`, since the steps aren't row-wise, although they say so.
    """
    found = BisectResult()
    frames: list[pl.DataFrame] = []

    def try_halves(first: int, rows: pl.DataFrame) -> None:
        middle = rows.height // 2
        try_rows(first, rows[:middle])
        try_rows(first + middle, rows[middle:])

    def try_rows(first: int, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        try:
            frame = process(batch.with_data(rows)).data
        except StepFailed as error:
            if fatal(error):
                error.first = first
                raise
            if rows.height > 1:
                try_halves(first, rows)
                return
            found.bad.append((first, found.height, error))
            if len(found.bad) > most:
                raise TooManyBadRows(found.bad[0][2], len(found.bad)) from error
            return
        frames.append(frame)
        found.height += frame.height
        found.rows_good += rows.height

    edges = [0, *([batch.data.height // 2] if cuts is None else cuts), batch.data.height]
    for start, end in pairwise(edges):
        try_rows(start, batch.data[start:end])
        found.before_cuts.append(found.height)
    found.before_cuts.pop()  # that is the end of the batch
    if frames:
        found.frame = _concatenated(batch, process, found, frames, unexplained)
    return found


def _concatenated(
    batch: Batch,
    process: Callable[[Batch], Batch],
    found: BisectResult,
    frames: Sequence[pl.DataFrame],
    unexplained: PipelineError,
) -> pl.DataFrame:
    """Return the results of the good rows, as a batch without the bad rows would give them."""
    if len({tuple(frame.schema.items()) for frame in frames}) == 1:
        return pl.concat(frames)
    # A dtype may depend on the values (a column that is null in one piece): take it from all good rows at once.
    bad = {number for number, _, _ in found.bad}
    good = [number for number in range(batch.data.height) if number not in bad]
    frame = process(batch.with_data(batch.data[good])).data
    if frame.height != found.height:
        raise found.bad[0][2] if found.bad else unexplained
    return frame
