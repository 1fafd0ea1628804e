"""How far into a file the committed rows reach, from the blocks that were parsed.

Invariant: the bytes before a mark are those of the rows before it, no row after it: a person may correct a line after
the frontier, and none before it.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.sources.identity import Mark
    from engine.sources.text.watched_file import WatchedFile


@dataclass(eq=False)
class BlocksRead:
    """The latest block of a file. `mark` is what has been read before it, and of it.

    Inside `quote` a line end is no end of a row; it may be empty.
    """

    mark: Mark
    _: KW_ONLY
    quote: bytes = b""

    def __post_init__(self) -> None:
        self._block = b""
        self._done = 0
        self._first_row = self._row = self._stop_row = 0
        self._ends: Sequence[int] | None = None
        self._lines = -1  # not counted yet
        self._last = False

    def add(self, block: bytes, row: int, rows: int, ends: Sequence[int] | None = None, *, last: bool = False) -> Mark:
        """Take the next block, which has `rows` rows from `row` on; return the mark before it.

        `ends` says where its rows end; without it, at each line end outside of quotes. `last` says that the block ends
        only because the file ends.
        """
        self.mark = self.mark.extended(memoryview(self._block)[self._done :])
        self._block, self._done = block, 0
        self._first_row = self._row = row
        self._stop_row = row + rows
        self._ends, self._last, self._lines = ends, last, -1
        return self.mark

    def mark_before(self, row: int) -> Mark | None:
        """Return the mark before source row `row`, or None if that isn't in the latest block. Ask in rising order."""
        if not self._row <= row <= self._stop_row:
            return None
        end = len(self._block) if row == self._stop_row else self._end_of(row)
        self.mark = self.mark.extended(memoryview(self._block)[self._done : end])
        self._row, self._done = row, end
        return replace(self.mark, tail=self._first_row) if self._last and row > self._first_row else self.mark

    def rows_before_tail(self, row: int, rows: int) -> int:
        """Return how many rows a batch from `row` on may have, at most `rows`.

        Rows that ended only because the file ended go into one batch: then one batch is to be read again if the file
        grows. They are several if a quote is not closed there.
        """
        cut = self._last and row < self._first_row < row + rows < self._stop_row
        return self._first_row - row if cut else rows

    @property
    def end(self) -> int:
        """The byte where the latest block ends."""
        return self.mark.end + len(self._block) - self._done

    def notice_at_end(self, file: WatchedFile) -> str:
        """Return what people should know about the last line of the file, which was read to its end; or nothing."""
        if file.mark.end > self.end:
            return (
                f"{file.path} grew while it was read, and its last line has no line end yet: the run ended before that "
                "line. Run again when the line is complete."
            )
        if self._block and not self._block.endswith(b"\n") and file.is_young():
            return (
                f"the last line of {file.path} has no line end, and was read as a row. The file was changed less than "
                "a minute ago: if the line is continued, the next run reads its batch again."
            )
        return ""

    def _end_of(self, row: int) -> int:
        """Return where the row before `row` ends."""
        if row == self._row:
            return self._done
        if self._ends is not None:
            return self._ends[row - self._first_row - 1]
        if not self.quote or self._block.find(self.quote, self._done) < 0 or self._each_line_is_a_row():
            return _after_lines(self._block, self._done, row - self._row, self._stop_row - self._row)
        end, missing, inside = self._done, row - self._row, False
        while missing > 0 and (next_end := self._block.find(b"\n", end) + 1):
            inside ^= bool(self._block.count(self.quote, end, next_end) % 2)
            end, missing = next_end, missing - (not inside)
        return end

    def _each_line_is_a_row(self) -> bool:
        if self._lines < 0:
            self._lines = self._block.count(b"\n") + (not self._block.endswith(b"\n"))
        return self._lines == self._stop_row - self._first_row


def _after_lines(data: bytes, start: int, lines: int, lines_left: int) -> int:
    """Return where `lines` more lines end. `lines_left` is how many there are about: it makes the search short."""
    end = start + (len(data) - start) * lines // max(lines_left, 1)
    found = data.count(b"\n", start, end)
    for _ in range(lines - found):
        end = data.find(b"\n", end) + 1 or len(data)
    for _ in range(found - lines + 1):
        end = data.rfind(b"\n", start, end)
    return end + (found >= lines)
