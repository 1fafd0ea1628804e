"""Making, compacting and restoring the catalog's files so that no kill can cost them.

DuckDB's checkpoint folds the log into the file by rewriting live blocks in place; killed in the middle,
the file may never open again. So it runs only here, between commits, while a fsynced copy of file and
log stands beside them. A copy that is found on opening means that a checkpoint may be half done: since
nothing was committed after the copy was made, putting it back loses nothing.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from engine import durable
from engine.checkpoint import catalog
from engine.checkpoint.layout import Layout, new_token

if TYPE_CHECKING:
    from pathlib import Path

COMPACT_AT_BYTES = 8 << 20
"""How long the log may get: reading 8 MiB back on opening takes about 0.7 s."""


def create(layout: Layout, *, key: str, software: str) -> None:
    """Make an empty catalog, whole or not at all."""
    temporary = layout.folder / f".checkpoint-{new_token()}.tmp"
    log = temporary.with_name(temporary.name + ".wal")
    try:
        new = catalog.Catalog(temporary)
        new.create(key=key, software=software)
        new.close()
        _checkpoint(temporary)
        temporary.chmod(durable.PRIVATE_FILE)
        durable.fsync_path(temporary)
        temporary.replace(layout.catalog)
    finally:
        temporary.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
    durable.fsync_path(layout.folder)


def needs_compacting(layout: Layout) -> bool:
    """Say whether the log has become long."""
    try:
        return layout.wal.stat().st_size >= COMPACT_AT_BYTES
    except FileNotFoundError:
        return False


def compact(layout: Layout) -> None:
    """Fold the log into the catalog. Nobody may be connected to it."""
    temporary = layout.folder / f".guard-{new_token()}.tmp"
    temporary.mkdir(durable.PRIVATE_FOLDER)
    for path in (layout.catalog, layout.wal):
        _copy(path, temporary / path.name)
    durable.fsync_path(temporary)
    temporary.replace(layout.guard)
    durable.fsync_path(layout.folder)
    _checkpoint(layout.catalog)
    durable.fsync_path(layout.catalog)
    _remove_guard(layout)


def restore(layout: Layout) -> bool:
    """Put the copy back if there is one; say whether there was. Killed in the middle, it can be repeated."""
    if not layout.guard.exists():
        return False
    for path in (layout.catalog, layout.wal):
        copy = layout.guard / path.name
        temporary = path.with_name(f".{path.name}-{new_token()}.tmp")
        _copy(copy, temporary)
        temporary.replace(path)
    durable.fsync_path(layout.folder)
    _remove_guard(layout)
    return True


def _checkpoint(path: Path) -> None:
    connection = catalog.connect(path)
    try:
        connection.execute("CHECKPOINT")
    finally:
        connection.close()


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(durable.PRIVATE_FILE)
    durable.fsync_path(target)


def _remove_guard(layout: Layout) -> None:
    # Renamed first: a half-removed folder must not look like a whole copy.
    gone = layout.folder / f".guard-{new_token()}.tmp"
    layout.guard.replace(gone)
    durable.fsync_path(layout.folder)
    shutil.rmtree(gone)
