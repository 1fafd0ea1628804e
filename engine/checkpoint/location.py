"""Where a checkpoint keeps its parts: in its folder, or under a URL that it alone may write to.

That is decided when the checkpoint is made, and written down in its folder before anything else. Under the URL an
object names the checkpoint that it belongs to, for two that write to the same place would delete each other's parts.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from engine import durable, objects, stored
from engine.checkpoint.layout import Layout
from engine.errors import CheckpointCorrupt, ResultsTaken, StorageUnavailable, UsageError
from engine.objects import ObjectPath

if TYPE_CHECKING:
    from pathlib import Path

_OWNER = "checkpoint-key"


@dataclass(frozen=True, slots=True)
class Location:
    """Where the parts are, and the key of the checkpoint."""

    results_url: str
    key: str


def checked_url(url: object) -> ObjectPath | None:
    """Return the URL as a path, None for None. Raises UsageError for one that can't be right."""
    if url is None:
        return None
    try:
        return ObjectPath.parsed(str(url))
    except ValueError as error:
        raise UsageError(f"results_url can't be used: {error}") from error


def located(folder: Path) -> Layout:
    """Return the layout of the checkpoint in a folder.

    Raises:
        CheckpointCorrupt: the file that says where its parts are can't be read.
    """
    layout = Layout(folder)
    found = _read(layout)
    return replace(layout, remote=ObjectPath(found.results_url)) if found else layout


def settle(layout: Layout, remote: ObjectPath | None) -> tuple[Layout, str]:
    """Return the layout with where the parts are, and the key for a catalog that is still to be made.

    `remote` is where they should be, None for where they are. The caller holds the lock.

    Raises:
        UsageError: they are elsewhere.
        ResultsTaken: another checkpoint has its parts there.
        StorageUnavailable: nobody can tell.
    """
    found = _read(layout)
    if found is None:
        if remote is None:
            return layout, uuid.uuid4().hex
        if layout.catalog.exists() or layout.guard.exists() or any(stored.names_in(layout.results)):
            raise _elsewhere(layout, str(layout.results), remote)
        found = Location(str(remote), uuid.uuid4().hex)
        _refuse_another(remote, found.key)
        durable.replace_text(layout.location, json.dumps(asdict(found)))
    elif remote is not None and remote != found.results_url:
        raise _elsewhere(layout, found.results_url, remote)
    return replace(layout, remote=ObjectPath(found.results_url)), found.key


def claim(layout: Layout, key: str, *, empty: bool) -> None:
    """Make sure that what is under the URL belongs to the checkpoint with this key; nothing to do without a URL.

    A place that is nobody's is taken if the checkpoint is `empty`.

    Raises:
        ResultsTaken: it belongs to another one.
        StorageUnavailable: nobody can tell, or it is another storage than the one that the results went to.
    """
    if layout.remote is None or _refuse_another(layout.remote, key):
        return
    if not empty:
        # In another account or behind another endpoint all parts would seem to be missing.
        raise StorageUnavailable(layout.remote, f"there is no object {_OWNER}, which this checkpoint has put there")
    objects.put(layout.remote / _OWNER, key.encode(), new=True)
    _refuse_another(layout.remote, key)  # two may have found nothing there at the same time


def _refuse_another(remote: ObjectPath, key: str) -> bool:
    """Say whether the place is this checkpoint's already; raise when it is another one's."""
    try:
        owner = objects.get(remote / _OWNER, soon=True).decode(errors="replace")
    except FileNotFoundError:
        return False
    if owner != key:
        raise ResultsTaken(remote)
    return True


def _read(layout: Layout) -> Location | None:
    try:
        content = json.loads(layout.location.read_text(encoding="utf-8"))
        return Location(str(ObjectPath.parsed(content["results_url"])), str(content["key"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointCorrupt(
            layout.location,
            f"{layout.location} doesn't say where the results are: {error}",
            hint='It should hold {"results_url": "s3://…", "key": "…"}; the key is in the object checkpoint-key there.',
        ) from error


def _elsewhere(layout: Layout, found: str, wanted: ObjectPath | None) -> UsageError:
    return UsageError(
        f"the checkpoint in {layout.folder} keeps its results in {found}, not in {wanted}",
        hint="Leave results_url as it was, or choose another checkpoint folder.",
    )
