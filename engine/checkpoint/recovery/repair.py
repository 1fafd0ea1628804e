"""Repairs a checkpoint as its report says. The caller holds the lock all the time.

the catalog is missing or damaged    rebuild it from the contiguous parts that begin with batch 0
a part or a quarantine file is missing or damaged
                                     move the frontier back to the batch before it
the frontier file, leftovers of a crash
                                     the next opening repairs them

Nothing that can't be made again is deleted: a damaged catalog is renamed. Batches after the usable ones are
dropped, as by a rewind; `Repair.loss` says in advance how much that is.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from engine.checkpoint import temporary
from engine.checkpoint.catalog import compaction
from engine.checkpoint.catalog.catalog import PAGE, Catalog
from engine.checkpoint.catalog.head import CatalogHead
from engine.checkpoint.catalog.ledger import row_after
from engine.checkpoint.layout import Layout
from engine.checkpoint.recovery.rebuild import RebuiltBatch, rebuilt
from engine.checkpoint.recovery.report import Means
from engine.checkpoint.translate_errors import translate
from engine.errors import CheckpointCorrupt
from engine.storage import durable, files

if TYPE_CHECKING:
    from pathlib import Path

    from engine.checkpoint.recovery.report import Repair


def carry_out(layout: Layout, repair: Repair) -> list[str]:
    """Do the repair; return a sentence for each thing done. The next opening of the checkpoint does the rest.

    It can be repeated if it is killed at any point.

    Raises:
        CheckpointError: the disk or the files don't allow it.
    """
    try:
        if repair.means is Means.REBUILD:
            return _rebuild(layout, repair.batches)
        if repair.means is Means.REWIND:
            return _rewind(layout, repair.batches)
    except duckdb.Error as error:
        raise translate(layout.catalog, error) from error
    return []


def _rewind(layout: Layout, batches: int) -> list[str]:
    catalog = Catalog(layout.catalog)
    try:
        next_row = row_after(catalog, layout, batches - 1)
        with catalog.transaction():
            catalog.rewind(next_batch_id=batches, next_row=next_row)
    finally:
        catalog.close()
    return [f"the frontier is at batch {batches - 1} now" if batches else "the frontier is at the very start now"]


def _rebuild(layout: Layout, batches: int) -> list[str]:
    if not batches:
        raise CheckpointCorrupt(
            layout.catalog,
            f"there is no part in {layout.results} to make the catalog from",
            hint="Nothing was changed. Restore the parts or a copy of the catalog, or start in another folder.",
        )
    files.make_folder(layout.results)
    # If this is killed, the next opening deletes the folder because of its name.
    workshop = Layout(temporary.new_catalog(layout.folder))
    workshop.folder.mkdir(durable.PRIVATE_FOLDER)
    try:
        _make_catalog(layout, workshop, batches)
        aside = _move_aside(layout)
        workshop.catalog.replace(layout.catalog)
        durable.fsync_path(layout.folder)
    finally:
        temporary.delete(workshop.folder)
    done = f"the catalog was rebuilt from {batches:,} parts; the history of runs before is lost"
    return [f"the damaged catalog is kept as {aside.name}", done] if aside else [done]


def _make_catalog(layout: Layout, workshop: Layout, batches: int) -> None:
    """Make a catalog of the first `batches` parts in the folder of `workshop`, as one durable file without a log."""
    last = _rebuilt(layout, 0, None)
    compaction.create(workshop, last.key)
    catalog = Catalog(workshop.catalog)
    newest_run = batch_size = 1
    try:
        for first in range(0, batches, PAGE):
            page = []
            for batch_id in range(first, min(first + PAGE, batches)):
                last = _rebuilt(layout, batch_id, last if batch_id else None)
                newest_run = max(newest_run, last.manifest.run_id)
                batch_size = max(batch_size, last.manifest.rows_in)
                page.append(last.manifest)
            with catalog.transaction():
                catalog.append_batches(page, datetime.now(UTC))
        with catalog.transaction():
            catalog.place(CatalogHead(batches, last.manifest.end_row + 1, last.manifest.epoch))
            catalog.add_pipeline(1, newest_run, last.pipeline)
            catalog.add_lost_run(
                run_id=newest_run,
                next_batch_id=batches,
                batch_size=batch_size,
                message=f"the catalog was rebuilt from {batches:,} parts; the runs before are not known",
            )
        compaction.compact(workshop, catalog)
    finally:
        catalog.close()


def _rebuilt(layout: Layout, batch_id: int, previous: RebuiltBatch | None) -> RebuiltBatch:
    try:
        return rebuilt(layout, batch_id, previous)
    except ValueError as error:
        raise CheckpointCorrupt(layout.part(batch_id), f"a part changed while it was read: {error}") from error


def _move_aside(layout: Layout) -> Path | None:
    """Rename the catalog and its log; return the new path, None if there was no catalog."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = layout.catalog.with_name(f"{layout.catalog.name}.damaged-{stamp}")
    if aside.exists():
        aside = aside.with_name(f"{aside.name}-{secrets.token_hex(8)}")
    # The log first: DuckDB would replay the log of the old catalog into the new one.
    if layout.wal.exists():
        layout.wal.replace(aside.with_name(f"{aside.name}.wal"))
    if not layout.catalog.exists():
        return None
    layout.catalog.replace(aside)
    return aside
