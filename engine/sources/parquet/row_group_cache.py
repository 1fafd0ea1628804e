"""Row groups that are decoded and whose rows have not all been returned yet.

Invariant: a row group is decoded once even if several threads ask for it at the same time, it is dropped when its last
row has been returned, and no more than `capacity` are held. This module must not know where row groups come from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from engine.sources.parquet.files import RowGroup


@dataclass(slots=True)
class _Entry:
    decoding: Lock = field(default_factory=Lock)
    frame: pl.DataFrame | None = None
    rows_handed_out: int = 0


class RowGroupCache:
    """Slices of row groups. `decode` decodes a group when the first of its rows are asked for.

    Rows before `first_row` are never asked for, so the group of that row is dropped that much earlier. Beyond
    `capacity` the earliest group is dropped, because batches are asked for in nearly ascending order; if its rows are
    asked for after that, it is decoded again.
    """

    def __init__(self, decode: Callable[[RowGroup], pl.DataFrame], *, first_row: int = 0, capacity: int = 6) -> None:
        self._decode = decode
        self._first_row = first_row
        self._capacity = capacity
        self._entries: dict[int, _Entry] = {}
        self._lock = Lock()

    def rows(self, group: RowGroup, start: int, stop: int) -> pl.DataFrame:
        """Return rows `start … stop - 1` of the source, without a copy. All of them must be in `group`."""
        with self._lock:
            entry = self._entries.setdefault(group.start, _Entry())
            if len(self._entries) > self._capacity:
                del self._entries[min(self._entries)]
        with entry.decoding:
            frame = entry.frame
            if frame is None:
                frame = entry.frame = self._decode(group)
        with self._lock:
            entry.rows_handed_out += stop - start
            done = entry.rows_handed_out >= group.stop - max(group.start, self._first_row)
            if done and self._entries.get(group.start) is entry:
                del self._entries[group.start]
        return frame.slice(start - group.start, stop - start)

    def __len__(self) -> int:
        """Return the number of row groups held, including those that are being decoded."""
        return len(self._entries)
