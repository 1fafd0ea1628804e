"""Pages of the results; only the parts that contain the page are read."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.checkpoint.parts import parts
from engine.errors import CheckpointCorrupt
from engine.results import read

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from engine.storage.files import StoredPath


@dataclass(frozen=True, slots=True)
class ResultsPage:
    """Some rows of the results. `first_row` is the 0-based number of the first one, `total_rows` counts all results."""

    frame: pl.DataFrame
    first_row: int
    total_rows: int


class PageReader:
    """Reads pages of the results of one checkpoint. One thread owns it.

    It remembers the number of result rows up to the end of each batch, so a page needs reads of its own parts only.
    After a replay, a rewind or a recomputation, make a new reader: other runs never change a batch before the last one.
    """

    def __init__(self) -> None:
        self._ends: list[int] = []

    def page(self, part: Callable[[int], StoredPath], batches: int, first_row: int, row_count: int) -> ResultsPage:
        """Return at most `row_count` rows from `first_row` on, of the first `batches` batches.

        `part` returns the path of a batch's part.

        If `first_row` is after the last row, the page begins at the last row.

        Raises:
            CheckpointCorrupt: a part can't be read.
        """
        ends = self._ends
        del ends[max(batches - 1, 0) :], ends[-1:]  # the last batch is computed again if its source has grown
        for batch_id in range(len(ends), batches):
            ends.append((ends[-1] if ends else 0) + _row_count(part(batch_id)))
        total = ends[-1] if ends else 0
        first_row = max(0, min(first_row, total - 1))
        first, last = (min(bisect_right(ends, row), batches - 1) for row in (first_row, first_row + row_count - 1))
        shown = [part(batch_id) for batch_id in range(max(first, 0), last + 1)]
        before = ends[first - 1] if first > 0 else 0
        return ResultsPage(read.collect(shown, first_row - before, row_count), first_row, total)


def _row_count(part: StoredPath) -> int:
    try:
        return parts.read_footer(part)[0].rows_out
    except ValueError as error:
        raise CheckpointCorrupt(part, str(error), hint=read.DAMAGED) from error
