"""What the footer of an Arrow IPC file says: where its record batches are, and how much memory they take.

Neither Polars nor DuckDB says that. The footer and the head of a record batch are FlatBuffers tables, of which only
some numbers are needed; https://arrow.apache.org/docs/format/Columnar.html describes them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

from engine.sources.memory import memory_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"ARROW1"
TRAILER = 4 + len(MAGIC)
"""The bytes at the end of the file: the length of the footer, and the magic."""

_RECORD_BATCHES = 3  # fields by their number in Footer, Message and RecordBatch
_HEADER = 2
_LENGTH, _NODES, _BUFFERS, _COMPRESSION = 0, 1, 2, 3
_CONTINUATION = b"\xff\xff\xff\xff"


def record_batches(path: Path) -> list[tuple[int, int]]:
    """Return for each record batch its number of rows, and the bytes of its columns in memory.

    Raises:
        OSError, ValueError, struct.error: it can't be read, or isn't an Arrow IPC file.
    """
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, 2)
        if size < TRAILER + 8 or _read(file, 0, len(MAGIC), size) != MAGIC:
            raise ValueError(f"it doesn't begin with {MAGIC.decode()}")
        trailer = _read(file, size - TRAILER, TRAILER, size)
        if not trailer.endswith(MAGIC):
            raise ValueError(
                f"it doesn't end with {MAGIC.decode()}: it isn't complete, or is a stream of Arrow batches"
            )
        length = int.from_bytes(trailer[:4], "little")
        footer = _Table.root(_read(file, size - TRAILER - length, length, size))
        return [
            _record_batch(file, offset, metadata, size)
            for offset, metadata, _ in footer.vector(_RECORD_BATCHES, "<qi4xq")
        ]


def _record_batch(file: BinaryIO, offset: int, metadata: int, size: int) -> tuple[int, int]:
    head = _read(file, offset, metadata, size)
    batch = _Table.root(head[8 if head.startswith(_CONTINUATION) else 4 :]).table(_HEADER)
    rows = batch.number(_LENGTH, "<q")
    if not 0 <= rows < 1 << 48:
        raise ValueError(f"it has a record batch of {rows} rows")
    compressed = batch.place(_COMPRESSION) is not None
    taken = 0
    for start, length in batch.vector(_BUFFERS, "<qq"):
        if min(start, length) < 0 or offset + metadata + start + length > size:
            raise ValueError("it has a column outside of the file")
        plain = -1
        if compressed and length:  # then a buffer begins with its plain length, -1 if it isn't compressed
            (plain,) = struct.unpack("<q", _read(file, offset + metadata + start, 8, size))
            if plain > memory_bytes():  # Polars would try to get them, and abort the process
                raise ValueError(f"it has a column of {plain:,} bytes, more than the memory of this machine")
        taken += length if plain < 0 else plain
    longest = max((length for length, _ in batch.vector(_NODES, "<qq")), default=0)
    if longest > max(rows, 8 * taken):  # each value takes a bit at least, except in a column of nulls alone
        raise ValueError(f"it has a column of {longest:,} values in {taken:,} bytes")
    return rows, taken


def _read(file: BinaryIO, start: int, length: int, size: int) -> bytes:
    if start < 0 or length < 0 or start + length > size:
        raise ValueError("its footer names a place outside of the file")
    file.seek(start)
    return file.read(length)


class _Table:
    """A FlatBuffers table at `position` of `data`."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    @classmethod
    def root(cls, data: bytes) -> _Table:
        """Return the table that `data` is made of."""
        return cls(data, *struct.unpack_from("<I", data))

    def place(self, field: int) -> int | None:
        """Return where the value of the field is; None if it has none."""
        (back,) = struct.unpack_from("<i", self._data, self._position)
        fields = self._position - back
        (size,) = struct.unpack_from("<H", self._data, fields)
        if 4 + 2 * field >= size:
            return None
        (offset,) = struct.unpack_from("<H", self._data, fields + 4 + 2 * field)
        return self._position + offset if offset else None

    def number(self, field: int, layout: str) -> int:
        """Return the number in the field, 0 if it has none."""
        place = self.place(field)
        return 0 if place is None else int(struct.unpack_from(layout, self._data, place)[0])

    def table(self, field: int) -> _Table:
        """Return the table in the field."""
        place = self.place(field)
        if place is None:
            raise ValueError("it has a record batch without a head")
        return _Table(self._data, place + struct.unpack_from("<I", self._data, place)[0])

    def vector(self, field: int, layout: str) -> Iterator[tuple[int, ...]]:
        """Return the structs in the field."""
        place = self.place(field)
        if place is None:
            return iter(())
        place += struct.unpack_from("<I", self._data, place)[0]
        (count,) = struct.unpack_from("<I", self._data, place)
        content = self._data[place + 4 : place + 4 + count * struct.calcsize(layout)]
        return struct.iter_unpack(layout, content)
