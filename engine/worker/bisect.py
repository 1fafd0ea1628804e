"""Find the rows that steps can't process, and process the others: by bisection, in memory.

The rows of a batch are given to a run of row-wise steps in halves, and the halves that fail in halves again, until
single rows stand alone: k bad rows among n cost O(k log n) tries, and the work of about two batches for each k.
(Delta debugging by halves: A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE
28(2), 2002; here rows fail independently of each other, so no combinations need be tried.)
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
    """More rows fail than may go into quarantine. It never leaves the engine."""

    def __init__(self, first: StepFailed, count: int) -> None:
        super().__init__(str(first))
        self.first = first
        self.count = count


@dataclass(slots=True)
class SetAside:
    """Rows of one batch that were taken out at one place of the chain.

    `rows` is what goes into the quarantine's file (columns of `quarantine.SCHEMA`, and `row`); `from_step` is where a
    replay begins; `whole` says that it is all rows of the batch; `obstacle` why there can be no replay.
    """

    from_step: str
    rows: pl.DataFrame
    first_error: StepFailed
    whole: bool = False
    obstacle: str = ""

    @property
    def about(self) -> QuarantineFile:
        """What the manifest says of these rows."""
        error = _storable(describe(self.first_error.__cause__ or self.first_error))
        return QuarantineFile(self.rows.height, self.first_error.step, error, self.from_step, self.whole, self.obstacle)


@dataclass(slots=True)
class Isolated:
    """What came of a batch: the results of its good rows, None if there were none, and the bad ones.

    `bad` has for each bad row its number in the batch given, how many results come before it, and its error.
    `height` and `rows_good` count the results and the rows that they were made of.
    """

    frame: pl.DataFrame | None = None
    bad: list[tuple[int, int, StepFailed]] = field(default_factory=list)
    height: int = 0
    rows_good: int = 0


class _Search:
    """One search for the bad rows of `batch`; see `isolate`."""

    def __init__(
        self,
        batch: Batch,
        process: Callable[[Batch], Batch],
        *,
        most: int,
        fatal: Callable[[StepFailed], bool],
    ) -> None:
        self._batch = batch
        self._process = process
        self._most = most
        self._fatal = fatal
        self._frames: list[pl.DataFrame] = []
        self.found = Isolated()

    def look_into(self, first: int, rows: pl.DataFrame) -> None:
        """Try the halves of `rows`, which fail and begin at row `first` of the batch."""
        middle = rows.height // 2
        for offset, half in ((0, rows[:middle]), (middle, rows[middle:])):
            if half.height:
                self._try(first + offset, half)

    def _try(self, first: int, rows: pl.DataFrame) -> None:
        found = self.found
        try:
            result = self._process(self._batch.with_data(rows)).data
        except StepFailed as error:
            if self._fatal(error):
                raise
            if rows.height > 1:
                self.look_into(first, rows)
                return
            found.bad.append((first, found.height, error))
            if len(found.bad) > self._most:
                raise TooManyBadRows(found.bad[0][2], len(found.bad)) from error
            return
        self._frames.append(result)
        found.height += result.height
        found.rows_good += rows.height

    def results(self) -> pl.DataFrame | None:
        """Return the results of the good rows together, as a batch without the bad ones would give them."""
        if len({tuple(frame.schema.items()) for frame in self._frames}) <= 1:
            return pl.concat(self._frames) if self._frames else None
        # A dtype that depends on the values, as that of a column which is null in one piece, is right for all rows.
        bad = {number for number, _, _ in self.found.bad}
        good = [number for number in range(self._batch.data.height) if number not in bad]
        result = self._process(self._batch.with_data(self._batch.data[good])).data
        if result.height != self.found.height:
            raise self.found.bad[0][2]  # no step of rows by themselves, whatever it says
        return result


def isolate(
    batch: Batch, process: Callable[[Batch], Batch], *, most: int, fatal: Callable[[StepFailed], bool]
) -> Isolated:
    """Process the batch, which fails, with `process`, which works on any part of it.

    Without a bad row in what is returned, the batch failed as a whole and its rows don't.

    Raises:
        TooManyBadRows: more than `most` rows fail.
        StepFailed: an error that is no row's fault, by the word of `fatal`.
    """
    search = _Search(batch, process, most=most, fatal=fatal)
    search.look_into(0, batch.data)
    if search.found.bad:
        search.found.frame = search.results()
    return search.found


def bad_rows(batch: Batch, found: Isolated, *, at_source: bool, places: bool) -> pl.DataFrame:
    """Return the bad rows as a frame for the quarantine's file.

    `at_source` says that the batch has the source's own rows, so their numbers are known; `places` that its results are
    the batch's results, so their places in them are known.
    """
    numbers = [number for number, _, _ in found.bad]
    return pl.DataFrame(
        {
            "source_row": [batch.start_row + number if at_source else None for number in numbers],
            "position": [place if places else None for _, place, _ in found.bad],
            **errors_as_columns([error for _, _, error in found.bad]),
            "row": batch.data[numbers].to_struct("row"),
        },
        schema_overrides=SCHEMA,
    )


def whole_batch(batch: Batch, error: StepFailed, *, at_source: bool, places: bool) -> pl.DataFrame:
    """Return all rows of a batch as a frame for the quarantine's file, under the one error."""
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
    """Return what there is to tell of errors: step, type, message, and the row as the step saw it.

    `whole` says that they are a whole batch's error, so there is no such row.
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
    # What comes from file names that aren't UTF-8 has lone surrogates, which no file takes.
    return text[:_CHARACTERS].encode("utf-8", "backslashreplace").decode()
