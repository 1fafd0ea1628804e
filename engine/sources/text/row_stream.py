"""Takes pieces of any number of rows, and returns pieces of the size that the caller asks for.

Invariant: no row is lost, repeated or moved, whether it could be read or not. Frames are sliced, never copied; only the
pieces that one request needs are kept, and the rest of the last one. This module must not know where they come from.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from engine.batch import SourceRow


@dataclass(frozen=True, slots=True)
class RowPiece:
    """Rows that follow each other in the source, from row `start` on.

    `unreadable` are those that can't be read, in order; `data` holds the others.
    """

    start: int
    data: pl.DataFrame
    unreadable: tuple[SourceRow, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows of the source this is."""
        return self.data.height + len(self.unreadable)

    def split(self, rows: int) -> tuple[RowPiece, RowPiece]:
        """Return the first `rows` rows, and the others."""
        cut = self.start + rows
        first = tuple(row for row in self.unreadable if row.row < cut)
        good = rows - len(first)
        return (
            RowPiece(self.start, self.data.head(good), first),
            RowPiece(cut, self.data.slice(good), self.unreadable[len(first) :]),
        )


class RowStream:
    """The rows of an iterator of pieces, in order. All pieces must have the same columns.

    After an exception from the iterator the stream can't be used any more: make a new one.
    """

    def __init__(self, pieces: Iterator[RowPiece]) -> None:
        self._pieces = pieces
        self._held: deque[RowPiece] = deque()
        self._held_rows = 0

    def fill(self, rows: int) -> None:
        """Read until at least `rows` rows are held, or the iterator ends."""
        while self._held_rows < rows and (piece := next(self._pieces, None)) is not None:
            self._held.append(piece)
            self._held_rows += piece.rows

    def take(self, rows: int) -> RowPiece | None:
        """Return the next `rows` rows, fewer only at the end, and None if none are left."""
        import polars as pl

        self.fill(rows)
        taken: list[RowPiece] = []
        missing = min(rows, self._held_rows)
        self._held_rows -= missing
        while missing:
            piece = self._held.popleft()
            if piece.rows > missing:
                piece, rest = piece.split(missing)
                self._held.appendleft(rest)
            if piece.rows:
                taken.append(piece)
            missing -= piece.rows
        if not taken:
            return None
        frames = [piece.data for piece in taken if piece.data.height] or [taken[0].data]
        return RowPiece(taken[0].start, pl.concat(frames), tuple(row for piece in taken for row in piece.unreadable))
