"""Find the rows that steps can't process, and process the others: by bisection, in memory.

The two halves of a batch go through a segment of row-wise steps, then the halves of each half that fails, down to
single rows. k bad rows among n cost O(k log n) tries, and the work of about two batches for each bad row.
(Delta debugging by halves: A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE
28(2), 2002; here rows fail independently of each other, so combinations of rows need not be tried.)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from engine.checkpoint.parts.manifest import QuarantineFile
from engine.checkpoint.parts.quarantine import SCHEMA
from engine.errors import StepFailed, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.batch import Batch

_CHARACTERS = 2_000


class TooManyBadRows(Exception):
    """More rows fail than may go into quarantine. Internal: it never leaves the engine."""

    def __init__(self, first: StepFailed, count: int) -> None:
        super().__init__(str(first))
        self.first = first
        self.count = count


@dataclass(slots=True)
class QuarantinedRows:
    """Rows of one batch that were quarantined at one point of the chain.

    `frame` is what goes into the quarantine's file (columns of `quarantine.SCHEMA`, and `row`); `from_step` is where a
    replay begins; `whole` says whether these are all rows of the batch; `obstacle` says why no replay is possible.
    """

    from_step: str
    frame: pl.DataFrame
    first_error: StepFailed
    whole: bool = False
    obstacle: str = ""

    @property
    def about(self) -> QuarantineFile:
        """What the manifest says about these rows."""
        error = _storable(describe(self.first_error.__cause__ or self.first_error))
        return QuarantineFile(
            self.frame.height, self.first_error.step, error, self.from_step, self.whole, self.obstacle
        )


@dataclass(slots=True)
class BisectResult:
    """The results of the good rows of a batch, None if it has none, and its bad rows.

    `bad` has for each bad row its number in the batch, how many results come before it, and its error. `height` is the
    number of results, `rows_good` the number of rows that they were made of.
    """

    frame: pl.DataFrame | None = None
    bad: list[tuple[int, int, StepFailed]] = field(default_factory=list)
    height: int = 0
    rows_good: int = 0


def bisect_batch(
    batch: Batch, process: Callable[[Batch], Batch], *, most: int, fatal: Callable[[StepFailed], bool]
) -> BisectResult:
    """Find the bad rows of a batch that fails, and process its other rows; `process` takes any part of the batch.

    If the result has no bad row, the batch fails only as a whole.

    Raises:
        TooManyBadRows: more than `most` rows fail.
        StepFailed: no row caused the error; `fatal` decides that.
    """
    found = BisectResult()
    frames: list[pl.DataFrame] = []

    def try_halves(first: int, rows: pl.DataFrame) -> None:
        middle = rows.height // 2
        for offset, half in ((0, rows[:middle]), (middle, rows[middle:])):
            if half.height:
                try_rows(first + offset, half)

    def try_rows(first: int, rows: pl.DataFrame) -> None:
        try:
            frame = process(batch.with_data(rows)).data
        except StepFailed as error:
            if fatal(error):
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

    try_halves(0, batch.data)
    if found.bad and frames:
        found.frame = _concatenated(batch, process, found, frames)
    return found


def _concatenated(
    batch: Batch, process: Callable[[Batch], Batch], found: BisectResult, frames: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """Return the results of the good rows, as a batch without the bad rows would give them."""
    if len({tuple(frame.schema.items()) for frame in frames}) == 1:
        return pl.concat(frames)
    # A dtype may depend on the values (a column that is null in one piece): take it from all good rows at once.
    bad = {number for number, _, _ in found.bad}
    good = [number for number in range(batch.data.height) if number not in bad]
    frame = process(batch.with_data(batch.data[good])).data
    if frame.height != found.height:
        raise found.bad[0][2]  # the step isn't row-wise, although it says so
    return frame


def bad_rows(batch: Batch, found: BisectResult, *, at_source: bool, places: bool) -> pl.DataFrame:
    """Return the bad rows as a frame for the quarantine's file.

    `at_source` says whether the batch has the source's own rows, so that their numbers are known. `places` says whether
    its results are the final ones, so that the places of the bad rows among them are known.
    """
    numbers = [number for number, _, _ in found.bad]
    return pl.DataFrame(
        {
            "source_row": [batch.start_row + number if at_source else None for number in numbers],
            "position": [point if places else None for _, point, _ in found.bad],
            **errors_as_columns([error for _, _, error in found.bad]),
            "row": batch.data[numbers].to_struct("row"),
        },
        schema_overrides=SCHEMA,
    )


def whole_batch(batch: Batch, error: StepFailed, *, at_source: bool, places: bool) -> pl.DataFrame:
    """Return all rows of a batch as a frame for the quarantine's file, each with the same error."""
    height = batch.data.height
    source_rows = pl.Series(
        range(batch.start_row, batch.start_row + height) if at_source else [None] * height, dtype=pl.Int64
    )
    return pl.DataFrame(
        {
            "source_row": source_rows,
            "position": [0 if places else None] * height,
            **{name: values * height for name, values in errors_as_columns([error], whole=True).items()},
            "row": batch.data.to_struct("row"),
        },
        schema_overrides=SCHEMA,
    )


def errors_as_columns(errors: Sequence[StepFailed], *, whole: bool = False) -> dict[str, list[str | None]]:
    """Return errors as columns: step, type, message, and the row as the step got it.

    `whole` says that the error is that of a whole batch, so that there is no such row.
    """
    causes = [error.__cause__ or error for error in errors]
    return {
        "step": [error.step for error in errors],
        "error_type": [type(cause).__name__ for cause in causes],
        "error": [_storable(describe(cause)) for cause in causes],
        "input": [None if whole else _as_text(error.input) for error in errors],
    }


def _as_text(rows: pl.DataFrame | None) -> str | None:
    if rows is None or rows.height != 1:
        return None
    return _storable(json.dumps(rows.row(0, named=True), default=str, ensure_ascii=False))


def _storable(text: str) -> str:
    # Text from file names that aren't UTF-8 has lone surrogates, which a file can't store.
    return text[:_CHARACTERS].encode("utf-8", "backslashreplace").decode()
