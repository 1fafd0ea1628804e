"""The location of the parts of a checkpoint: its folder, or a URL to which no other checkpoint may write.

An object under the URL contains the key of its checkpoint, because two checkpoints with the same URL would delete each
other's parts. It also contains the id of the last writer, because the folder may have been copied. The folder records
the same, always before the object is written: after a kill in between, the folder knows what it has begun.
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
    """The URL of the parts, the key of the checkpoint, and the ids that its last writer may have."""

    results_url: str
    key: str
    writers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Owner:
    """The content of the object: the key of the checkpoint, and the id of its last writer."""

    key: str
    writer: str


def checked_url(url: object) -> ObjectPath | None:
    """Return the URL as a path, None for None. Raises UsageError if it isn't valid."""
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
    """Return the layout with the recorded location of the parts; with `remote` if none were written yet.

    The caller holds the lock. It calls `acquire` when it has read the key of the checkpoint from the catalog.

    Raises:
        UsageError: the parts are in another location than `remote`.
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
    """Check that the location belongs to this checkpoint, by the record in the folder, without using the catalog.

    Raises:
        ResultsTaken: it belongs to another checkpoint.
        StorageUnavailable: the storage can't be read, or isn't the one to which the results were written.
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
    """Check that the location belongs to the checkpoint with this key; take it if the checkpoint is `empty`.

    Raises:
        ResultsTaken: it belongs to another checkpoint, or a copy of this checkpoint has written there.
        StorageUnavailable: the storage can't be read, or isn't the one to which the results were written.
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
        owner = _owner(layout.remote)  # two checkpoints may have found no owner at the same time
        found = None
    owner = _require(layout.remote, owner, key)
    if found is None or found.results_url != layout.remote:
        _write(layout, Location(layout.remote, key, (owner.writer,)))
    elif owner.writer not in found.writers:
        raise ResultsTaken(layout.remote, by_a_copy=True)


def fence(layout: Layout, key: str) -> None:
    """Record in the folder and at the URL that this folder is the writer from now on; copies of it are refused."""
    if layout.remote is None:
        return
    found, writer = _read(layout), secrets.token_hex(8)
    _write(layout, Location(layout.remote, key, (*(found.writers if found else ()), writer)))
    objects.put(layout.remote / _OWNER, json.dumps(asdict(_Owner(key, writer))).encode())
    _write(layout, Location(layout.remote, key, (writer,)))


def _require(remote: ObjectPath, owner: _Owner | None, key: str) -> _Owner:
    if owner is None:
        # With another account or another endpoint, all parts would seem to be missing.
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
        return _Owner("", "")  # an owner that matches no checkpoint


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
