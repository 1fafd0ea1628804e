"""A fetcher over a source that is read once, from front to back.

Invariant: the rows below `next_row` were handed out, each once, and no others. After a failed fetch the
stream is begun again at that row, because a broken Polars stream says that it has ended.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from engine.batch import Batch
from engine.fetcher import SeekableFetcher
from engine.fetchers.row_stream import RowStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from engine.fetcher import Position


class StreamFetcher(SeekableFetcher):
    """Batches cut from the frames that `_frames_from` yields. Sequential: one batch after the other."""

    _next_row = 0
    _stream: RowStream | None = None

    @abstractmethod
    def _frames_from(self, next_row: int) -> Iterator[pl.DataFrame]:
        """Yield the source's rows from `next_row` on, in frames of any height.

        Raises:
            SourceChanged: there is no row before `next_row`; before the first frame.
        """

    def open(self, position: Position) -> None:
        """Get ready; behind the start of the source this reads on to the position, and checks it."""
        super().open(position)
        self._next_row = position.next_row
        self._stream = None
        if position.next_row:
            self._stream = RowStream(self._frames_from(position.next_row))
            self._stream.fill(1)

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the next `batch_size` rows of the source, fewer at its end, then None."""
        stream = self._stream or RowStream(self._frames_from(self._next_row))
        self._stream = None  # whatever `take` raises, the next fetch begins a new stream
        data = stream.take(batch_size)
        self._stream = stream
        if data is None:
            return None
        start_row, self._next_row = self._next_row, self._next_row + data.height
        return Batch(batch_id, start_row, self._next_row - 1, data)

    def close(self) -> None:
        """Stop reading ahead: dropping a Polars stream ends its query."""
        self._stream = None
