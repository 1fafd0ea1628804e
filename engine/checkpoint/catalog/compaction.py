"""Making, compacting and restoring the catalog's files so that no kill can cost them.

DuckDB's checkpoint folds the log into the file by rewriting live blocks in place; killed in the middle,
the file may never open again. So it runs only here, between commits, while a fsynced copy of file and
log stands beside them. A copy that is found on opening means that a checkpoint may be half done: since
nothing was committed after the copy was made, putting it back loses nothing.
"""

from __future__ import annotations

import secrets
import shutil
from contextlib import closing
from typing import TYPE_CHECKING

from engine.checkpoint.catalog import catalog
from engine.storage import durable

if TYPE_CHECKING:
    from pathlib import Path

    from engine.checkpoint.layout import Layout

COMPACT_AT_BYTES = 8 << 20
"""How long the log may get: reading 8 MiB back on opening takes about 0.7 s."""


def create(layout: Layout, *, key: str, software: str) -> None:
    """Make an empty catalog, whole or not at all."""
    temporary = layout.folder / f".checkpoint-{secrets.token_hex(8)}.tmp"
    log = temporary.with_name(temporary.name + ".wal")
    try:
        with closing(catalog.Catalog(temporary, new=True)) as new:
            with new.transaction():
                new.create(key=key, software=software)
            new.checkpoint()
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
    """Fold the log into the catalog, if there is one. Nobody may be connected to it.

    When it raises while the copy stands, the catalog must not be opened again: what would be committed to it
    from then on would be lost when the copy is put back.
    """
    if not layout.wal.exists():
        return
    temporary = layout.folder / f".guard-{secrets.token_hex(8)}.tmp"
    try:
        temporary.mkdir(durable.PRIVATE_FOLDER)
        for path in (layout.catalog, layout.wal):
            _copy(path, temporary / path.name)
        durable.fsync_path(temporary)
        temporary.replace(layout.guard)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # it has another name by now, unless something failed
    durable.fsync_path(layout.folder)
    try:
        _checkpoint(layout.catalog)
        durable.fsync_path(layout.catalog)
    except BaseException:
        restore(layout)
        raise
    _remove_guard(layout)


def restore(layout: Layout) -> bool:
    """Put the copy back if there is one; say whether there was. Killed in the middle, it can be repeated."""
    if not layout.guard.exists():
        return False
    for path in (layout.catalog, layout.wal):
        copy = layout.guard / path.name
        temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")
        _copy(copy, temporary)
        temporary.replace(path)
    durable.fsync_path(layout.folder)
    _remove_guard(layout)
    return True


def _checkpoint(path: Path) -> None:
    with closing(catalog.Catalog(path)) as opened:
        opened.checkpoint()


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(durable.PRIVATE_FILE)
    durable.fsync_path(target)


def _remove_guard(layout: Layout) -> None:
    # Renamed first: a half-removed folder must not look like a whole copy.
    gone = layout.folder / f".guard-{secrets.token_hex(8)}.tmp"
    layout.guard.replace(gone)
    durable.fsync_path(layout.folder)
    shutil.rmtree(gone)
