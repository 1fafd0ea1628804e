"""Files in object storage, such as S3: written whole, read, copied, deleted and listed by URL.

This module owns the few requests that a checkpoint needs, and translates their errors. Credentials, region and endpoint
come from the environment (`AWS_…`), as for Polars; they are never stored. Every function raises `StorageUnavailable`
if the storage can't be reached or refuses the request.
"""

from __future__ import annotations

import errno
import os
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.errors import StorageUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import duckdb
    from obstore.store import ObjectStore

_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9_=][A-Za-z0-9._=-]*)*")
_AT_ONCE = 16
"""Copies requested at the same time: the storage makes each copy itself, so the time is spent waiting for answers."""
RETRIES = 30
"""How often a request is retried after a failure of the network or the storage: for one to two minutes."""
RETRIES_SOON = 4
"""The same for requests on which a user waits: for a few seconds."""
_PATIENCE, _PATIENCE_SOON = timedelta(minutes=5), timedelta(seconds=10)
"""How long one request may take, including the transfer of its data."""
_FIRST_PAUSE, _LONGEST_PAUSE, _WHOLE_TIME = timedelta(seconds=0.2), timedelta(seconds=15), timedelta(seconds=180)
_GROWTH = 3  # each pause is random, between the first pause and this many times the last one
_TAIL_BYTES = 1 << 16
_LENGTH_BYTES = 8


class ObjectPath(str):
    """The URL of an object, or of a prefix that is used like a folder.

    It is a string, so Polars and DuckDB accept it; attributes that `pathlib.Path` has as well have the same names.

    >>> part = ObjectPath("s3://bucket/flights") / "results" / "part-0.parquet"
    >>> part, part.name, part.parent.name
    ('s3://bucket/flights/results/part-0.parquet', 'part-0.parquet', 'results')
    """

    __slots__ = ()

    @classmethod
    def parsed(cls, url: str) -> ObjectPath:
        """Return the path. Raises ValueError if `url` isn't the URL of an object; the message shows the format."""
        trimmed = url.rstrip("/")
        if not _URL.fullmatch(trimmed):
            raise ValueError("it must look like s3://bucket/folder, with letters, digits and - _ . = in the names")
        return cls(trimmed)

    def __truediv__(self, name: str) -> ObjectPath:
        return ObjectPath(f"{self}/{name}")

    @property
    def name(self) -> str:
        """The part after the last slash."""
        return self.rpartition("/")[2]

    @property
    def parent(self) -> ObjectPath:
        """The part before the last slash."""
        return ObjectPath(self.rpartition("/")[0])

    def with_name(self, name: str) -> ObjectPath:
        """Return the path with another name in the same folder."""
        return self.parent / name

    @property
    def bucket(self) -> str:
        """The start of the URL, up to and including the bucket."""
        return "/".join(self.split("/", 3)[:3])

    @property
    def key(self) -> str:
        """The name of the object in its bucket."""
        return self[len(self.bucket) + 1 :]


@contextmanager
def _asking(path: ObjectPath, retries: int | None = None) -> Iterator[ObjectStore]:
    """Yield the store of a path; translate its errors to StorageUnavailable and FileNotFoundError."""
    store = _store(path.bucket, os.environ.get("AWS_ENDPOINT_URL"), RETRIES if retries is None else retries)
    from obstore.exceptions import BaseError

    try:
        yield store
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise StorageUnavailable(path, "there is no such bucket") from error
        raise FileNotFoundError(errno.ENOENT, "No such object", path) from error
    except BaseError as error:
        raise StorageUnavailable(path, _in_short(error)) from error


def _in_short(error: Exception) -> str:
    """Return the first sentence of an error, without the full text of the request and the answer that follow it."""
    text = str(error)
    if found := re.search(r"<Code>(\w+)</Code>.*?<Message>(.*?)</Message>", text, re.DOTALL):
        return "there is no such bucket" if found[1] == "NoSuchBucket" else f"{found[2]} ({found[1]})"
    first = text.partition("\n\n")[0].replace("\n", " ")
    found = re.search(r"Error performing (\w+ \S+) in .*? - (.+)", first)
    return f"{found[2]} ({found[1]})" if found else first


@lru_cache(maxsize=8)
def _store(bucket: str, _endpoint: str | None, retries: int) -> ObjectStore:
    try:
        from obstore.store import from_url
    except ModuleNotFoundError as error:
        raise _library_missing() from error
    return from_url(
        bucket,
        # These replace all client options, including AWS_ALLOW_HTTP from the environment, so it is repeated here.
        client_options={
            "timeout": _PATIENCE_SOON if retries <= RETRIES_SOON else _PATIENCE,
            "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true"},
        },
        retry_config={
            "max_retries": retries,
            "retry_timeout": _WHOLE_TIME,
            "backoff": {"init_backoff": _FIRST_PAUSE, "max_backoff": _LONGEST_PAUSE, "base": _GROWTH},
        },
    )


def _library_missing() -> UsageError:
    return UsageError(
        "results in object storage need a library that is not installed", hint="pip install 'batchpipe-tui[s3]'"
    )


def require(path: ObjectPath) -> None:
    """Raise StorageUnavailable unless the storage answers; the object needn't exist."""
    with suppress(FileNotFoundError), _asking(path, min(RETRIES, RETRIES_SOON)) as store:
        store.head(path.key)


def exists(path: ObjectPath) -> bool:
    """Return whether the object exists."""
    try:
        size(path)
    except FileNotFoundError:
        return False
    return True


def size(path: ObjectPath) -> int:
    """Return its size in bytes. Raises FileNotFoundError."""
    with _asking(path) as store:
        return int(store.head(path.key)["size"])


def put(path: ObjectPath, content: bytes | memoryview, *, new: bool = False) -> None:
    """Write an object, whole or not at all; with `new`, leave it as it is if there is one."""
    with _asking(path) as store:
        from obstore.exceptions import AlreadyExistsError

        with suppress(AlreadyExistsError):
            # In one request: what a killed upload of several leaves behind is in no listing, and is paid for.
            store.put(path.key, content, mode="create" if new else "overwrite", use_multipart=False)


def get(path: ObjectPath, *, soon: bool = False) -> bytes:
    """Return the content of a small object; with `soon`, give up after a few seconds. Raises FileNotFoundError."""
    with _asking(path, min(RETRIES, RETRIES_SOON) if soon else None) as store:
        return store.get(path.key).bytes().to_bytes()


def download(path: ObjectPath, target: Path) -> None:
    """Copy an object into a new local file, piece by piece. Raises FileNotFoundError."""
    with _asking(path) as store, target.open("xb") as file:
        for piece in store.get(path.key).stream():
            file.write(piece)


def checksum(path: ObjectPath) -> str:
    """Return the CRC-32 of its content as 8 hex digits. Raises FileNotFoundError."""
    value = 0
    with _asking(path) as store:
        for piece in store.get(path.key).stream():
            value = zlib.crc32(piece, value)
    return f"{value:08x}"


def parquet_footer(path: ObjectPath) -> bytes:
    """Return the end of a Parquet file, with its complete footer and little else. Raises FileNotFoundError.

    The length of the footer is stored before the last four bytes (Apache Parquet, File Format).
    """
    tail = _tail(path, _TAIL_BYTES)
    needed = int.from_bytes(tail[-_LENGTH_BYTES:-4], "little") + _LENGTH_BYTES
    return tail if needed <= len(tail) or not tail.endswith(b"PAR1") else _tail(path, needed)


def _tail(path: ObjectPath, length: int) -> bytes:
    with _asking(path) as store:
        return store.get(path.key, options={"range": {"suffix": length}}).bytes().to_bytes()


def sizes_in(folder: ObjectPath) -> Iterator[tuple[str, int]]:
    """Yield the name and the size of each object in a folder, but not in its subfolders."""
    with _asking(folder) as store:
        for page in store.list(folder.key):
            for found in page:
                name = found["path"].rpartition("/")[2]
                if found["path"] == f"{folder.key}/{name}":
                    yield name, found["size"]


def delete(paths: Sequence[ObjectPath]) -> None:
    """Delete objects of one bucket, many with one request; ignore those that don't exist."""
    if paths:
        with _asking(paths[0]) as store:
            store.delete([path.key for path in paths])


def move(pairs: Iterable[tuple[ObjectPath, ObjectPath]]) -> None:
    """Copy each source to its target inside the storage, then delete the sources: objects can't be renamed.

    It can be repeated if it is killed in the middle: no source is deleted before all are copied.
    """
    listed = list(pairs)
    if not listed:
        return
    try:
        with _asking(listed[0][1]) as store, ThreadPoolExecutor(min(_AT_ONCE, len(listed))) as pool:
            list(pool.map(lambda pair: store.copy(pair[0].key, pair[1].key), listed))
    except FileNotFoundError as error:
        raise StorageUnavailable(listed[0][1].parent, "an object that was to be copied there has gone") from error
    delete([source for source, _ in listed])


def let_duckdb_read(connection: duckdb.DuckDBPyConnection) -> None:
    """Register `s3://` with a DuckDB connection, which then needs no extension for it."""
    try:
        from obstore.fsspec import FsspecStore
    except ModuleNotFoundError as error:
        raise _library_missing() from error
    filesystem: Any = FsspecStore("s3")
    connection.register_filesystem(filesystem)
