"""The unit of work: a run of source rows and the frame that holds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row that a source can't read: where it is, what it says, and why it can't be read.

    `row` is its number in the source, from 0. `text` is the row as it is in the file, without its line end; bytes that
    aren't UTF-8 are escaped. `line` counts the lines of `file` from 1, as an editor does, and `byte` from 0; they are
    those of the row's first line. `hint` names the one option of the fetcher that would help here; it may be empty.
    """

    row: int
    text: str
    reason: str
    file: str = ""
    line: int = 0
    byte: int = 0
    hint: str = ""

    @property
    def place(self) -> str:
        """Where the row is, in words: its file and line if they are known."""
        line = f"line {self.line:,}" if self.line else f"row {self.row:,}"
        return f"{self.file}, {line}" if self.file else line


@dataclass(frozen=True, slots=True)
class Batch:
    """Source rows `start_row … end_row` (both inclusive, 0-based) and what the steps made of them.

    `batch_id` counts from 0 without gaps. A batch of zero rows has `end_row == start_row - 1`.
    `data` holds exactly the source rows when it leaves the fetcher; steps may drop, add or change rows
    and columns, but never the bounds. `key` is set by the engine: the same text for the same batch in
    every attempt and after every resume, for steps that write to the outside world and want to
    recognise a repetition. `unreadable` are the rows in these bounds that the source can't read; `data` holds the
    others, in order.
    """

    batch_id: int
    start_row: int
    end_row: int
    data: pl.DataFrame
    key: str = ""
    unreadable: tuple[SourceRow, ...] = ()

    @property
    def size(self) -> int:
        """Number of source rows, including those that steps have dropped since."""
        return self.end_row - self.start_row + 1

    @property
    def readable(self) -> list[int]:
        """The numbers of the source rows that the source could read, one for each row of `data` as it was fetched."""
        unreadable = {row.row for row in self.unreadable}
        return [number for number in range(self.start_row, self.end_row + 1) if number not in unreadable]

    def with_data(self, data: pl.DataFrame) -> Batch:
        """Return the same batch with `data`: a step's result."""
        return replace(self, data=data)
