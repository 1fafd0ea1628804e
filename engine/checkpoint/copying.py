"""A copy of the catalog for whoever only looks: consistent also during a run, without a lock and without a change.

The log only grows, and the catalog itself changes only during a compaction, while there is a guard: then the guard is
the consistent pair. A link is never followed: the folder may come from somebody else.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from engine.checkpoint.catalog import catalog
from engine.checkpoint.lock import holder
from engine.errors import CheckpointForeign, CheckpointLocked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.checkpoint.layout import Layout

_TRIES, _PAUSE_SECONDS = 200, 0.02
_CHUNK = 1 << 20


def is_held(layout: Layout) -> bool:
    """Return whether a process holds the lock of the checkpoint."""
    try:
        with _opened(layout.lock) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def copied(layout: Layout) -> Iterator[tuple[Layout, bool]]:
    """Yield the layout with a copy of the catalog during the block, and whether a process holds the checkpoint.

    Raises: see `copy_catalog`.
    """
    with tempfile.TemporaryDirectory(prefix="batchpipe-") as scratch:
        held = is_held(layout)
        copy_catalog(layout, Path(scratch))
        yield replace(layout, copied_to=Path(scratch)), held


def copy_catalog(layout: Layout, folder: Path) -> None:
    """Copy the catalog and its log into `folder`; nothing if there is no catalog.

    Raises:
        CheckpointLocked: they never stood still; a process compacts its catalog all the time.
        CheckpointForeign: one of them is a link.
        OSError: they can't be read, or the copy can't be written.
    """
    for _ in range(_TRIES):
        guarded = _is_there(layout.guard)
        source = layout.guard if guarded else layout.folder
        before = _state(source / layout.catalog.name)
        for path in (layout.catalog, layout.wal):
            (folder / path.name).unlink(missing_ok=True)
            try:
                _copy(source / path.name, folder / path.name)
            except FileNotFoundError:
                continue
        if _is_there(layout.guard) == guarded and _state(source / layout.catalog.name) == before:
            return
        time.sleep(_PAUSE_SECONDS)
    raise CheckpointLocked(layout.folder, holder(layout.lock))


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _is_there(folder: Path) -> bool:
    if folder.is_symlink():
        raise CheckpointForeign(folder, "a link")
    return folder.is_dir()


def _copy(source: Path, target: Path) -> None:
    with target.open("xb") as copy:
        for chunk in catalog.read_open_file(source, _CHUNK):
            copy.write(chunk)
        if not copy.tell():
            with _opened(source) as file:
                shutil.copyfileobj(file, copy, _CHUNK)


def _opened(path: Path) -> IO[bytes]:
    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW)

    try:
        return open(path, "rb", opener=opener)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise CheckpointForeign(path, "a link") from None
        raise
