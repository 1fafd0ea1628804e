"""What to do with the files found on opening: decided here, done by `recover`.

Pure: it gets what the catalog says and what the folder holds, and returns a plan. The catalog alone
decides what is committed. Three things can be left by a process that died:

    committed, not renamed        publish the temporary part that the catalog names
    written, not committed        delete the temporary part
    renamed beyond the frontier   of an older epoch: left by a rewind, delete;
                                  of this one: the catalog's log was cut short, take the part back in
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
    """The names in the results folder, sorted by what they mean.

    Only counts are kept of what is committed, so the memory needed doesn't grow with the history.
    """

    published: int = 0
    """Parts under their final name, behind the frontier."""

    beyond: list[int] = field(default_factory=list)
    """Batch ids of parts under their final name, at or beyond the frontier; ascending."""

    temporary: list[tuple[int, str]] = field(default_factory=list)
    """Batch id and attempt id of each temporary part."""


@dataclass(slots=True)
class Plan:
    """What `recover` has to do, in this order."""

    publish: list[Manifest] = field(default_factory=list)
    delete_temporary: list[tuple[int, str]] = field(default_factory=list)
    take_back: list[Manifest] = field(default_factory=list)
    delete_parts: list[int] = field(default_factory=list)
    set_aside: list[int] = field(default_factory=list)
    missing: int = 0
    """How many committed batches have no part at all."""


def survey(names: Iterable[str], next_batch_id: int) -> Found:
    """Sort the names of the results folder; what isn't ours is left out."""
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

    `committed` gives the catalog's manifest of a batch, `published` says whether its part has its final
    name, `read_part` gives what a part beyond the frontier says of itself, None when that is unreadable
    or of another checkpoint.
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
