"""What a cursor knows of the files that were read: enough to tell "grew at its end" from "another file".

Invariant: a file that differs in one byte before the frontier is never taken for the file that was read, and the cursor
has the same size whatever the number of files. Content is compared only where size, times or inode differ, because then
they can't tell whether a file was rewritten or only copied.
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from engine.errors import SourceChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    from engine.text.json_values import Json

    OpenBytes: TypeAlias = "Callable[[Path], AbstractContextManager[Any]]"
    """Opens a file as its reader sees it: decompressed."""

SETTLED_SECONDS = 2
"""How old a file's time must be to be trusted. File systems count time in steps of up to 2 s, and within one step a
file can be written twice."""

_READ_BYTES = 1 << 20


def changed(message: str) -> SourceChanged:
    """Return the error for files that aren't those that were read, with all ways out."""
    return SourceChanged(
        message,
        hint="Nothing was changed. Bring the file back as it was, and put new rows at its end or into a new file that "
        "is read after it; or rewind to a batch before the change; or reset, to read all files again. "
        "--accept-changes (accept_changes=True) keeps the committed results and continues at the same place.",
    )


def chained(previous: str, *facts: object) -> str:
    """Return the digest of a list that has grown by `facts`; `previous` is the digest of the list before.

    >>> chained(chained("", "a.csv", 10), "b.csv", 20) == chained(chained("", "a.csv", 11), "b.csv", 20)
    False
    """
    return hashlib.blake2b(repr((previous, *facts)).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class FileState:
    """What the file system says about a file: its size, times and number, as one text.

    `changed` is when its content was changed, in seconds as `time.time` counts them. `settled` is False if that was so
    recently that the file can change again and look the same.
    """

    text: str
    size: int
    changed: float
    settled: bool

    @classmethod
    def of(cls, file: Path | int) -> FileState:
        """Return the state of a path, or of an open descriptor."""
        found = os.stat(file)  # noqa: PTH116 (of both)
        text = f"{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}:{found.st_ino}"
        return cls(text, found.st_size, found.st_mtime, found.st_mtime < time.time() - SETTLED_SECONDS)

    @property
    def trusted(self) -> str | None:
        """The text if the same text later means the same content, else None."""
        return self.text if self.settled else None


@dataclass(frozen=True, slots=True)
class Mark:
    """What has been read: all files before the current one, and `end` bytes of that one, decompressed.

    `before` is the digest of the names and contents of the files before, `crc` the CRC-32 of the bytes; both are None
    if they are unknown because an older version wrote the cursor. `before_state` and `state` are what the file system
    said; None if it can't be trusted. `tail` is the first source row that ended only because the file ended: it may
    become another row when the file grows; None if there is none.
    """

    before: str | None = ""
    before_state: str | None = ""
    end: int = 0
    crc: int | None = 0
    state: str | None = None
    tail: int | None = None

    def extended(self, data: bytes | memoryview) -> Mark:
        """Return the mark after `data`, which follows in the file."""
        return replace(self, end=self.end + len(data), crc=None if self.crc is None else zlib.crc32(data, self.crc))

    def next_file(self, name: str) -> Mark:
        """Return the mark at the start of the next file. The current one, which has this name, has been read whole."""
        return Mark(
            None if self.before is None or self.crc is None else chained(self.before, name, self.end, self.crc),
            None if self.before_state is None or self.state is None else chained(self.before_state, name, self.state),
        )

    def as_json(self) -> dict[str, Json]:
        """Return the mark as part of a cursor."""
        return {
            "before": self.before,
            "before_state": self.before_state,
            "end": self.end,
            "crc": self.crc,
            "state": self.state,
            "tail": self.tail,
        }

    @classmethod
    def from_json(cls, value: Json) -> Mark:
        """Return the mark of a cursor; one that knows nothing if the cursor has none."""
        match value:
            case {"end": int(end), "before": before, "before_state": before_state, **facts}:
                crc, state, tail = facts.get("crc"), facts.get("state"), facts.get("tail")
                return cls(
                    before if isinstance(before, str) else None,
                    before_state if isinstance(before_state, str) else None,
                    end,
                    crc if isinstance(crc, int) else None,
                    state if isinstance(state, str) else None,
                    tail if isinstance(tail, int) else None,
                )
            case _:
                return UNKNOWN


START = Mark()
UNKNOWN = Mark(before=None, before_state=None, crc=None)


def mark_of(path: Path, open_bytes: OpenBytes, limit: int | None = None) -> Mark:
    """Return the mark after the first `limit` bytes of the file, or after all; earlier if it is shorter."""
    state = FileState.of(path)
    with open_bytes(path) as file:
        return replace(read_on(file, Mark(), limit), state=state.trusted)


def read_on(file: Any, mark: Mark, limit: int | None) -> Mark:
    """Read the open file from `mark` to byte `limit`, or to its end; return the mark there."""
    while chunk := file.read(_READ_BYTES if limit is None else min(_READ_BYTES, limit - mark.end)):
        mark = mark.extended(chunk)
    return mark


def verified(mark: Mark, paths: Sequence[Path], open_bytes: OpenBytes, *, accept: bool) -> Mark:
    """Return `mark` with what the file system says now. `paths` are the files up to the current one.

    With `accept`, another content is not an error, and the mark is that of the files as they are now.

    Raises:
        SourceChanged: the files aren't those that were read.
    """
    *earlier, path = paths
    before, before_state = _verified_before(mark, earlier, open_bytes, accept=accept)
    if mark.crc is None and not accept:
        return replace(mark, before=before, before_state=before_state, state=None)
    state = FileState.of(path)
    if mark.state == state.text:
        return replace(mark, before=before, before_state=before_state)
    found = mark_of(path, open_bytes, mark.end)
    if not accept:
        if found.end < mark.end:
            raise changed(f"{path} was cut: {mark.end:,} bytes of it were read, and now it has {found.end:,}")
        if found.crc != mark.crc:
            raise changed(f"{path} was replaced or rewritten: its first {mark.end:,} bytes aren't those that were read")
    return replace(found, before=before, before_state=before_state)


def continued_from(path: Path, open_bytes: OpenBytes, mark: Mark) -> int | None:
    """Return the row that ended only because the file ended, if the file has grown since; else None."""
    if mark.tail is None or mark.state == FileState.of(path).text:
        return None
    with open_bytes(path) as file:
        found = read_on(file, Mark(), mark.end)
        return mark.tail if found.crc == mark.crc and file.read(1) else None


def same_bytes(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Return whether two cursors are at the same row after the same bytes, as far as both know them."""
    keys = ("next_row", "file", "name")
    marks = [Mark.from_json(cursor.get("read")) for cursor in (one, other)]
    known = all(mark.crc is not None for mark in marks)
    return all(one.get(key) == other.get(key) for key in keys) and (
        not known or (marks[0].end, marks[0].crc) == (marks[1].end, marks[1].crc)
    )


def _verified_before(
    mark: Mark, earlier: Sequence[Path], open_bytes: OpenBytes, *, accept: bool
) -> tuple[str | None, str | None]:
    if mark.before is None and not accept:
        return None, None
    now = Mark()
    for path in earlier:
        now = replace(now, state=FileState.of(path).trusted).next_file(path.name)
    if now.before_state is not None and now.before_state == mark.before_state:
        return mark.before, mark.before_state
    now = Mark()
    for path in earlier:
        whole = mark_of(path, open_bytes)
        now = replace(whole, before=now.before, before_state=now.before_state).next_file(path.name)
    if now.before != mark.before and not accept:
        latest = max(earlier, key=lambda path: path.stat().st_mtime)
        if len(earlier) == 1:
            raise changed(f"{latest}, which was read whole, has grown or was changed")
        raise changed(
            f"one of the {len(earlier):,} files that were read whole has grown or was changed; the last to change was "
            f"{latest}"
        )
    return now.before, now.before_state
