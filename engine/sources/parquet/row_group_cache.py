"""Row groups that are decoded and not yet wholly handed out.

Invariant: a row group is decoded once however many threads ask for it at the same time, is dropped with its
last row, and no more than `capacity` are held. It must not know where row groups come from.
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
    """Slices of row groups, which `decode` makes when they are first asked for.

    Rows below `first_row` will never be asked for, so the group that holds it ends early. Past `capacity`
    the earliest group goes, because batches are asked for in nearly ascending order; whoever still wants
    rows of it has it decoded again.
    """

    def __init__(self, decode: Callable[[RowGroup], pl.DataFrame], *, first_row: int = 0, capacity: int = 6) -> None:
        self._decode = decode
        self._first_row = first_row
        self._capacity = capacity
        self._entries: dict[int, _Entry] = {}
        self._lock = Lock()

    def rows(self, group: RowGroup, start: int, stop: int) -> pl.DataFrame:
        """Return rows `start … stop - 1` of the source, all of which are in `group`, without a copy."""
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
        """Number of row groups held, those that are being decoded included."""
        return len(self._entries)
