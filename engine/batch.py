"""The unit of work: a run of source rows and the frame that holds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Batch:
    """Source rows `start_row … end_row` (both inclusive, 0-based) and what the steps made of them.

    `batch_id` counts from 0 without gaps. A batch of zero rows has `end_row == start_row - 1`.
    `data` holds exactly the source rows when it leaves the fetcher; steps may drop, add or change rows
    and columns, but never the bounds. `key` is set by the engine: the same text for the same batch in
    every attempt and after every resume, for steps that write to the outside world and want to
    recognise a repetition.
    """

    batch_id: int
    start_row: int
    end_row: int
    data: pl.DataFrame
    key: str = ""

    @property
    def size(self) -> int:
        """Number of source rows, including those that steps have dropped since."""
        return self.end_row - self.start_row + 1

    def with_data(self, data: pl.DataFrame) -> Batch:
        """Return the same batch with `data`: a step's result."""
        return replace(self, data=data)
