"""Which version of its files a cursor has read: enough to notice that a file was replaced.

Such files are written once: a program that adds rows writes the whole file again, with another footer. So size, footer
and both ends of a file stand for its content; another version is another file, even if it begins with the same rows.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from engine.sources.identity import chained, changed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engine.sources.files import SourceFiles
    from engine.text.json_values import Json

_EDGE_BYTES = 64 << 10


class FileVersions:
    """The versions of the files when they were opened. Their last `trailer` bytes begin with the footer's length.

    Raises:
        OSError: a file can't be read.
    """

    def __init__(self, found: SourceFiles, *, trailer: int) -> None:
        self._paths = found.paths
        self._digests = [chained("", *_edges(path, trailer)) for path in found.paths]
        self._states = [_state(path) for path in found.paths]
        self._before = [""]
        for path, root, digest in zip(found.paths, found.roots, self._digests, strict=True):
            name = str(path.relative_to(root))
            self._before.append(chained(self._before[-1], name, digest))

    def as_cursor(self, file: int) -> dict[str, Json]:
        """Return the part of a cursor that stands for the versions of the file and of all files before it."""
        return {"before": self._before[file], "seen": self._digests[file]}

    def compare(self, cursor: Mapping[str, Json], file: int) -> None:
        """Compare with the versions that the cursor names. One of an older version of this software names none.

        Raises:
            SourceChanged: the file, or one before it, is another one now.
        """
        path = self._paths[file]
        if cursor.get("seen", self._digests[file]) != self._digests[file]:
            raise changed(f"{path} isn't the file any more whose rows are committed: it was replaced or written again")
        if cursor.get("before", self._before[file]) != self._before[file]:
            raise changed(f"a file before {path} was replaced, written again, renamed, or added")

    def check(self, file: int) -> None:
        """Check that the file is still the one that was opened. Raises `SourceChanged` if it isn't."""
        try:
            same = _state(self._paths[file]) == self._states[file]
        except OSError:
            same = False
        if not same:
            raise changed(f"{self._paths[file]} was changed or replaced while it was read")


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _edges(path: Path, trailer: int) -> tuple[int, int, int]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - trailer))
        footer = int.from_bytes(file.read(4), "little") + trailer
        file.seek(max(0, size - max(footer, _EDGE_BYTES)))
        end = zlib.crc32(file.read())
        file.seek(0)
        return size, zlib.crc32(file.read(_EDGE_BYTES)), end
