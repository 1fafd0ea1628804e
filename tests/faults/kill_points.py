"""The points of the protocol at which a process may die, each as a patch that kills the process there.

A point is armed in the child before the command starts; the engine doesn't know about it. When it is reached for the
n-th time, it kills the process with SIGKILL: no handler, no `finally`, no flush.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.checkpoint import frontier_file, location, lock, store
from engine.checkpoint.catalog import catalog, compaction, history, ledger
from engine.checkpoint.parts import parts, quarantine
from engine.checkpoint.recovery import plan
from engine.results import read
from engine.results.quarantine import QuarantineView
from engine.runs.delivery import Deliveries
from engine.storage import durable, files, objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMPACT_AT_BYTES = 4_000
"""Small enough that a run over a few dozen batches compacts its log several times."""


class Bomb:
    """Goes off at the n-th call, from any thread."""

    def __init__(self, call: int) -> None:
        self.call = call
        self._calls = 0
        self._lock = threading.Lock()

    def strikes(self) -> bool:
        """Count a call; return whether it is the n-th one."""
        with self._lock:
            self._calls += 1
            return self._calls == self.call

    def tick(self) -> None:
        if self.strikes():
            die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    while True:  # another thread may be running when the signal arrives
        time.sleep(1)


def _always(*_: Any, **__: Any) -> bool:
    return True


def before(owner: Any, name: str, matches: Callable[..., bool] = _always) -> Callable[[Bomb], None]:
    """Die instead of making the n-th call of `owner.name` whose arguments match."""

    def arm(bomb: Bomb) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def patched(*args: Any, **kwargs: Any) -> Any:
            if matches(*args, **kwargs):
                bomb.tick()
            return original(*args, **kwargs)

        setattr(owner, name, patched)

    return arm


def after(owner: Any, name: str, matches: Callable[..., bool] = _always) -> Callable[[Bomb], None]:
    """Die as soon as the n-th call of `owner.name` whose arguments match has returned."""

    def arm(bomb: Bomb) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def patched(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if matches(*args, **kwargs):
                bomb.tick()
            return result

        setattr(owner, name, patched)

    return arm


def within(owner: Any, name: str, point: Callable[[Bomb], None]) -> Callable[[Bomb], None]:
    """Arm `point` only when the n-th call of `owner.name` begins; then it goes off at its first call."""

    def arm(bomb: Bomb) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def patched(*args: Any, **kwargs: Any) -> Any:
            if bomb.strikes():
                point(Bomb(1))
            return original(*args, **kwargs)

        setattr(owner, name, patched)

    return arm


def _part_half_written(bomb: Bomb) -> None:
    original = durable.new_file

    @contextmanager
    def patched(path: Path) -> Iterator[Any]:
        with original(path) as file:
            yield file
            if bomb.strikes():
                file.truncate(file.tell() // 2)
                die()

    durable.new_file = patched


def _part_written_not_fsynced(bomb: Bomb) -> None:
    original = durable.new_file

    @contextmanager
    def patched(path: Path) -> Iterator[Any]:
        with original(path) as file:
            yield file
            bomb.tick()

    durable.new_file = patched


def _half_the_renames(bomb: Bomb) -> None:
    original = parts.publish

    def patched(layout: Any, manifests: Any) -> None:
        together = list(manifests)
        if len(together) > 1 and bomb.strikes():
            original(layout, together[: len(together) // 2])
            die()
        original(layout, together)

    parts.publish = patched


def _file_half_written(start: str) -> Callable[[Bomb], None]:
    """Die when half of a file is written whose name starts with `start`."""

    def arm(bomb: Bomb) -> None:
        original = durable.new_file

        @contextmanager
        def patched(path: Path) -> Iterator[Any]:
            with original(path) as file:
                yield file
                if path.name.startswith(start) and bomb.strikes():
                    file.truncate(file.tell() // 2)
                    die()

        durable.new_file = patched

    return arm


def _export_half_written(owner: Any, *names: str) -> Callable[[Bomb], None]:
    """Die when Polars has written half of a file whose path it was given."""

    def arm(bomb: Bomb) -> None:
        for name in names:
            setattr(owner, name, _halved(getattr(owner, name), bomb))

    return arm


def _halved(original: Callable[..., Any], bomb: Bomb) -> Callable[..., Any]:
    @functools.wraps(original)
    def patched(frame: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(frame, path, *args, **kwargs)
        if isinstance(path, Path) and bomb.strikes():
            os.truncate(path, path.stat().st_size // 2)
            die()
        return result

    return patched


def _while_a_table_is_written(bomb: Bomb) -> None:
    """Die from another thread while DuckDB writes the table: n is how long after its start, in 1/2 ms."""
    original = read._write_table

    def patched(*args: Any, **kwargs: Any) -> None:
        def wait_and_die() -> None:
            time.sleep(bomb.call / 2_000)
            die()

        threading.Thread(target=wait_and_die, daemon=True).start()
        original(*args, **kwargs)
        time.sleep(1)  # too late for this n: let it die afterwards

    read._write_table = patched


def _while_folding(bomb: Bomb) -> None:
    """Die from another thread while DuckDB folds its log into the file: n is how long after its start, in 1/2 ms."""
    original = compaction._checkpoint

    def patched(opened: Any) -> None:
        def wait_and_die() -> None:
            time.sleep(bomb.call / 2_000)
            die()

        threading.Thread(target=wait_and_die, daemon=True).start()
        original(opened)
        time.sleep(1)  # too late for this n: let it die after the checkpoint

    compaction._checkpoint = patched


def _takes_out(manifests: Any) -> bool:
    return any(manifest.rows_quarantined for manifest in manifests)


def _named(start: str) -> Callable[..., bool]:
    return lambda path, *_, **__: path.name.startswith(start)


_Store, _History = store.CheckpointStore, history.History
_Ledger, _Catalog = ledger.Ledger, catalog.Catalog
_results = _named("results")

RUN = {
    "part half written": _part_half_written,
    "part written, not fsynced": _part_written_not_fsynced,
    "part fsynced": before(files, "checksum"),
    "before the commit": before(_Ledger, "append"),
    "in the transaction, frontier moved": after(_Catalog, "advance"),
    "in the transaction, batches added": after(_Catalog, "append_batches"),
    "after the commit, before the renames": after(_Ledger, "append"),
    "half of the renames done": _half_the_renames,
    "renames done, folder not fsynced": within(parts, "publish", before(durable, "fsync_path", _results)),
    "renames done, folder fsynced": after(parts, "publish"),
    "before the mirror": within(_Store, "commit", before(frontier_file, "write")),
    "mirror written, not in place": within(_Store, "commit", before(Path, "replace", _named(".frontier.json"))),
    "after the mirror": within(_Store, "commit", after(frontier_file, "write")),
}
"""Reached by every commit of a run, or by every part."""

COMPACTION = {
    "before the guard": before(compaction, "compact"),
    "first file copied": after(compaction, "_copy"),
    "guard copied, not in place": before(Path, "replace", _named(".guard-")),
    "guard in place": before(compaction, "_checkpoint"),
    "log folded into the catalog": after(compaction, "_checkpoint"),
    "guard renamed to be removed": after(Path, "replace", _named("checkpoint.guard")),
    "guard removed": after(compaction, "compact"),
}
"""Reached each time that the log is compacted."""

FOLDING = {"while the log is folded into the catalog": _while_folding}
"""Inside the checkpoint of DuckDB."""

BEGINNING = {
    "folder made": before(lock.CheckpointLock, "__init__"),
    "lock taken": after(lock.CheckpointLock, "__init__"),
    "before the catalog's tables": before(_Catalog, "create"),
    "tables made": after(_Catalog, "create"),
    "new catalog folded": after(_Catalog, "checkpoint"),
    "before the new catalog gets its name": before(Path, "replace", _named(".checkpoint-")),
    "new catalog has its name": after(Path, "replace", _named(".checkpoint-")),
    "catalog made": after(compaction, "create"),
    "run recorded, not committed": after(_Catalog, "add_run"),
    "run begun": after(_History, "begin_run"),
}
"""Reached once, by the first run."""

END = {
    "before the end is recorded": before(_Catalog, "end_run"),
    "end recorded": after(_History, "end_run"),
    "checkpoint closed": after(_Store, "close"),
}
"""Reached once, when everything is committed."""

RECOVERY = {
    "before anything is mended": before(plan, "decide"),
    "before a temporary part is deleted": before(Path, "unlink", _named(".part-")),
    "before committed parts get their names": before(parts, "publish"),
    "before crashed runs are marked": before(_Catalog, "mark_crashed_runs"),
    "before the mirror is made again": before(frontier_file, "write"),
}
"""Reached by the opening after a kill."""

RESTORING = {
    "before the copy is put back": before(compaction, "_copy"),
    "catalog put back, log not": within(
        compaction, "restore", before(Path, "replace", _named(".checkpoint.duckdb.wal"))
    ),
    "both put back, guard still there": before(compaction, "_remove_guard"),
    "guard renamed to be removed": after(Path, "replace", _named("checkpoint.guard")),
}
"""Reached by the opening after a kill inside a compaction."""

REWINDING = {
    "before the rewind": before(_Store, "rewind"),
    "in the rewind's transaction": after(_Catalog, "rewind"),
    "rewind committed, before the catalog is read again": within(_Catalog, "rewind", before(_Catalog, "head")),
    "rewind committed, before the first part is deleted": before(Path, "unlink", _named("part-")),
    "half of the parts deleted": before(Path, "unlink", _named("part-")),
    "parts deleted, folder not fsynced": within(_Store, "rewind", before(durable, "fsync_path", _results)),
    "after the rewind": after(_Store, "rewind"),
}
"""Reached by `rewind`, by `reset`, and by a fresh run over old results."""


def _writes_the_ledger(_sink: Any, name: str, *_: Any) -> bool:
    return name == "insert_ledger"


def _rows_in_the_sink(bomb: Bomb) -> None:
    from engine import DuckDBSink  # SQLAlchemy loads for them alone: every child would wait for it
    from engine.sinks import sql_table

    after(sql_table, "insert_rows")(bomb)
    after(DuckDBSink, "_query", _writes_the_ledger)(bomb)


def _rows_committed_in_the_sink(bomb: Bomb) -> None:
    from engine import DuckDBSink, SqlSink

    for sink in (DuckDBSink, SqlSink):
        after(sink, "put")(bomb)


DELIVERY = {
    "batches committed, before they are delivered": before(Deliveries, "deliver"),
    "rows in the sink, not committed": _rows_in_the_sink,
    "rows in the sink, committed": _rows_committed_in_the_sink,
}
"""Reached by every commit of a run with a sink."""

QUARANTINE = {
    "quarantine file half written": _file_half_written("batch-"),
    "quarantine files written, their part not": after(quarantine, "write", lambda *args: bool(args[3])),
    "part written beside its quarantine": after(parts, "write", lambda *args, **_: bool(args[2].quarantine)),
    "in the transaction, rows taken out": after(
        _Catalog, "append_batches", lambda _, batches, *__: _takes_out(batches)
    ),
    "rows taken out, committed": after(_Ledger, "append", lambda _, batches, **__: _takes_out(batches)),
    "rows taken out, parts renamed": after(parts, "publish", lambda _, batches: _takes_out(batches)),
}
"""Reached by every commit of a run that puts rows into quarantine."""

SWEEPING = {"before a file of nobody's is swept from quarantine": before(Path, "unlink", _named("batch-"))}
"""Reached by the opening after a kill between a quarantine file and its commit, and by a rewind over a quarantine."""

REPLAY = {
    "replay begun": after(_History, "begin_run"),
    "what stays in quarantine written anew": after(quarantine, "write"),
    "before a replayed part": before(parts, "write"),
    "replayed part half written": _file_half_written(".part-"),
    "replayed part written": after(parts, "write"),
    "before a replay's transaction": before(_Ledger, "replace"),
    "in a replay's transaction, old batch gone, new one not there": within(
        _Catalog, "replace", before(_Catalog, "append_batches")
    ),
    "in a replay's transaction": after(_Catalog, "replace"),
    "replay committed, before the rename": after(_Ledger, "replace"),
    "replayed part renamed, folder not fsynced": within(parts, "publish", before(durable, "fsync_path", _results)),
    "replayed part renamed, before the sweep": before(quarantine, "drop"),
    "replayed, old quarantine swept": after(quarantine, "drop"),
    "before a replay's end is recorded": before(_History, "end_run"),
}
"""Reached by every batch of a replay; its start and its end are reached by every replay."""

_out = _named(".out.")

EXPORT = {
    "before an export": before(read, "export"),
    "export half written": _export_half_written(pl.LazyFrame, "sink_parquet", "sink_csv"),
    "export written, not fsynced": before(durable, "fsync_path", _out),
    "export fsynced, not in place": before(Path, "replace", _out),
    "export in place, folder not fsynced": after(Path, "replace", _out),
    "exported": after(read, "export"),
}
"""Reached by an export of the results into a file called `out`."""

EXPORT_TABLE = {"while a table is written into a database": _while_a_table_is_written}

EXPORT_QUARANTINE = {
    "before an export of the quarantine": before(QuarantineView, "export"),
    "quarantine half exported": _export_half_written(pl.DataFrame, "write_parquet", "write_csv"),
    "quarantine exported, not fsynced": before(durable, "fsync_path", _out),
    "quarantine exported, not in place": before(Path, "replace", _out),
    "quarantine exported, folder not fsynced": after(Path, "replace", _out),
    "quarantine exported": after(QuarantineView, "export"),
}
"""Reached by an export of the quarantine into a file called `out`."""

OBJECTS = {
    "before a part is put into the storage": before(objects, "put", _named(".part-")),
    "part in the storage, not committed": after(objects, "put", _named(".part-")),
    "committed, before the copies": before(objects, "move"),
    "half of the copies made": _half_the_renames,
    "copies made, the firsts not deleted": within(objects, "move", before(objects, "delete")),
    "firsts deleted": after(objects, "move"),
}
"""Reached by every commit of a run whose results are in object storage, or by every part."""

OBJECTS_BEGINNING = {
    "catalog made, place not claimed": before(location, "acquire"),
    "place not written down": within(location, "acquire", before(durable, "replace_text")),
    "place written down, not claimed": before(objects, "put", _named("checkpoint-key")),
    "place claimed": after(location, "acquire"),
    "before the place is taken over": before(location, "fence"),
    "taking over, written down": within(location, "fence", before(objects, "put")),
    "taken over, both writers written down": within(location, "fence", after(objects, "put")),
    "taken over": after(location, "fence"),
}
"""Reached once, by the first run of such a pipeline."""

OBJECTS_REWINDING = {
    "rewind committed, before objects are deleted": before(objects, "delete"),
    "objects deleted": within(_Store, "rewind", after(objects, "delete")),
}
"""Reached by `rewind`, by `reset`, and by a fresh run over old results."""

POINTS: dict[str, Callable[[Bomb], None]] = (
    RUN
    | DELIVERY
    | COMPACTION
    | FOLDING
    | BEGINNING
    | END
    | RECOVERY
    | RESTORING
    | REWINDING
    | QUARANTINE
    | SWEEPING
    | REPLAY
    | EXPORT
    | EXPORT_TABLE
    | EXPORT_QUARANTINE
    | OBJECTS
    | OBJECTS_BEGINNING
    | OBJECTS_REWINDING
    | {"nowhere": lambda bomb: None}
)
