"""Creates, compacts, migrates and restores the files of the catalog, so that no kill can destroy them.

The checkpoint of DuckDB folds the log into the file by rewriting live blocks in place; after a kill in the middle,
the file may never open again. So it runs only here, between commits, while there is a fsynced copy of file and
log. If a copy is found on opening, a compaction or migration may be half done. Nothing was committed after
the copy was made, so restoring it loses nothing.

A second writer must never be rolled back by that. So the catalog stays open while it is copied and folded: DuckDB's
lock on it keeps others out, even if our lock file was removed. And a copy is restored only while nobody has the catalog
open.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import closing, contextmanager, suppress
from typing import IO, TYPE_CHECKING

from engine.checkpoint import temporary as names
from engine.checkpoint.catalog import catalog
from engine.errors import CheckpointLocked
from engine.storage import durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.checkpoint.layout import Layout

COMPACT_AT_BYTES = 8 << 20
"""The greatest size of the log: to replay 8 MiB on opening takes about 0.7 s."""
_CHUNK = 1 << 20


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
    with (
        closing(catalog.Catalog(layout.catalog)) as old,
        _new_file(layout, lambda new: new.create_from(old, old_format)) as temporary,
        _guarded(layout, old),
    ):
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


def compact(layout: Layout, opened: catalog.Catalog) -> None:
    """Fold the log, if there is one, into the catalog, which stays open, unless folding fails.

    If this raises while the copy exists, nothing may be committed before the copy is restored: the restoration would
    lose it.
    """
    if not layout.wal.exists():
        return
    with _guarded(layout, opened):
        try:
            _checkpoint(opened)
            os.fsync(opened.file.fileno())
        except BaseException:
            opened.close()  # its file will be replaced
            raise


@contextmanager
def _guarded(layout: Layout, opened: catalog.Catalog) -> Iterator[None]:
    """Keep a copy of the open catalog and its log while the block changes them; restore it if the block raises."""
    temporary = names.new_guard(layout.folder)
    try:
        temporary.mkdir(durable.PRIVATE_FOLDER)
        _copy(opened.file, temporary / layout.catalog.name)
        if layout.wal.exists():
            with layout.wal.open("rb") as log:
                _copy(log, temporary / layout.wal.name)
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
    """Restore the copy if there is one; return whether there was one. It can be repeated after a kill.

    Raises:
        CheckpointLocked: somebody has the catalog open, so its compaction isn't dead; nothing is changed.
    """
    if not layout.guard.exists():
        return False
    with _nobody_has_it_open(layout.catalog):
        for path in (layout.catalog, layout.wal):
            try:
                with (layout.guard / path.name).open("rb") as copy:
                    temporary = durable.temporary(path)
                    _copy(copy, temporary)
            except FileNotFoundError:
                path.unlink(missing_ok=True)
            else:
                temporary.replace(path)
        durable.fsync_path(layout.folder)
        _remove_guard(layout)
    return True


@contextmanager
def _nobody_has_it_open(path: Path) -> Iterator[None]:
    """Hold the lock of DuckDB on a file during the block. Raises CheckpointLocked if another process holds it."""
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        yield
        return
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise CheckpointLocked(path.parent, "a program that has its catalog open") from None
        yield


def _checkpoint(opened: catalog.Catalog) -> None:
    opened.checkpoint()


def _copy(source: IO[bytes], target: Path) -> None:
    source.seek(0)
    with durable.new_file(target) as file:
        shutil.copyfileobj(source, file, _CHUNK)


def _remove_guard(layout: Layout) -> None:
    # Rename it first: a partly removed folder must not look like a complete copy.
    gone = names.new_guard(layout.folder)
    layout.guard.replace(gone)
    durable.fsync_path(layout.folder)
    names.delete(gone)
