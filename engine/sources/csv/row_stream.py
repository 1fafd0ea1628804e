"""Takes frames of any height, and returns frames of the height that the caller asks for.

Invariant: no row is lost, repeated or moved. Frames are sliced, never copied; only the frames that one request needs
are kept, and the rest of the last one. This module must not know where the frames come from.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


class RowStream:
    """The rows of an iterator of frames, in order. All frames must have the same columns.

    After an exception from the iterator the stream can't be used any more: make a new one.
    """

    def __init__(self, frames: Iterator[pl.DataFrame]) -> None:
        self._frames = frames
        self._held: deque[pl.DataFrame] = deque()
        self._held_rows = 0

    def fill(self, rows: int) -> None:
        """Read until at least `rows` rows are held, or the iterator ends."""
        while self._held_rows < rows and (frame := next(self._frames, None)) is not None:
            self._held.append(frame)
            self._held_rows += frame.height

    def take(self, rows: int) -> pl.DataFrame | None:
        """Return the next `rows` rows, fewer only at the end, and None if none are left."""
        import polars as pl

        self.fill(rows)
        pieces: list[pl.DataFrame] = []
        missing = min(rows, self._held_rows)
        self._held_rows -= missing
        while missing:
            frame = self._held.popleft()
            if frame.height > missing:
                self._held.appendleft(frame.slice(missing))
                frame = frame.head(missing)
            if frame.height:
                pieces.append(frame)
            missing -= frame.height
        return pl.concat(pieces) if pieces else None
