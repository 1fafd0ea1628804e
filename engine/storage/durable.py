"""Files that survive a power cut: fsync, atomic replacement, private permissions.

Owns the few file-system sequences that every promise rests on. It knows nothing about batches.
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def fsync_path(path: Path) -> None:
    """Make what a file or folder holds now durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_folder(path: Path) -> None:
    """Create `path` and its missing parents; what is created is readable by its owner only."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        fsync_path(folder.parent)


@contextmanager
def new_file(path: Path) -> Iterator[FileIO]:
    """Open a file that must not exist yet; it is fsynced when the block ends well.

    Unbuffered, so that a library may write to the descriptor itself. The folder's entry is not durable yet.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        yield file
        os.fsync(descriptor)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the name of a file to write; it takes the place of `path`, durably, when the block ends well."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        fsync_path(temporary)
        temporary.replace(path)
        fsync_path(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def replace_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Put `text` in place of the file's content; a reader sees the old text or the new, never a mix.

    `durable=False` leaves out the fsyncs, for files that can be made again from others.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        fsync_path(path.parent)
