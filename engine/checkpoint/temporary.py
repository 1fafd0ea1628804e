"""The temporary files beside the catalog: named, recognised by their whole name, and swept after a crash.

A user may keep own files in the folder of a checkpoint, with names that look like ours. So a sweep deletes only what
has a name that this software gives, token included, and in a temporary folder only the files that it puts there: no
folder is ever deleted with unknown content.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.checkpoint.layout import Layout
from engine.storage import durable

if TYPE_CHECKING:
    from pathlib import Path

_CATALOG, _GUARD = "checkpoint", "guard"
_NAME = re.compile(
    rf"\.(?P<of>{_CATALOG}|{_GUARD}|checkpoint\.duckdb|checkpoint\.duckdb\.wal|frontier\.json|checkpoint\.location\.json)"
    rf"-{durable.RANDOM_PART}\.tmp(?P<log>\.wal)?"
)


def new_catalog(folder: Path) -> Path:
    """Return a temporary name for a catalog that is being made, or for the folder in which one is made."""
    return durable.temporary(folder / _CATALOG)


def new_guard(folder: Path) -> Path:
    """Return a temporary name for a copy of the catalog that is being made or removed."""
    return durable.temporary(folder / _GUARD)


def is_temporary(name: str) -> bool:
    """Return whether this is a name that only a temporary file or folder beside the catalog has.

    >>> is_temporary(".guard-0123456789abcdef.tmp"), is_temporary(".guard-backup.tmp")
    (True, False)
    """
    found = _NAME.fullmatch(name)
    return found is not None and (not found["log"] or found["of"] == _CATALOG)


def sweep(folder: Path) -> None:
    """Delete the temporary files and folders that a dead process left in the folder of a checkpoint."""
    with os.scandir(folder) as entries:
        found = [entry.name for entry in entries if is_temporary(entry.name)]
    for name in found:
        delete(folder / name)


def delete(path: Path) -> None:
    """Delete a temporary file, or a temporary folder with what this software has put into it.

    A link is deleted, not what it points to. A folder stays if anything else is in it.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    inside = Layout(path)
    sweep(path)
    if inside.guard.is_dir():
        delete(inside.guard)
    for file in (inside.catalog, inside.wal):
        with suppress(IsADirectoryError, PermissionError):  # unlink of a folder raises one or the other, by the system
            file.unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        path.rmdir()
