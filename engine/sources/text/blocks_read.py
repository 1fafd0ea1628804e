"""How far into a file the committed rows reach, from the blocks that were parsed.

Invariant: the bytes before a mark are those of the rows before it, no row after it: a person may correct a line after
the frontier, and none before it.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.sources.identity import Mark
    from engine.sources.text.watched_file import WatchedFile


@dataclass(eq=False)
class BlocksRead:
    """The latest block of a file. `mark` is what has been read before the first block.

    `quote` opens and closes a field that may contain line ends; a line that begins with `comment` is no row.
    """

    mark: Mark
    _: KW_ONLY
    quote: bytes | None = None
    comment: bytes | None = None

    def __post_init__(self) -> None:
        self._block = b""
        self._row = self._stop_row = 0
        self._done = 0

    def add(self, block: bytes, row: int, rows: int, *, header: bool = False) -> Mark:
        """Take the next block, which has `rows` rows from `row` on; return the mark before it.

        `header` says that its first line that isn't a comment is no row.
        """
        self.mark = self.mark.extended(memoryview(self._block)[self._done :])
        self._block, self._done = block, 0
        self._row, self._stop_row = row - header, row + rows
        return self.mark

    def mark_before(self, row: int) -> Mark | None:
        """Return the mark before source row `row`, or None if that isn't in the latest block. Ask in rising order."""
        if not self._row <= row <= self._stop_row:
            return None
        end = len(self._block)
        if row < self._stop_row:
            end = self._after_rows(row - self._row)
        self.mark = self.mark.extended(memoryview(self._block)[self._done : end])
        self._row, self._done = row, end
        return self.mark

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

    def _after_rows(self, rows: int) -> int:
        """Return where `rows` more rows end."""
        simple = self.comment is None and (self.quote is None or self._block.find(self.quote, self._done) < 0)
        if simple:
            return _after_lines(self._block, self._done, rows, self._stop_row - self._row)
        end = self._done
        inside = False
        while rows > 0 and (next_end := self._block.find(b"\n", end) + 1):
            line = self._block[end:next_end]
            end = next_end
            if not inside and self.comment is not None and line.startswith(self.comment):
                continue
            inside ^= self.quote is not None and bool(line.count(self.quote) % 2)
            rows -= not inside
        return end


def _after_lines(data: bytes, start: int, lines: int, lines_left: int) -> int:
    """Return where `lines` more lines end. `lines_left` is how many there are about: it makes the search short."""
    end = start + (len(data) - start) * lines // max(lines_left, 1)
    found = data.count(b"\n", start, end)
    for _ in range(lines - found):
        end = data.find(b"\n", end) + 1 or len(data)
    for _ in range(found - lines + 1):
        end = data.rfind(b"\n", start, end)
    return end + (found >= lines)
