"""Opens a catalog. Only a complete file of this software, in a format that this version knows, is ever written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from engine.checkpoint.catalog import compaction
from engine.checkpoint.catalog.catalog import FORMAT, Catalog
from engine.checkpoint.translate_errors import REPAIR_HINT
from engine.checkpoint.waiting import patiently
from engine.errors import CheckpointCorrupt, CheckpointForeign, CheckpointLocked, CheckpointNewer, CheckpointNotWritable

if TYPE_CHECKING:
    from pathlib import Path

    from engine.checkpoint.layout import Layout

_HEADER_BYTES = 3 * 4096  # the main header, and two database headers of 4 KiB each


_KEY_CHARACTERS = 32
_SOMEBODY_ELSES = "a DuckDB database without a checkpoint in it"


def check_name(folder: Path) -> None:
    """Refuse a folder in which DuckDB can't keep its files.

    Raises:
        CheckpointNotWritable: there is a "?" in the name. DuckDB treats the rest as the query of a URL, and writes its
            log to another place.
    """
    if "?" in str(folder):
        raise CheckpointNotWritable(folder, ValueError("there is a '?' in its name"))


def refuse_links(layout: Layout) -> None:
    """Refuse a folder in which one of our files is a link: writing through it would change a file elsewhere.

    Raises:
        CheckpointForeign: one of them is a link.
    """
    for path in (layout.catalog, layout.wal, layout.guard, layout.lock, layout.location, layout.folder / "results"):
        if path.is_symlink():
            raise CheckpointForeign(path, "a link")


def inspect(path: Path) -> None:
    """Check a catalog file without DuckDB, which would open some files of other formats.

    Raises:
        CheckpointForeign: it isn't a DuckDB file.
        CheckpointCorrupt: it is empty or truncated.
    """
    if not path.is_file():
        raise CheckpointForeign(path, "not a file")
    with path.open("rb") as file:
        header = file.read(16)
    if header.startswith(b"SQLite format 3"):
        raise CheckpointForeign(path, "an SQLite database")
    if header and not b"DUCK".startswith(header[8:12]):
        raise CheckpointForeign(path, "not a DuckDB database")
    if path.stat().st_size < _HEADER_BYTES:
        raise CheckpointCorrupt(path, f"the catalog {path} is cut short", hint=REPAIR_HINT)


def open_catalog(layout: Layout) -> tuple[Catalog, str, list[str]]:
    """Open the catalog; return it with the key of the checkpoint, and sentences that the user should see.

    A catalog of an older format is migrated first.

    Raises:
        CheckpointForeign, CheckpointNewer, CheckpointCorrupt: this version can't use it; nothing was changed.
        duckdb.Error, OSError: it can't be read or migrated; nothing was changed.
    """
    inspect(layout.catalog)
    catalog = patiently(lambda: Catalog(layout.catalog))
    try:
        _refuse_a_copy(layout)
        found, key = check_identity(layout.catalog, catalog)
    except BaseException:
        catalog.close()
        raise
    if found == FORMAT:
        return catalog, key, []
    catalog.close()
    compaction.migrate(layout, found)
    return Catalog(layout.catalog), key, [f"the checkpoint was migrated from format {found} to format {FORMAT}"]


def _refuse_a_copy(layout: Layout) -> None:
    # The caller has restored the copy that was there. Another one shows that a second process is compacting; it would
    # be restored later, and what is committed until then would be lost.
    if layout.guard.exists():
        raise CheckpointLocked(layout.folder, "another process, which is compacting its catalog")


def check_identity(path: Path, catalog: Catalog) -> tuple[int, str]:
    """Return the format of the catalog and the key of the checkpoint.

    Raises:
        CheckpointForeign: it is a DuckDB database of another program.
        CheckpointNewer: a newer version of this software made it.
        CheckpointCorrupt: the table with format and key is damaged.
    """
    try:
        catalog_format, key = catalog.identity()
    except (duckdb.CatalogException, duckdb.BinderException):
        raise CheckpointForeign(path, _SOMEBODY_ELSES) from None
    except ValueError as error:
        raise CheckpointCorrupt(path, f"the catalog {path} has lost its key", hint=REPAIR_HINT) from error
    if not isinstance(catalog_format, int) or not isinstance(key, str) or len(key) != _KEY_CHARACTERS:
        raise CheckpointForeign(path, _SOMEBODY_ELSES)
    if catalog_format > FORMAT:
        raise CheckpointNewer(path, catalog_format, FORMAT)
    return catalog_format, key
