"""How much memory a batch may take, and which rows fit into it.

Rows are a poor measure of memory: one may have 10 bytes or 100 KB. So a batch ends at `batch_size` rows or at a number
of bytes, whichever comes first. The engine decides the number and hands it to the source in `Position.batch_bytes`. It
must not be part of the identity of a source, or of a cursor: a run may continue on a machine with other memory.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

_MOST_BYTES = 256 << 20
_LEAST_BYTES = 16 << 20
_SHARE = 16
"""A worker may hold this share of the memory as one batch: steps and the write of the part need several times that."""

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much memory a container may use; "max" if there is no limit."""


def default_batch_bytes(workers: int) -> int:
    """Return the bound in bytes for one of `workers` batches that are worked on at once: 16 to 256 MiB."""
    return max(_LEAST_BYTES, min(_MOST_BYTES, memory_bytes() // _SHARE // workers))


def memory_bytes() -> int:
    """Return the bytes of memory that this process may use."""
    known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in _LIMITS:
        with suppress(OSError, ValueError):
            known.append(int(Path(limit).read_text()))
    return min(known)


def frame_bytes(frame: pl.DataFrame) -> int:
    """Return about how many bytes of memory the rows of `frame` take."""
    import polars as pl

    # Polars counts the characters of texts, but not the 16 bytes in which it keeps the length and place of each.
    texts = sum(dtype in (pl.String, pl.Binary) for dtype in frame.dtypes)
    return int(frame.estimated_size()) + 16 * texts * frame.height


def rows_within(frame: pl.DataFrame, max_bytes: int | None) -> int:
    """Return how many of the first rows of `frame` fit into `max_bytes`, at least one of them.

    Return 0 only for a frame without rows. None is no bound.
    """
    rows = frame.height
    while rows > 1 and max_bytes is not None and (held := frame_bytes(frame.head(rows))) > max_bytes:
        rows = max(1, min(rows - 1, rows * max_bytes // held))
    return rows


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows `start … stop - 1` of the source, which take about `bytes` of memory."""

    start: int
    stop: int
    bytes: int


class BatchBounds:
    """Where each batch begins and ends, for a source whose rows lie in `pieces`, one after the other.

    A batch from row `first_row` on has `batch_size` rows, unless they take more than `max_bytes`: then it ends with the
    last piece that fits, since a piece that one batch needs completely has to be read only once. One piece always fits.
    """

    def __init__(self, pieces: Sequence[Piece], first_row: int, batch_size: int, max_bytes: int | None) -> None:
        self._first_row = first_row
        self._size = batch_size
        self._rows = pieces[-1].stop if pieces else 0
        self._starts: list[int] | None = None  # most sources need no list: all batches have the same size
        densest = max((piece.bytes / (piece.stop - piece.start) for piece in pieces), default=0)
        if max_bytes is not None and densest * batch_size > max_bytes:
            self._starts = _starts(pieces, first_row, batch_size, max_bytes)

    def __getitem__(self, number: int) -> tuple[int, int] | None:
        """Return the first row and the row after the last one of the batch; None past the end of the source."""
        if self._starts is None:
            start = self._first_row + number * self._size
            return (start, min(start + self._size, self._rows)) if start < self._rows else None
        return (self._starts[number], self._starts[number + 1]) if number + 1 < len(self._starts) else None


def _starts(pieces: Sequence[Piece], first_row: int, batch_size: int, max_bytes: int) -> list[int]:
    """Return the first row of each batch, and the number of rows of the source."""
    stops = [piece.stop for piece in pieces]
    totals = [0, *accumulate(piece.bytes for piece in pieces)]

    def bytes_before(row: int) -> float:
        number = bisect_right(stops, row)
        if number == len(pieces):
            return totals[-1]
        piece = pieces[number]
        return totals[number] + piece.bytes * (row - piece.start) / (piece.stop - piece.start)

    starts = [first_row]
    while (row := starts[-1]) < stops[-1]:
        stop, most = min(row + batch_size, stops[-1]), bytes_before(row) + max_bytes
        if bytes_before(stop) > most:
            fitting = bisect_right(totals, most) - 1
            stop = min(stop, stops[max(fitting - 1, bisect_right(stops, row))])
        starts.append(stop)
    return starts
