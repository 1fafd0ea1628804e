"""The catalog: one DuckDB connection, its named queries, and typed rows in and out.

This module opens the database and sends all SQL to it; it makes no decisions. Use a catalog from one thread only:
DuckDB silently gives wrong answers when threads share a connection.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import threading
import weakref
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, fields
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any

import duckdb

from engine.checkpoint.catalog.head import CatalogHead
from engine.checkpoint.catalog.records import RunRecord
from engine.checkpoint.parts.manifest import Manifest, QuarantineFile, StepTiming
from engine.checkpoint.translate_errors import REPAIR_HINT
from engine.errors import CheckpointCorrupt
from engine.events import FailureRecord
from engine.state import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FORMAT = 2
"""The format of the catalogs that this version writes. It migrates older ones, by `from_format_N.sql`."""

PAGE = 1_000
"""How many manifests are in memory at a time when all of them are read: memory must not grow with their number."""

_SOFTWARE = "batchpipe-tui"
"""The name of the software that is recorded in a catalog."""

# A checkpoint of DuckDB rewrites a live metadata block in place; in tests, a kill during that left a file that couldn't
# be opened. So no checkpoint may start automatically: both thresholds are out of reach. Only `compaction` makes
# checkpoints, after copying the files. DuckDB could also download an extension when a file looks like another format;
# that is disabled too.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "512MB",
    "wal_autocheckpoint": "1TB",
    "auto_checkpoint_skip_wal_threshold": "1000000000000",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
}


def connect(path: Path, *, new: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a database file so that only committed transactions change it; create it only with `new`.

    Raises:
        CheckpointCorrupt: the file doesn't exist. DuckDB would create an empty one.
        FileNotFoundError: its folder doesn't exist.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    if not new and not path.exists():
        raise CheckpointCorrupt(path, f"the catalog {path} is missing", hint=REPAIR_HINT)
    connection = duckdb.connect(str(path), config=_SETTINGS)
    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    connection.execute("SET lock_configuration = true")
    return connection


def load_queries(file_name: str = "queries.sql") -> dict[str, str]:
    """Return the queries in a file, by name."""
    text = resources.files(__package__).joinpath(file_name).read_text(encoding="utf-8")
    blocks = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)[1:]
    return {name: query.strip().rstrip(";") for name, query in zip(blocks[::2], blocks[1::2], strict=True)}


_open_catalogs: weakref.WeakSet[Catalog] = weakref.WeakSet()
_closing = threading.Lock()


def read_open_file(path: Path, chunk: int) -> Iterator[bytes]:
    """Yield the content of a catalog file that this process has open, without opening it again; nothing for others."""
    with _closing:
        for opened in tuple(_open_catalogs):
            descriptor = opened.file.fileno()
            if os.path.samestat(path.lstat(), os.fstat(descriptor)):
                offset = 0
                while content := os.pread(descriptor, chunk, offset):
                    yield content
                    offset += len(content)
                return


class Catalog:
    """Typed access to one open catalog. Every method may raise `duckdb.Error`.

    `file` is the file itself, to copy it. Never open it a second time while the catalog is open: closing any descriptor
    of the file drops the lock of DuckDB, which keeps other programs out.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        self._queries = load_queries()
        self._connection = connect(path, new=new)
        try:
            self.file = path.open("rb")
        except BaseException:
            self._connection.close()
            raise
        _open_catalogs.add(self)
        self._new_batches: Any = None  # an appender; it is kept, because making one costs as much as a small commit

    def close(self) -> None:
        """Close the connection without a DuckDB checkpoint, so the log stays beside the file."""
        self._new_batches = None
        try:
            self._connection.close()
        finally:
            with _closing:
                _open_catalogs.discard(self)
                self.file.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction: commit at its end, roll back if it raises."""
        self._connection.begin()
        try:
            yield
        except BaseException:
            with suppress(duckdb.Error):  # a broken connection has already rolled back
                self._connection.rollback()
            if self._new_batches is not None:  # it may hold rows, which must not be committed with the next ones
                self._new_batches.clear()
                self._new_batches = None
            raise
        self._connection.commit()

    def _run(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        stored = {name: _storable(value) for name, value in parameters.items()}
        return self._connection.execute(self._queries[query], stored or None).fetchall()

    # --- making and reading the head ---------------------------------------------------------------

    def create(self, key: str) -> None:
        """Create all tables in an empty database."""
        self._make_tables()
        now = datetime.now(UTC)
        self._run("insert_checkpoint", format=FORMAT, checkpoint_key=key, created_at=now, software=_SOFTWARE)
        self._run("insert_frontier")

    def create_from(self, old: Catalog, old_format: int) -> None:
        """Create all tables in an empty database, with the rows of a catalog of an older format."""
        self._make_tables()
        for table, query in load_queries(f"from_format_{old_format}.sql").items():
            rows = old._connection.execute(query, {"format": FORMAT} if "$format" in query else None)
            moments = [index for index, column in enumerate(rows.description) if column[0].endswith("_at")]
            appender = self._connection.appender(table)
            while page := rows.fetchmany(PAGE):
                appender.append_rows([_with_moments(row, moments) for row in page])
                appender.flush()

    def _make_tables(self) -> None:
        self._connection.execute(resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8"))

    def checkpoint(self) -> None:
        """Fold the log into the file. Only `compaction` may call this: a kill during it can destroy the file."""
        self._connection.execute("CHECKPOINT")

    def identity(self) -> tuple[int, str]:
        """Return the format and the key of the checkpoint."""
        ((catalog_format, key),) = self._run("select_checkpoint")
        return catalog_format, key

    def head(self) -> CatalogHead:
        """Return the frontier and the epoch."""
        (row,) = self._run("select_frontier")
        return CatalogHead(*row)

    # --- moving the frontier: call inside a transaction ---------------------------------------------

    def append_batches(self, manifests: Sequence[Manifest], committed_at: datetime) -> None:
        """Add committed batches."""
        if self._new_batches is None:
            self._new_batches = self._connection.appender("batches")
        self._new_batches.append_rows([(*_batch_row(manifest), committed_at) for manifest in manifests])
        self._new_batches.flush()

    def advance(self, before: CatalogHead, *, next_batch_id: int, next_row: int) -> bool:
        """Move the frontier from `before`; return False if it was somewhere else."""
        expected = {"expected_batch_id": before.next_batch_id, "expected_row": before.next_row}
        return len(self._run("advance_frontier", next_batch_id=next_batch_id, next_row=next_row, **expected)) == 1

    def delete_batches_from(self, batch_id: int) -> None:
        """Drop the batches from `batch_id` on."""
        self._run("delete_batches_from", batch_id=batch_id)

    def replace(self, manifest: Manifest, *, attempt_id: str, committed_at: datetime) -> bool:
        """Replace the result of a batch; return False if the attempt `attempt_id` isn't the committed one."""
        if len(self._run("delete_batch", batch_id=manifest.batch_id, attempt_id=attempt_id)) != 1:
            return False
        self.append_batches([manifest], committed_at)
        return True

    def rewind(self, *, next_batch_id: int, next_row: int) -> None:
        """Drop the batches from `next_batch_id` on, move the frontier before them, and begin a new epoch."""
        self.delete_batches_from(next_batch_id)
        self._run("rewind_frontier", next_batch_id=next_batch_id, next_row=next_row)

    def place(self, head: CatalogHead) -> None:
        """Set the frontier to any position. Only for a catalog that is rebuilt from parts."""
        self._run("place_frontier", **asdict(head))

    # --- batches, pipeline, runs, failures ----------------------------------------------------------

    def count_batches(self) -> tuple[int, int, int]:
        """Return the number of committed batches, the greatest id, and the number of their result rows."""
        ((count, last, rows),) = self._run("count_batches")
        return count, last, int(rows)

    def missing_batches(self, next_batch_id: int) -> list[int]:
        """Return the ids before `next_batch_id` that have no row, in order."""
        return [batch_id for (batch_id,) in self._run("missing_batches", next_batch_id=next_batch_id)]

    def is_contiguous(self, *, next_batch_id: int, next_row: int) -> bool:
        """Return whether the batches follow each other without a gap, from row 0 up to `next_row`."""
        ((count, breaks, last_row),) = self._run("count_breaks")
        return bool((count, breaks, last_row) == (next_batch_id, 0, next_row - 1))

    def batches(self, first_batch_id: int, last_batch_id: int) -> list[Manifest]:
        """Return the manifests of committed batches, both ids inclusive, in order."""
        rows = self._run("select_batches", first_batch_id=first_batch_id, last_batch_id=last_batch_id)
        return [_manifest(row) for row in rows]

    def batch(self, batch_id: int) -> Manifest | None:
        """Return the manifest of one batch, None if it isn't committed."""
        manifests = self.batches(batch_id, batch_id)
        return manifests[0] if manifests else None

    def rows_quarantined(self) -> int:
        """Return how many source rows are in quarantine."""
        ((rows,),) = self._run("count_quarantined")
        return int(rows)

    def quarantined(self) -> list[tuple[int, str]]:
        """Return (batch id, attempt id) of each batch that has rows in quarantine, in order."""
        return [(batch_id, attempt_id) for batch_id, attempt_id in self._run("select_quarantined")]

    def read_history(self) -> None:
        """Read all tables except the batches; raises `duckdb.Error` if one is damaged."""
        for name in ("read_pipelines", "read_runs", "read_failures"):
            self._run(name)

    def pipeline(self) -> tuple[int, str] | None:
        """Return the newest revision and description of the pipeline; None before the first run."""
        rows = self._run("select_pipeline")
        return (rows[0][0], rows[0][1]) if rows else None

    def add_pipeline(self, revision: int, run_id: int, description: str) -> None:
        """Record the new description of the pipeline."""
        self._run("insert_pipeline", revision=revision, run_id=run_id, description=description)

    def add_run(self, *, first_batch_id: int, batch_size: int) -> int:
        """Record the start of a run of this process; return its number."""
        ((run_id,),) = self._run("next_run_id")
        process = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": datetime.now(UTC)}
        self._run("insert_run", run_id=run_id, first_batch_id=first_batch_id, batch_size=batch_size, **process)
        return int(run_id)

    def add_lost_run(self, *, run_id: int, next_batch_id: int, batch_size: int, message: str) -> None:
        """Record, after the history was lost, that there were runs up to `run_id`."""
        about = {"at": datetime.now(UTC), "next_batch_id": next_batch_id, "batch_size": batch_size}
        self._run("insert_lost_run", run_id=run_id, message=message, **about)

    def end_run(self, run_id: int, state: RunState, message: str, retries: int) -> None:
        """Record how a run ended."""
        now = datetime.now(UTC)
        self._run("end_run", run_id=run_id, ended_at=now, state=state, message=message, retries=retries)

    def refuse_run(self, run_id: int, message: str) -> None:
        """Record that a run never began: it has no first uncommitted batch at its end."""
        self._run("refuse_run", run_id=run_id, ended_at=datetime.now(UTC), message=message)

    def mark_crashed_runs(self) -> list[int]:
        """Mark runs that are still recorded as running; return their numbers. The caller must hold the lock."""
        return [row[0] for row in self._run("mark_crashed_runs")]

    def add_failure(self, failure: FailureRecord) -> None:
        """Record a failure."""
        as_json = {"row_numbers": json.dumps(failure.row_numbers), "examples": json.dumps(failure.examples)}
        self._run("insert_failure", **asdict(failure) | as_json)

    def runs(self, limit: int) -> list[RunRecord]:
        """Return the newest runs first."""
        return [_run_record(row) for row in self._run("select_runs", limit=limit)]

    def last_begun_run(self) -> RunRecord | None:
        """Return the newest run that wasn't refused."""
        return next(map(_run_record, self._run("select_last_begun_run")), None)

    def failures(self, limit: int) -> list[FailureRecord]:
        """Return the newest failures first."""
        return [_failure(row) for row in self._run("select_failures", limit=limit)]


def _storable(value: object) -> object:
    # Error messages with file names that aren't UTF-8 contain lone surrogates, which DuckDB doesn't accept.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


# The columns of the table are in the order of the manifest's fields; four of them are JSON texts.
_TIMINGS, _CURSOR, _STATES, _QUARANTINE = 10, 11, 12, 16


def _batch_row(manifest: Manifest) -> tuple[object, ...]:
    values = [getattr(manifest, field.name) for field in fields(manifest)]
    values[_TIMINGS] = json.dumps([astuple(timing) for timing in manifest.timings])
    values[_CURSOR] = None if manifest.cursor is None else json.dumps(manifest.cursor)
    values[_STATES] = None if manifest.states is None else json.dumps(manifest.states)
    values[_QUARANTINE] = json.dumps([asdict(one) for one in manifest.quarantine]) if manifest.quarantine else None
    return tuple(values)


def _manifest(row: tuple[Any, ...]) -> Manifest:
    values = list(row)
    values[_TIMINGS] = tuple(StepTiming(tuple(steps), *rest) for steps, *rest in json.loads(row[_TIMINGS]))
    values[_CURSOR] = row[_CURSOR] and json.loads(row[_CURSOR])
    values[_STATES] = row[_STATES] and json.loads(row[_STATES])
    values[_QUARANTINE] = tuple(QuarantineFile(**one) for one in json.loads(row[_QUARANTINE] or "[]"))
    return Manifest(*values)


def _run_record(row: tuple[Any, ...]) -> RunRecord:
    return RunRecord(row[0], _moment(row[1]), row[2] and _moment(row[2]), RunState(row[3]), *row[4:])


def _failure(row: tuple[Any, ...]) -> FailureRecord:
    names, rows = json.loads(row[12])
    values = list(row)
    values[1] = _moment(row[1])
    values[11] = tuple(json.loads(row[11]))
    values[12] = (tuple(names), tuple(tuple(cells) for cells in rows))
    return FailureRecord(*values)


def _with_moments(row: tuple[Any, ...], moments: Sequence[int]) -> tuple[Any, ...]:
    values = list(row)
    for index in moments:
        values[index] = None if row[index] is None else _moment(row[index])
    return tuple(values)


def _moment(microseconds: int) -> datetime:
    # To fetch a TIMESTAMPTZ directly, DuckDB would need pytz.
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
