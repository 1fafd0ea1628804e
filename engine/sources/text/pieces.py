"""Runs of source rows, the good ones in a frame and the bad ones by name, cut to the height that a caller asks for.

Invariant: no row is lost, repeated or moved. Frames are sliced, never copied; only the pieces that one request needs
are kept, and the rest of the last one. This module must not know where the rows come from.
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
class Piece:
    """Source rows `row … row + height - 1`: those of `unreadable`, and the others in `frame`, in order."""

    row: int
    frame: pl.DataFrame
    unreadable: tuple[SourceRow, ...] = ()

    @property
    def height(self) -> int:
        """Number of source rows, including those that can't be read."""
        return self.frame.height + len(self.unreadable)

    def split(self, rows: int) -> tuple[Piece, Piece]:
        """Return the first `rows` rows, and the others."""
        cut = self.row + rows
        early = tuple(each for each in self.unreadable if each.row < cut)
        good = rows - len(early)
        return (
            Piece(self.row, self.frame.head(good), early),
            Piece(cut, self.frame.slice(good), self.unreadable[len(early) :]),
        )


class PieceStream:
    """The rows of an iterator of pieces, in order. All frames must have the same columns.

    After an exception from the iterator the stream can't be used any more: make a new one.
    """

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._held: deque[Piece] = deque()
        self._held_rows = 0

    def fill(self, rows: int) -> None:
        """Read until at least `rows` rows are held, or the iterator ends."""
        while self._held_rows < rows and (piece := next(self._pieces, None)) is not None:
            self._held.append(piece)
            self._held_rows += piece.height

    def take(self, rows: int) -> Piece | None:
        """Return the next `rows` rows, fewer only at the end, and None if none are left."""
        import polars as pl

        self.fill(rows)
        missing = min(rows, self._held_rows)
        self._held_rows -= missing
        taken: list[Piece] = []
        while missing:
            piece = self._held.popleft()
            if piece.height > missing:
                piece, rest = piece.split(missing)
                self._held.appendleft(rest)
            taken.append(piece)
            missing -= piece.height
        if not taken:
            return None
        bad = tuple(row for piece in taken for row in piece.unreadable)
        return Piece(taken[0].row, pl.concat([piece.frame for piece in taken]), bad)
