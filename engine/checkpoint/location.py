"""Where a checkpoint keeps its parts: in its folder, or under a URL that it alone may write to.

Under the URL an object names the checkpoint that it belongs to, for two that write to the same place would delete each
other's parts; and the last one that wrote there, for the folder may have been copied. The folder has the same on
record, always before the object: so a kill in between leaves a folder that knows what it has begun.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from engine.checkpoint.layout import Layout
from engine.checkpoint.translate_errors import translate
from engine.errors import CheckpointCorrupt, ResultsTaken, StorageUnavailable, UsageError
from engine.storage import durable, files, objects
from engine.storage.objects import ObjectPath

if TYPE_CHECKING:
    from pathlib import Path

_OWNER = "checkpoint-key"


@dataclass(frozen=True, slots=True)
class Location:
    """Where the parts are, the key of the checkpoint, and who of it may have written there last."""

    results_url: str
    key: str
    writers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Owner:
    """What the object says: the key of the checkpoint, and who of it wrote last."""

    key: str
    writer: str


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


def resolve(layout: Layout, remote: ObjectPath | None) -> Layout:
    """Return the layout with where the parts are, or, if none were written yet, where they should be: `remote`.

    The caller holds the lock, and claims the place once the catalog has told the checkpoint's key.

    Raises:
        UsageError: they are elsewhere.
    """
    found = _read(layout)
    if found is None:
        if remote is not None and any(files.names_in(layout.results)):
            raise _elsewhere(layout, str(layout.results), remote)
        return replace(layout, remote=remote)
    here = ObjectPath(found.results_url)
    if remote is None or remote == here:
        return replace(layout, remote=here)
    owner = _owner(here)
    if owner is not None and owner.key == found.key:
        raise _elsewhere(layout, here, remote)
    return replace(layout, remote=remote)  # nothing was ever written there


def check(layout: Layout) -> None:
    """Make sure that the place is this checkpoint's, by the folder's own record: the catalog can't be asked.

    Raises:
        ResultsTaken: it belongs to another one.
        StorageUnavailable: nobody can tell, or it is another storage than the one that the results went to.
    """
    if layout.remote is None:
        return
    found, owner = _read(layout), _owner(layout.remote)
    if found is None or found.results_url != layout.remote:
        if owner is not None or any(files.names_in(layout.results)):
            raise ResultsTaken(layout.remote)
    else:
        _require(layout.remote, owner, found.key)


def acquire(layout: Layout, key: str, *, empty: bool) -> None:
    """Make sure that the place belongs to the checkpoint with this key; take it if the checkpoint is `empty`.

    Raises:
        ResultsTaken: it belongs to another one, or a copy of this checkpoint has written there.
        StorageUnavailable: nobody can tell, or it is another storage than the one that the results went to.
    """
    if layout.remote is None:
        return
    found, owner = _read(layout), _owner(layout.remote)
    if owner is None and empty:
        if any(files.names_in(layout.results)):
            raise ResultsTaken(layout.remote)
        writer = secrets.token_hex(8)
        _write(layout, Location(layout.remote, key, (writer,)))
        objects.put(layout.remote / _OWNER, json.dumps(asdict(_Owner(key, writer))).encode(), new=True)
        owner = _owner(layout.remote)  # two may have found nothing there at the same time
        found = None
    owner = _require(layout.remote, owner, key)
    if found is None or found.results_url != layout.remote:
        _write(layout, Location(layout.remote, key, (owner.writer,)))
    elif owner.writer not in found.writers:
        raise ResultsTaken(layout.remote, by_a_copy=True)


def fence(layout: Layout, key: str) -> None:
    """Note, here and there, that from now on this folder writes there; a copy of it is refused after that."""
    if layout.remote is None:
        return
    found, writer = _read(layout), secrets.token_hex(8)
    _write(layout, Location(layout.remote, key, (*(found.writers if found else ()), writer)))
    objects.put(layout.remote / _OWNER, json.dumps(asdict(_Owner(key, writer))).encode())
    _write(layout, Location(layout.remote, key, (writer,)))


def _require(remote: ObjectPath, owner: _Owner | None, key: str) -> _Owner:
    if owner is None:
        # In another account or behind another endpoint all parts would seem to be missing.
        raise StorageUnavailable(
            remote,
            f"there is no object {_OWNER}, which this checkpoint has put there",
            hint="Is it the right account and AWS_ENDPOINT_URL? If the object was deleted, put it back: "
            f'{{"key": "{key}", "writer": "…"}}, with the writer of checkpoint.location.json.',
        )
    if owner.key != key:
        raise ResultsTaken(remote)
    return owner


def _owner(remote: ObjectPath) -> _Owner | None:
    try:
        content = json.loads(objects.get(remote / _OWNER, soon=True))
        return _Owner(str(content["key"]), str(content["writer"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        return _Owner("", "")  # nobody's that could be known


def _write(layout: Layout, location: Location) -> None:
    durable.replace_text(layout.location, json.dumps(asdict(location)))


def _read(layout: Layout) -> Location | None:
    try:
        content = json.loads(layout.location.read_text(encoding="utf-8"))
        url = ObjectPath.parsed(content["results_url"])
        return Location(url, str(content["key"]), tuple(map(str, content["writers"])))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise translate(layout.location, error) from error
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointCorrupt(
            layout.location,
            f"{layout.location} doesn't say where the results are: {error}",
            hint='It should hold {"results_url": "s3://…", "key": "…", "writers": ["…"]}; key and writer are in the '
            f"object {_OWNER} there.",
        ) from error


def _elsewhere(layout: Layout, found: str, wanted: ObjectPath | None) -> UsageError:
    return UsageError(
        f"the checkpoint in {layout.folder} keeps its results in {found}, not in {wanted}",
        hint="Leave results_url as it was, or choose another checkpoint folder.",
    )
