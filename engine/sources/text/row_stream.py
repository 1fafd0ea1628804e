"""Takes pieces of any number of rows, and returns pieces of the size that the caller asks for.

Invariant: no row is lost, repeated or moved, whether it could be read or not. Frames are sliced, never copied; only the
pieces that one request needs are kept, and the rest of the last one. This module must not know where they come from.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.sources.memory import frame_bytes

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

    @property
    def bytes(self) -> int:
        """About how much memory the rows take."""
        return frame_bytes(self.data) + sum(len(row.text) for row in self.unreadable)

    def head(self, max_bytes: int) -> RowPiece:
        """Return the first rows, as many as fit into `max_bytes` of memory, at least one."""
        piece = self
        while piece.rows > 1 and (size := piece.bytes) > max_bytes:
            piece = piece.split(max(1, min(piece.rows - 1, piece.rows * max_bytes // size)))[0]
        return piece

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
        self._held_rows = self._held_bytes = 0

    def fill(self, rows: int, max_bytes: int | None = None) -> None:
        """Read until at least `rows` rows or more than `max_bytes` of memory are held, or the iterator ends."""
        while (
            self._held_rows < rows
            and (max_bytes is None or self._held_bytes <= max_bytes)
            and (piece := next(self._pieces, None)) is not None
        ):
            self._hold(piece, first=False)

    def take(self, rows: int, max_bytes: int | None = None) -> RowPiece | None:
        """Return the next `rows` rows, None if none are left.

        They are fewer at the end, and if they would take more than `max_bytes` of memory; but at least one.
        """
        import polars as pl

        self.fill(rows, max_bytes)
        taken: list[RowPiece] = []
        while rows and self._held:
            piece = self._held.popleft()
            size = piece.bytes
            self._held_rows -= piece.rows
            self._held_bytes -= size
            fitting = min(rows, piece.rows)
            if max_bytes is not None and size > max_bytes:
                fitting = 0 if taken else piece.split(fitting)[0].head(max_bytes).rows
                rows = fitting
            if fitting < piece.rows:
                piece, rest = piece.split(fitting)
                self._hold(rest, first=True)
            if piece.rows:
                taken.append(piece)
            rows -= piece.rows
            max_bytes = None if max_bytes is None else max_bytes - size
        if not taken:
            return None
        frames = [piece.data for piece in taken if piece.data.height] or [taken[0].data]
        return RowPiece(taken[0].start, pl.concat(frames), tuple(row for piece in taken for row in piece.unreadable))

    def _hold(self, piece: RowPiece, *, first: bool) -> None:
        (self._held.appendleft if first else self._held.append)(piece)
        self._held_rows += piece.rows
        self._held_bytes += piece.bytes
