"""Creates, compacts, migrates and restores the files of the catalog, so that no kill can destroy them.

The checkpoint of DuckDB folds the log into the file by rewriting live blocks in place; after a kill in the middle,
the file may never open again. So it runs only here, between commits, while there is a fsynced copy of file and
log. If a copy is found on opening, a compaction or migration may be half done. Nothing was committed after
the copy was made, so restoring it loses nothing.
"""

from __future__ import annotations

import shutil
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from engine.checkpoint import temporary as names
from engine.checkpoint.catalog import catalog
from engine.storage import durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.checkpoint.layout import Layout

COMPACT_AT_BYTES = 8 << 20
"""The greatest size of the log: to replay 8 MiB on opening takes about 0.7 s."""


def create(layout: Layout, key: str) -> None:
    """Create an empty catalog, whole or not at all."""
    with _new_file(layout, lambda new: new.create(key)) as temporary:
        temporary.replace(layout.catalog)
    durable.fsync_path(layout.folder)


def migrate(layout: Layout, old_format: int) -> None:
    """Replace a catalog of an older format by one of the present format. No connection to it may be open.

    Its rows are copied into a new file: a migration in place would have to alter and drop tables. After a kill at any
    point, the old catalog is still there, or the next opening restores it.
    """

    def copy(new: catalog.Catalog) -> None:
        with closing(catalog.Catalog(layout.catalog)) as old:
            new.create_from(old, old_format)

    with _new_file(layout, copy) as temporary, _guarded(layout):
        layout.wal.unlink(missing_ok=True)  # DuckDB would replay the log of the old file into the new one
        temporary.replace(layout.catalog)
        durable.fsync_path(layout.folder)


@contextmanager
def _new_file(layout: Layout, fill: Callable[[catalog.Catalog], None]) -> Iterator[Path]:
    """Yield the temporary name of a new, durable catalog file, filled in one transaction, without a log."""
    temporary = names.new_catalog(layout.folder)
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
    """Return whether the log has become too long."""
    try:
        return layout.wal.stat().st_size >= COMPACT_AT_BYTES
    except FileNotFoundError:
        return False


def compact(layout: Layout) -> None:
    """Fold the log, if there is one, into the catalog. No connection to it may be open.

    If this raises while the copy exists, the catalog must not be opened before the copy is restored: the restoration
    would lose later commits.
    """
    if not layout.wal.exists():
        return
    with _guarded(layout):
        _checkpoint(layout.catalog)
        durable.fsync_path(layout.catalog)


@contextmanager
def _guarded(layout: Layout) -> Iterator[None]:
    """Keep a copy of the catalog and its log while the block changes them; restore it if the block raises."""
    temporary = names.new_guard(layout.folder)
    try:
        temporary.mkdir(durable.PRIVATE_FOLDER)
        for path in (layout.catalog, layout.wal):
            if path.exists():
                _copy(path, temporary / path.name)
        durable.fsync_path(temporary)
        temporary.replace(layout.guard)
    finally:
        with suppress(OSError):
            names.delete(temporary)  # it was renamed, unless something failed
    durable.fsync_path(layout.folder)
    try:
        yield
    except BaseException:
        restore(layout)
        raise
    _remove_guard(layout)


def restore(layout: Layout) -> bool:
    """Restore the copy if there is one; return whether there was one. It can be repeated after a kill."""
    if not layout.guard.exists():
        return False
    for path in (layout.catalog, layout.wal):
        copy = layout.guard / path.name
        if copy.exists():
            temporary = durable.temporary(path)
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
    # Rename it first: a partly removed folder must not look like a complete copy.
    gone = names.new_guard(layout.folder)
    layout.guard.replace(gone)
    durable.fsync_path(layout.folder)
    names.delete(gone)
