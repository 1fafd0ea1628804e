"""A file that may change while it is read: what was read is the beginning of the file, or there is an error.

Invariant: the end of the file is reported only if all bytes that were read are in the file at that moment.
"""

from __future__ import annotations

import gzip
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.sources.identity import FileState, Mark, changed, read_on

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from engine.sources.identity import OpenBytes

YOUNG_SECONDS = 60


class WatchedFile:
    """The bytes of `path` from `mark.end` on; `mark` is what was read before. Read once, to the end.

    A file that another process appends to is read to the end that it has when the first end is reached: a reader must
    not follow a writer for ever.
    """

    def __init__(self, path: Path, open_bytes: OpenBytes, mark: Mark) -> None:
        self.path = path
        self._open_bytes = open_bytes
        self._open()
        self._first_size = self._state.size
        # Another state, or one that can't be trusted: the bytes before are compared again at the end.
        known = mark.end == 0 or mark.state == self._state.text
        self._mark = replace(mark, state=self._state.trusted if known else None)
        self._after_mark: list[bytes | memoryview] = []
        self._position = mark.end
        self.grew = False
        """Whether the file was appended to while it was read: then more may come."""
        self.ended = False
        """Whether the end has been read."""
        self._limit: int | None = None
        self._file.seek(mark.end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opening.__exit__(kind, error, trace)

    @property
    def mark(self) -> Mark:
        """What has been read, and the state of the file if it is that of these bytes."""
        for data in self._after_mark:
            self._mark = self._mark.extended(data)
        self._after_mark = []
        return self._mark

    def take_mark(self, mark: Mark) -> None:
        """Take an earlier mark from the reader: then its bytes need no second checksum."""
        passed = mark.end - self._mark.end
        while self._after_mark and passed >= len(self._after_mark[0]):
            passed -= len(self._after_mark.pop(0))
        if passed > 0 and self._after_mark:
            self._after_mark[0] = memoryview(self._after_mark[0])[passed:]
        if passed >= 0:
            self._mark = replace(mark, state=self._mark.state)

    def seek(self, byte: int) -> None:
        """Read on to a byte, which must not be before the mark."""
        while self._position < byte and self.read(byte - self._position):
            pass

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`, or nothing at the end.

        Raises:
            SourceChanged: the file was cut, overwritten or removed while it was read.
        """
        chunk = self._next(size)
        if not chunk and not self._unchanged():
            self._compare()
            self.grew = self._state.size > self._first_size
            if self._limit is None:
                self._limit = self._state.size
                chunk = self._next(size)
        self.ended = not chunk
        return chunk

    def is_young(self) -> bool:
        """Return whether the file was changed less than a minute ago, so that it may still be being written."""
        return self._state.changed > time.time() - YOUNG_SECONDS

    def _next(self, size: int) -> bytes:
        if self._limit is not None and not self._packed:
            size = max(0, min(size, self._limit - self._position))
        chunk: bytes = self._file.read(size)
        self._after_mark.append(chunk)
        self._position += len(chunk)
        return chunk

    def _open(self) -> None:
        self._opening = self._open_bytes(self.path)
        self._file = self._opening.__enter__()
        self._state = FileState.of(self._file.fileno())
        self._packed = isinstance(self._file, gzip.GzipFile)

    def _unchanged(self) -> bool:
        """Return whether the file is the one that was opened, and its state says so with certainty."""
        try:
            now = FileState.of(self.path)
        except OSError as error:
            raise changed(f"{self.path} was removed while it was read") from error
        return self._mark.state == now.text

    def _compare(self) -> None:
        """Open the file by its name, compare what was read, and continue there."""
        self._opening.__exit__(None, None, None)
        self._open()
        mark = self.mark
        found = read_on(self._file, Mark(), mark.end)
        if found.end < mark.end:
            raise changed(f"{self.path} was cut while it was read: of {mark.end:,} bytes {found.end:,} are left")
        if mark.crc not in {None, found.crc}:
            raise changed(f"{self.path} was overwritten or replaced while it was read")
        self._mark = replace(mark, state=self._state.trusted)
