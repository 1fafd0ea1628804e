"""Recovery from a crash, on every opening of a checkpoint: `plan` decides what to do, this module does it.

The caller holds the lock, so the process that crashed has ended. All of this can be repeated if it is killed in the
middle. Each function returns sentences about what it repaired; the user should see them.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from engine.checkpoint import temporary
from engine.checkpoint.catalog import compaction
from engine.checkpoint.parts import parts, quarantine
from engine.checkpoint.recovery import plan
from engine.checkpoint.translate_errors import REPAIR_HINT
from engine.errors import CheckpointCorrupt
from engine.storage import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.checkpoint.catalog.catalog import Catalog
    from engine.checkpoint.catalog.head import CatalogHead
    from engine.checkpoint.catalog.ledger import Ledger
    from engine.checkpoint.layout import Layout
    from engine.checkpoint.parts.manifest import Manifest
    from engine.storage.files import StoredPath

_NAMED = 20
"""How many lost batches a notice names."""


def recover_files(layout: Layout) -> list[str]:
    """Restore the copy of the catalog that a killed compaction left. Call it before you connect to the catalog."""
    restored = compaction.restore(layout)
    return ["the last run died while the catalog was being compacted; its copy was put back"] if restored else []


def recover(ledger: Ledger) -> list[str]:
    """Make the parts agree with the catalog, and mark the runs that ended without recording how.

    It also deletes temporary files: only now, because the open catalog shows that no other process needs them.

    Raises:
        CheckpointCorrupt: committed parts are missing, or the catalog has lost its latest entries.
    """
    temporary.sweep(ledger.layout.folder)
    notices = _restore_lost_batches(ledger)
    notices += _recover_parts(ledger)
    crashed = ledger.catalog.mark_crashed_runs()
    if crashed:
        notices.append(
            f"run {', '.join(map(str, crashed))} ended without recording how (crash or kill); "
            f"the next batch is batch {ledger.head.next_batch_id}"
        )
    return notices


def recover_copy(ledger: Ledger, *, held: bool) -> dict[int, StoredPath]:
    """Do in a copy of the catalog what `recover` does in the catalog, and nothing to the files.

    Return the paths of the committed parts that still have their temporary names. `held` says whether a process is at
    work: then its run isn't crashed.

    Raises:
        CheckpointCorrupt: as `recover`.
    """
    _restore_lost_batches(ledger)
    to_do = _plan(ledger)
    _take_back_replays(ledger, to_do)
    _check_last_part(ledger, to_do)
    _take_back(ledger, to_do)
    if not held:
        ledger.catalog.mark_crashed_runs()
    return {one.batch_id: ledger.layout.temporary_part(one.batch_id, one.attempt_id) for one in to_do.publish}


def recovery_plan(layout: Layout, catalog: Catalog, head: CatalogHead, key: str) -> plan.Plan:
    """Return what the next opening must do with the parts, without doing it."""
    return plan.decide(
        plan.survey(files.names_in(layout.results), head.next_batch_id),
        next_batch_id=head.next_batch_id,
        next_row=head.next_row,
        epoch=head.epoch,
        committed=catalog.batch,
        published=lambda batch_id: files.exists(layout.part(batch_id)),
        read_part=lambda batch_id: parts.read_own(layout, batch_id, key, footer_only=True),
    )


def lost_batches(layout: Layout, catalog: Catalog, head: CatalogHead, key: str) -> list[Manifest]:
    """Return the manifests of batches before the frontier that the catalog has lost, from their parts.

    Raises:
        CheckpointCorrupt: a part is missing or of another checkpoint, or nothing is lost and yet the batches don't
            follow each other up to the frontier.
    """
    if catalog.is_contiguous(next_batch_id=head.next_batch_id, next_row=head.next_row):
        return []
    lost = []
    for batch_id in catalog.missing_batches(head.next_batch_id):
        own = parts.read_own(layout, batch_id, key)
        if own is None or own.batch_id != batch_id:
            raise _gap(layout, f"it has lost batch {batch_id}, whose part is missing or not of this checkpoint")
        lost.append(own)
    if not lost:
        raise _gap(layout, f"its batches don't follow each other up to its frontier, batch {head.next_batch_id - 1}")
    return lost


def _restore_lost_batches(ledger: Ledger) -> list[str]:
    """Put batches back that the catalog has lost, such as by another process that replaced its file."""
    lost = lost_batches(ledger.layout, ledger.catalog, ledger.head, ledger.key)
    if not lost:
        return []
    ledger.fill(lost)
    numbers = ", ".join(str(one.batch_id) for one in lost[:_NAMED]) + (", …" if len(lost) > _NAMED else "")
    return [f"the catalog had lost {len(lost):,} committed batches ({numbers}); they were restored from their parts"]


def _gap(layout: Layout, what: str) -> CheckpointCorrupt:
    return CheckpointCorrupt(layout.catalog, f"the catalog {layout.catalog} has a gap: {what}", hint=REPAIR_HINT)


def _plan(ledger: Ledger) -> plan.Plan:
    layout = ledger.layout
    to_do = recovery_plan(layout, ledger.catalog, ledger.head, ledger.key)
    if to_do.missing:
        raise CheckpointCorrupt(
            layout.results,
            f"{to_do.missing} of {ledger.head.next_batch_id} parts are missing from {layout.results}",
            hint="Put them back, or run `batch-pipeline verify --repair` to go back to the batch before the first "
            "missing one."
            + (" If they are in object storage, name its results_url." if not files.exists(layout.location) else ""),
        )
    return to_do


def _recover_parts(ledger: Ledger) -> list[str]:
    layout, to_do = ledger.layout, _plan(ledger)
    notices = _take_back_replays(ledger, to_do)
    _check_last_part(ledger, to_do)
    notices += [_set_aside(layout.part(batch_id)) for batch_id in to_do.set_aside]
    files.delete(layout.temporary_part(batch_id, attempt_id) for batch_id, attempt_id in to_do.delete_temporary)
    files.delete(layout.part(batch_id) for batch_id in to_do.delete_parts)
    parts.publish(layout, to_do.publish)
    notices += _take_back(ledger, to_do)
    quarantine.sweep(layout, ledger.catalog.quarantined())
    return notices


def lost_replays(layout: Layout, catalog: Catalog, to_do: plan.Plan, key: str) -> Iterator[tuple[Manifest, str]]:
    """Yield the manifest of each replay that the log of the catalog lost, from its part, and the recorded attempt id.

    Only a replay changes a part before the frontier without changing its rows and epoch.
    """
    waiting = {manifest.batch_id for manifest in to_do.publish}
    for batch_id, attempt_id in catalog.quarantined():
        if batch_id in waiting or parts.read_attempt_id(layout.part(batch_id)) in {None, attempt_id}:
            continue
        recorded, own = catalog.batch(batch_id), parts.read_own(layout, batch_id, key)
        if recorded is not None and own is not None and _same_rows(recorded, own):
            yield own, attempt_id


def _same_rows(one: Manifest, other: Manifest) -> bool:
    return (one.epoch, one.start_row, one.end_row) == (other.epoch, other.start_row, other.end_row)


def _take_back_replays(ledger: Ledger, to_do: plan.Plan) -> list[str]:
    lost = list(lost_replays(ledger.layout, ledger.catalog, to_do, ledger.key))
    for own, attempt_id in lost:
        ledger.replace(own, attempt_id=attempt_id, pipeline=_pipeline_of(ledger.layout.part(own.batch_id)))
    if not lost:
        return []
    return [f"the log of the catalog had lost replays of {len(lost)} batches; they were restored from their parts"]


def _check_last_part(ledger: Ledger, to_do: plan.Plan) -> None:
    """Refuse a catalog whose log has lost a rewind or a replacement: the parts are newer than the catalog.

    To check the last part is enough. Attempt ids are unique, and every operation that replaces committed parts also
    replaces the last one, except replays, which were restored before.
    """
    last = ledger.last_manifest()
    if last is None or last in to_do.publish:
        return
    own = parts.read_own(ledger.layout, last.batch_id, ledger.key, footer_only=True)
    if own is not None and own.attempt_id != last.attempt_id:
        raise CheckpointCorrupt(
            ledger.layout.catalog,
            f"the catalog has lost its latest entries: {ledger.layout.part(last.batch_id).name} was written by another "
            "attempt than the catalog records",
            hint=REPAIR_HINT,
        )


def _take_back(ledger: Ledger, to_do: plan.Plan) -> list[str]:
    """Put batches back whose parts are beyond the frontier, because the log of the catalog has lost them."""
    if not to_do.take_back:
        return []
    layout = ledger.layout
    lost = [parts.measured(layout.part(one.batch_id), one) for one in to_do.take_back]
    ledger.append(lost, pipeline=_pipeline_of(layout.part(lost[-1].batch_id)))
    return [f"the log of the catalog had lost {len(lost)} committed batches; they were restored from their parts"]


def _set_aside(part: StoredPath) -> str:
    aside = part.with_name(part.name + ".set-aside")
    if files.exists(aside):
        aside = aside.with_name(f"{aside.name}-{secrets.token_hex(8)}")
    files.move([(part, aside)])
    return f"{part.name} is beyond the frontier and not of this checkpoint; it was renamed to {aside.name}"


def _pipeline_of(part: StoredPath) -> str | None:
    """Return the description of the pipeline that made this part."""
    return parts.read_footer(part)[1].get("pipeline")
