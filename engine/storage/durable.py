"""Files that survive a power cut: fsync, atomic replacement, private permissions.

This module owns the few file-system sequences that make a write durable. It knows nothing about batches.
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

RANDOM_PART = "[0-9a-f]{16}"
"""The pattern of the random part of a temporary name."""


def temporary(path: Path) -> Path:
    """Return a hidden, unique name beside `path`, from which a finished file is renamed to `path`."""
    return path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")


def fsync_path(path: Path) -> None:
    """Make the present content of a file or folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_folder(path: Path) -> None:
    """Create the folder `path` and its missing parents. Only the owner can read the new folders."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        fsync_path(folder.parent)


@contextmanager
def new_file(path: Path) -> Iterator[FileIO]:
    """Open a file that must not exist yet; fsync it at the end of the block, unless the block raises.

    It is unbuffered, so that a library may write to the descriptor itself. The entry in the folder is not durable yet.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        yield file
        os.fsync(descriptor)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the name of a file to write; after the block it replaces `path`, durably, unless the block raises."""
    unfinished = temporary(path)
    try:
        yield unfinished
        fsync_path(unfinished)
        unfinished.replace(path)
        fsync_path(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def replace_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace the content of the file by `text`; a reader sees the old text or the new one, never a mix.

    `durable=False` leaves out the fsyncs, for files that can be made again from others.
    """
    unfinished = temporary(path)
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(descriptor)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if durable:
        fsync_path(path.parent)
