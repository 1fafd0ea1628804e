"""Pages of the results as texts, read from the parts that hold them and no others.

A part never changes while its batch is committed, so how many rows each has is read once; a rewind forgets all.
One thread owns it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import BatchPipeline

_TEXT = 300
"""Characters of a value that are kept: a page must stay small whatever the data holds."""


@dataclass(frozen=True, slots=True)
class ResultsPage:
    """Columns as (name, dtype without parameters), rows of texts with None for a null; `first_row` is of all."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str | None, ...], ...]
    first_row: int
    total_rows: int


NO_RESULTS = ResultsPage((), (), 0, 0)


class ResultsReader:
    """Reads pages of one pipeline's results."""

    def __init__(self) -> None:
        self._ends: list[int] = []
        """For each batch from 0 on, the number of result rows up to its end."""
        self._of: object = None

    def page(self, pipeline: BatchPipeline, generation: object, first_row: int, row_count: int) -> ResultsPage:
        """Return at most `row_count` rows from `first_row` on. `generation` is another value after a rewind."""
        import polars as pl

        from engine.checkpoint.location import located
        from engine.checkpoint.parts import parts
        from engine.storage import files

        if generation != self._of:
            self._ends.clear()
            self._of = generation
        batches = pipeline.view().frontier + 1
        if batches < len(self._ends):
            self._ends.clear()
        layout = located(pipeline.checkpoint_dir)
        for batch_id in range(len(self._ends), batches):
            rows = parts.read_footer(layout.part(batch_id))[0].rows_out
            self._ends.append((self._ends[-1] if self._ends else 0) + rows)
        if not self._ends:
            return NO_RESULTS
        total = self._ends[-1]
        first_row = max(0, min(first_row, total - 1))
        first = min(bisect_right(self._ends, first_row), len(self._ends) - 1)
        last = min(bisect_right(self._ends, first_row + row_count - 1), len(self._ends) - 1)
        shown: list[Any] = [layout.part(batch_id) for batch_id in range(first, last + 1)]
        before = self._ends[first - 1] if first else 0
        try:
            plan = pl.scan_parquet(shown, glob=False, hive_partitioning=False)
            frame = plan.slice(first_row - before, row_count).collect()
        except (pl.exceptions.PolarsError, OSError):
            files.require(shown[0])
            raise
        columns = tuple((name, str(dtype).partition("(")[0]) for name, dtype in frame.schema.items())
        return ResultsPage(columns, tuple(map(_texts, frame.iter_rows())), first_row, total)


def _texts(row: Sequence[object]) -> tuple[str | None, ...]:
    return tuple(None if value is None else str(value)[:_TEXT] for value in row)
