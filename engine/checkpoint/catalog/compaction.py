"""Making, compacting, migrating and restoring the catalog's files, so that no kill can cost them.

DuckDB's checkpoint folds the log into the file by rewriting live blocks in place; killed in the middle,
the file may never open again. So it runs only here, between commits, while there is a fsynced copy of file and
log. A copy that is found on opening means that a compaction or migration may be half done: since
nothing was committed after the copy was made, putting it back loses nothing.
"""

from __future__ import annotations

import secrets
import shutil
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from engine.checkpoint.catalog import catalog
from engine.storage import durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.checkpoint.layout import Layout

COMPACT_AT_BYTES = 8 << 20
"""How long the log may get: reading 8 MiB back on opening takes about 0.7 s."""


def create(layout: Layout, key: str) -> None:
    """Make an empty catalog, whole or not at all."""
    with _new_file(layout, lambda new: new.create(key)) as temporary:
        temporary.replace(layout.catalog)
    durable.fsync_path(layout.folder)


def migrate(layout: Layout, old_format: int) -> None:
    """Put a catalog of this version's format in place of one of an older format. Nobody may be connected to it.

    Its rows are copied into a new file: in place, tables would have to be altered and dropped. Killed at any point, the
    old catalog is there or is put back.
    """

    def copy(new: catalog.Catalog) -> None:
        with closing(catalog.Catalog(layout.catalog)) as old:
            new.create_from(old, old_format)

    with _new_file(layout, copy) as temporary, _guarded(layout):
        layout.wal.unlink(missing_ok=True)  # of the old file: beside the new one it would be replayed into it
        temporary.replace(layout.catalog)
        durable.fsync_path(layout.folder)


@contextmanager
def _new_file(layout: Layout, fill: Callable[[catalog.Catalog], None]) -> Iterator[Path]:
    """Give the temporary name of a new, durable catalog file, filled in one transaction; it needs no log."""
    temporary = layout.folder / f".checkpoint-{secrets.token_hex(8)}.tmp"
    try:
        with closing(catalog.Catalog(temporary, new=True)) as new:
            with new.transaction():
                fill(new)
            new.checkpoint()
        temporary.chmod(durable.PRIVATE_FILE)
        durable.fsync_path(temporary)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(temporary.name + ".wal").unlink(missing_ok=True)


def needs_compacting(layout: Layout) -> bool:
    """Say whether the log has become long."""
    try:
        return layout.wal.stat().st_size >= COMPACT_AT_BYTES
    except FileNotFoundError:
        return False


def compact(layout: Layout) -> None:
    """Fold the log into the catalog, if there is one. Nobody may be connected to it.

    When it raises while the copy exists, the catalog must not be opened again: what would be committed to it
    from then on would be lost when the copy is put back.
    """
    if not layout.wal.exists():
        return
    with _guarded(layout):
        _checkpoint(layout.catalog)
        durable.fsync_path(layout.catalog)


@contextmanager
def _guarded(layout: Layout) -> Iterator[None]:
    """Keep a copy of the catalog and its log while the block changes them; put it back if the block raises."""
    temporary = layout.folder / f".guard-{secrets.token_hex(8)}.tmp"
    try:
        temporary.mkdir(durable.PRIVATE_FOLDER)
        for path in (layout.catalog, layout.wal):
            if path.exists():
                _copy(path, temporary / path.name)
        durable.fsync_path(temporary)
        temporary.replace(layout.guard)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # it has another name by now, unless something failed
    durable.fsync_path(layout.folder)
    try:
        yield
    except BaseException:
        restore(layout)
        raise
    _remove_guard(layout)


def restore(layout: Layout) -> bool:
    """Put the copy back if there is one; return whether there was. Killed in the middle, it can be repeated."""
    if not layout.guard.exists():
        return False
    for path in (layout.catalog, layout.wal):
        copy = layout.guard / path.name
        if copy.exists():
            temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")
            _copy(copy, temporary)
            temporary.replace(path)
        else:
            path.unlink(missing_ok=True)
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
