"""Translates errors of the disk and of DuckDB into errors that say what the user can do."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from engine.errors import (
    CheckpointCorrupt,
    CheckpointError,
    CheckpointLocked,
    CheckpointNotWritable,
    DiskFull,
    describe,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.storage.files import StoredPath

REPAIR_HINT = "The results are in the parts beside it: `batch-pipeline verify --repair` rebuilds the catalog from them."

_OF_THE_DISK = ("Permission denied", "Read-only file system", "Input/output error", "fsync failed")
_LOOK_ABOVE = "The error before this one says why; the next run opens it again."

_LOCKED = ("Could not set lock on file", "Unique file handle", "different configuration")
_CLOSE_IT = (
    "Close that program, or let it read at other times: a run needs the catalog for itself. A copy of the folder can "
    "be read at any time."
)

_FULL = {errno.ENOSPC, errno.EDQUOT}


def is_locked(error: BaseException) -> bool:
    """Return whether the error says that another program, or another connection, has the file open."""
    return isinstance(error, CheckpointLocked) or any(words in str(error) for words in _LOCKED)


def translate(path: StoredPath, error: BaseException) -> CheckpointError:
    """Return the `CheckpointError` for an error of the disk or of DuckDB at `path`."""
    if isinstance(error, OSError):
        full = error.errno in _FULL or error.errno == errno.EFBIG
        return DiskFull(path, error) if full else CheckpointNotWritable(path, error)
    text = str(error)
    if any(words in text for words in ("No space left", "File too large", "Disk quota")):
        return DiskFull(path, error)
    if is_locked(error):  # before the others: DuckDB's advice has words such as "read-only"
        held = re.search(r"held in (.+ \(PID \d+\))", text)
        name = held[1] if held else "another DuckDB connection of this process"
        return CheckpointLocked(path, name, hint=_CLOSE_IT)
    # Some of these are inside a TransactionException: the disk failed during a commit.
    of_a_file = isinstance(error, duckdb.IOException) and ("Cannot open file" in text or "read-only" in text)
    if of_a_file or any(words in text for words in _OF_THE_DISK):
        return CheckpointNotWritable(path, error)
    return _of_the_catalog(path, error, text)


def _of_the_catalog(path: StoredPath, error: BaseException, text: str) -> CheckpointError:
    if "Connection already closed" in text:
        return CheckpointError(path, "the catalog was closed after an earlier error", hint=_LOOK_ABOVE)
    return CheckpointCorrupt(
        path, f"the catalog {path} is damaged or can't be used: {describe(error)}", hint=REPAIR_HINT
    )


@contextmanager
def translated(path: StoredPath) -> Iterator[None]:
    """Raise a `CheckpointError` in place of what the disk or DuckDB raises in the block."""
    try:
        yield
    except (OSError, duckdb.Error) as error:
        raise translate(path, error) from error
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # DuckDB raises this for a Ctrl-C during a query
            raise
        raise KeyboardInterrupt from error
