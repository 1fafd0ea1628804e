"""Decides what to do with the files found on opening; `recover` does it.

These functions are pure: from the catalog and the names in the folder they make a plan. The catalog alone
decides what is committed. A process that died can leave three things:

    committed, not renamed        publish the temporary part that the catalog names
    written, not committed        delete the temporary part
    renamed, beyond the frontier  of an older epoch: a rewind left it, so delete it;
                                  of this epoch: the log of the catalog was truncated, so restore the batch
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.checkpoint.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.checkpoint.parts.manifest import Manifest


@dataclass(slots=True)
class Found:
    """The names in the results folder, by their meaning.

    Committed parts are only counted, so memory doesn't grow with the history.
    """

    published: int = 0
    """The number of parts with their final name before the frontier."""

    beyond: list[int] = field(default_factory=list)
    """Batch ids of parts with their final name, at or beyond the frontier; ascending."""

    temporary: list[tuple[int, str]] = field(default_factory=list)
    """Batch id and attempt id of each temporary part."""


@dataclass(slots=True)
class Plan:
    """What `recover` must do, in this order."""

    publish: list[Manifest] = field(default_factory=list)
    delete_temporary: list[tuple[int, str]] = field(default_factory=list)
    take_back: list[Manifest] = field(default_factory=list)
    delete_parts: list[int] = field(default_factory=list)
    set_aside: list[int] = field(default_factory=list)
    missing: int = 0
    """How many committed batches have no part."""


def survey(names: Iterable[str], next_batch_id: int) -> Found:
    """Sort the names of the results folder; ignore names that aren't those of parts."""
    found = Found()
    for name in names:
        batch_id = Layout.parse_part(name)
        if batch_id is not None:
            if batch_id < next_batch_id:
                found.published += 1
            else:
                found.beyond.append(batch_id)
        elif (temporary := Layout.parse_temporary_part(name)) is not None:
            found.temporary.append(temporary)
    found.beyond.sort()
    found.temporary.sort()
    return found


def decide(
    found: Found,
    *,
    next_batch_id: int,
    next_row: int,
    epoch: int,
    committed: Callable[[int], Manifest | None],
    published: Callable[[int], bool],
    read_part: Callable[[int], Manifest | None],
) -> Plan:
    """Return what to do.

    `committed` returns the manifest of a batch in the catalog. `published` returns whether its part has its final
    name. `read_part` returns the manifest in a part beyond the frontier, None if the part is unreadable or of another
    checkpoint.
    """
    plan = Plan()
    newly_published = 0
    for batch_id, attempt_id in found.temporary:
        manifest = committed(batch_id)
        if manifest is not None and manifest.attempt_id == attempt_id:
            plan.publish.append(manifest)
            newly_published += not published(batch_id)
        else:
            plan.delete_temporary.append((batch_id, attempt_id))
    plan.missing = next_batch_id - found.published - newly_published

    contiguous = True
    for batch_id in found.beyond:
        manifest = read_part(batch_id)
        if manifest is None:
            plan.set_aside.append(batch_id)
        elif contiguous and manifest.epoch == epoch and manifest.batch_id == batch_id == next_batch_id:
            if manifest.start_row == next_row:
                plan.take_back.append(manifest)
                next_batch_id, next_row = batch_id + 1, manifest.end_row + 1
                continue
            plan.delete_parts.append(batch_id)
        else:
            plan.delete_parts.append(batch_id)
        contiguous = False
    return plan
