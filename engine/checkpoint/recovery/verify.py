"""Checks whether a checkpoint is whole: reads everything, changes nothing, and reports what it checked.

`look` reads a copy of the catalog, without a lock. If the next run repairs something by itself (a part that waits for
its final name, temporary files, an older frontier file), it is a note and not a fault. Only a repair, which holds the
lock, changes two things as every opening does: a copy of the catalog that a killed compaction left is restored, and a
catalog of an older format is migrated.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb

from engine.checkpoint.catalog import compaction, opening
from engine.checkpoint.catalog.catalog import PAGE
from engine.checkpoint.copying import copied
from engine.checkpoint.location import check, located
from engine.checkpoint.lock import CheckpointLock, holder
from engine.checkpoint.loss import Loss
from engine.checkpoint.parts import parts, quarantine
from engine.checkpoint.recovery import plan, recover
from engine.checkpoint.recovery.against_catalog import PartsAgainstCatalog, QuarantineAgainstCatalog, quarantine_faults
from engine.checkpoint.recovery.rebuild import RebuiltBatch, read_whole, rebuilt
from engine.checkpoint.recovery.report import Check, Report
from engine.checkpoint.translate_errors import translate, translated
from engine.errors import CheckpointCorrupt, CheckpointForeign, FrontierUnreadable
from engine.frontier import Frontier
from engine.storage import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from engine.checkpoint.catalog.catalog import Catalog
    from engine.checkpoint.catalog.head import CatalogHead
    from engine.checkpoint.layout import Layout
    from engine.checkpoint.parts.manifest import Manifest


_TRIES = 3


@contextmanager
def held(folder: Path) -> Iterator[Layout]:
    """Hold the lock of the checkpoint in `folder` during the block; yield its layout.

    Raises:
        CheckpointLocked: another process uses it.
        CheckpointNotWritable, DiskFull: also for errors of the disk inside the block.
    """
    with translated(folder):
        layout = located(folder)
        opening.refuse_links(layout)
        lock = CheckpointLock(layout.lock)
        try:
            yield layout
        finally:
            lock.release()


def look(folder: Path) -> Report:
    """Check everything and change nothing. A run that works meanwhile isn't disturbed.

    Raises: see `verify`.
    """
    layout = located(folder.absolute())
    opening.refuse_links(layout)
    for tries_left in reversed(range(_TRIES)):
        with translated(folder), copied(layout) as (copy, held):
            report = verify(copy)
        if not held:
            return report
        if report.sound or not tries_left:  # else the run may have replaced a part after the catalog was copied
            break
    note = f"in use by {holder(layout.lock)}; what it does meanwhile isn't checked"
    return replace(report, catalog=replace(report.catalog, notes=(*report.catalog.notes, note)))


def verify(layout: Layout) -> Report:
    """Check everything. The caller must hold the lock, or give the layout of a copy.

    Raises:
        CheckpointForeign, CheckpointNewer: this version can't judge the checkpoint.
        CheckpointNotWritable: it can't be read at all.
    """
    notes = []
    if compaction.restore(layout):
        notes.append("a compaction was killed; the copy of the catalog from before was put back")
    elif layout.copied_to is not None and (layout.folder / layout.guard.name).is_dir():
        notes.append("a compaction was killed or is at work; the copy of the catalog from before was checked")
    try:
        with _opened(layout) as (catalog, key, migrated):
            of_copy = migrated and layout.copied_to is not None
            notes += ["it has an older format; the next run migrates it"] if of_copy else migrated
            return _against_catalog(layout, catalog, key, tuple(notes))
    except (CheckpointCorrupt, CheckpointForeign) as error:
        return _without_catalog(layout, error, tuple(notes))


@contextmanager
def _opened(layout: Layout) -> Iterator[tuple[Catalog, str, list[str]]]:
    """Open the catalog as `opening.open_catalog` does. Raises `CheckpointCorrupt` for everything that can't be read."""
    if not layout.catalog.exists():
        raise CheckpointCorrupt(layout.catalog, f"{layout.catalog.name} is missing")
    try:
        opened = opening.open_catalog(layout)
        try:
            yield opened
        finally:
            with suppress(duckdb.Error):
                opened[0].close()
    except duckdb.Error as error:
        raise translate(layout.catalog, error) from error
    except (ValueError, TypeError, KeyError) as error:  # damaged rows, with values that were never written
        raise CheckpointCorrupt(layout.catalog, f"{layout.catalog.name} has damaged values: {error}") from error


# --- with a catalog -------------------------------------------------------------------------------------


def _against_catalog(layout: Layout, catalog: Catalog, key: str, notes: tuple[str, ...]) -> Report:
    head = catalog.head()
    if head.next_batch_id:
        check(layout)  # in another location, everything would seem to be missing
    catalog.read_history()
    lost = {one.batch_id: one for one in recover.lost_batches(layout, catalog, head, key)}
    if lost:
        notes = (
            *notes,
            f"{len(lost):,} batches that the catalog has lost; the next run restores them from their parts",
        )
    to_do = recover.recovery_plan(layout, catalog, head, key)
    replayed = {own.batch_id: own for own, _ in recover.lost_replays(layout, catalog, to_do, key)}
    record, rows_out_of = PartsAgainstCatalog(layout, key), QuarantineAgainstCatalog(layout)
    first_bad: int | None = None
    loss = Loss()
    expected_row = 0
    for first in range(0, head.next_batch_id, PAGE):
        after = min(first + PAGE, head.next_batch_id)
        page = catalog.batches(first, after - 1)
        page = sorted([*page, *(lost[one] for one in range(first, after) if one in lost)], key=lambda one: one.batch_id)
        for batch_id, manifest in enumerate(page, first):
            if (manifest.batch_id, manifest.start_row) != (batch_id, expected_row):
                raise CheckpointCorrupt(layout.catalog, f"the catalog has no record of batch {batch_id}")
            expected_row = manifest.end_row + 1
            counts = replayed.get(batch_id, manifest)  # the next opening restores a lost replay
            if not (record.compare(counts) & rows_out_of.compare(counts)) and first_bad is None:
                first_bad = batch_id
            if first_bad is not None:
                loss = loss.plus([manifest])
    if expected_row != head.next_row:
        raise CheckpointCorrupt(
            layout.catalog,
            f"the catalog has {head.next_batch_id:,} batches up to row {expected_row - 1:,}, but its frontier says "
            f"up to row {head.next_row - 1:,}",
        )
    rows_out = catalog.count_batches()[2] + sum(one.rows_out for one in lost.values())
    found = (
        f"opens; {head.next_batch_id:,} batches without a gap, {head.next_row:,} source rows, {rows_out:,} result rows"
    )
    return Report(
        catalog=Check("catalog", found, notes=notes),
        parts=_parts_check(layout, record, to_do, len(replayed)),
        frontier_file=_frontier_file(layout, head, to_do),
        usable_batches=head.next_batch_id if first_bad is None else first_bad,
        loss=loss,
        quarantine=_quarantine_check(layout, catalog, rows_out_of, to_do, replayed.values()),
    )


def _quarantine_check(
    layout: Layout,
    catalog: Catalog,
    record: QuarantineAgainstCatalog,
    to_do: plan.Plan,
    replayed: Iterable[Manifest],
) -> Check | None:
    taken_back = [(one.batch_id, one.attempt_id) for one in (*to_do.take_back, *replayed)]
    leftovers = quarantine.leftovers(layout, [*catalog.quarantined(), *taken_back])
    if not record.files and not leftovers:
        return None
    found = (
        f"{record.rows:,} rows in {record.files:,} files of {record.batches:,} batches, with recorded size and CRC-32"
        if record.files
        else "nothing in it"
    )
    notes = (f"{len(leftovers):,} files that no committed batch names; the next run deletes them",) if leftovers else ()
    return Check("quarantine", found, record.faults(), notes)


def _parts_check(layout: Layout, record: PartsAgainstCatalog, to_do: plan.Plan, replayed: int) -> Check:
    notes = [
        f"{len(those):,} {what}"
        for those, what in (
            (to_do.publish, "committed parts wait for their final name"),
            (to_do.delete_temporary, "temporary parts of batches that were never committed"),
            (to_do.delete_parts, "parts beyond the frontier were left behind by a rewind"),
            (to_do.take_back, "whole parts beyond the frontier, which the log of the catalog has lost"),
        )
        if those
    ]
    if replayed:
        notes.append(f"{replayed:,} parts of replays that the log of the catalog has lost; the next run restores them")
    strays = [f"{layout.part(one).name} is beyond the frontier and not of this checkpoint" for one in to_do.set_aside]
    found = (
        f"{record.good:,} of {record.count:,} present, with recorded size and CRC-32, readable; "
        f"{record.bytes_found:,} bytes"
    )
    return Check("parts", found, (*record.faults(), *strays), tuple(notes))


# --- the frontier file ----------------------------------------------------------------------------------------


def _frontier_file(layout: Layout, head: CatalogHead, to_do: plan.Plan) -> Check:
    name = layout.frontier_file.name
    next_batch_id, next_row = head.next_batch_id, head.next_row
    if to_do.take_back:
        next_batch_id, next_row = to_do.take_back[-1].batch_id + 1, to_do.take_back[-1].end_row + 1
    try:
        mirror = Frontier.load(layout.frontier_file)
    except FrontierUnreadable as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return Check(name, "is missing", notes=("the next run writes it again",))
        return Check(name, "can't be read", faults=(str(error),))
    if (mirror.next_batch_id, mirror.next_row, mirror.total_rows_processed) == (next_batch_id, next_row, next_row):
        return Check(name, f"agrees: batch {mirror.last_completed_batch_id}")
    found = f"says batch {mirror.last_completed_batch_id}, the catalog batch {next_batch_id - 1}"
    if mirror.next_batch_id < next_batch_id or to_do.delete_parts:
        return Check(name, found, notes=("a crash came between the two writes; the next run writes it again",))
    return Check(name, found, faults=(f"{name} doesn't agree with the catalog, which decides",))


# --- without a catalog ----------------------------------------------------------------------------------


def _without_catalog(layout: Layout, error: CheckpointCorrupt | CheckpointForeign, notes: tuple[str, ...]) -> Report:
    check(layout)
    batch_ids = plan.survey(files.names_in(layout.results), 0).beyond
    previous: RebuiltBatch | None = None
    usable = 0
    faults: tuple[str, ...] = ()
    while usable < len(batch_ids):
        try:
            following = _rebuilt_whole(layout, usable, previous)
        except ValueError as broken:
            faults = (f"batch {usable}: {broken}",)
            break
        previous, usable = following, usable + 1
    if isinstance(error, CheckpointForeign) and not usable:
        raise error  # nothing shows that this is a checkpoint
    rows = previous.manifest.end_row + 1 if previous else 0
    return Report(
        catalog=Check("catalog", "can't be used", (str(error),), notes),
        parts=Check("parts", f"{usable:,} of {len(batch_ids):,} follow each other, with {rows:,} source rows", faults),
        frontier_file=Check(layout.frontier_file.name, "can't be compared without a catalog"),
        usable_batches=usable,
        loss=_loss_beyond(layout, [batch_id for batch_id in batch_ids if batch_id >= usable]),
    )


def _rebuilt_whole(layout: Layout, batch_id: int, previous: RebuiltBatch | None) -> RebuiltBatch:
    """Return the batch that the part describes, after reading all of the part and its quarantine. Raises ValueError."""
    following = rebuilt(layout, batch_id, previous)
    read_whole(layout.part(batch_id), following.manifest)
    if faults := quarantine_faults(layout, following.manifest):
        raise ValueError(faults[0])
    return following


def _loss_beyond(layout: Layout, batch_ids: list[int]) -> Loss:
    loss = Loss()
    for batch_id in batch_ids:
        try:
            loss = loss.plus([parts.read_metadata(layout.part(batch_id))[0]])
        except ValueError:
            loss = replace(loss, batches=loss.batches + 1)
    return loss
