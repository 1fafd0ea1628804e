"""Faults inside a run, when batch 9 arrives at the step `Mishap`; the environment selects the fault.

`MISHAP` is its name and `MISHAP_FOLDER` is the checkpoint. Batches 0 and 1 are committed before: at most 8 batches
are in flight. Without these variables the step does nothing.
"""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from engine import Batch, BatchStep
from engine.events import BatchCommitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.events import Event

AT_BATCH = 9
COMMITTED_BY_THEN = 2
EXIT_CODE = 77
_PATIENCE_SECONDS = 300


def _remove(folder: Path) -> None:
    while folder.exists():
        with suppress(OSError):  # a process writes to it
            shutil.rmtree(folder)


def _moved(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def _catalog_removed(folder: Path) -> None:
    for name in ("checkpoint.duckdb", "checkpoint.duckdb.wal"):
        (folder / name).unlink(missing_ok=True)


def _reserved() -> list[mmap.mmap | bytearray]:
    """Reserve addresses until less than a quarter GiB is left below the limit; reservations use no memory."""
    pieces: list[mmap.mmap | bytearray] = []
    with suppress(OSError):
        while True:
            pieces.append(mmap.mmap(-1, 256 << 20))
    return pieces


def _eat_memory(_folder: Path) -> None:
    reserved = _reserved()
    reserved.append(bytearray(512 << 20))


def _eat_memory_in_polars(_folder: Path) -> None:
    reserved = _reserved()
    frame = pl.DataFrame({"x": range(100_000)})
    while reserved:
        frame = pl.concat([frame, frame], rechunk=True)


def _start_threads(_folder: Path) -> None:
    for _ in range(20):
        threading.Thread(target=time.sleep, args=(3_600,), daemon=True).start()


def _start_thread_that_raises(_folder: Path) -> None:
    thread = threading.Thread(target=lambda: 1 // 0)
    thread.start()
    thread.join()


def _fork_and_leave(_folder: Path) -> None:
    if os.fork() == 0:
        os.closerange(0, 3)  # otherwise the reader of the output would wait for this process
        time.sleep(3)
        os._exit(0)


def _stop(number: signal.Signals, *, times: int = 1) -> Callable[[Path], None]:
    def send(_folder: Path) -> None:
        for _ in range(times):
            os.kill(os.getpid(), number)
            time.sleep(0.2)  # two pending signals would count as one

    return send


def _wait(folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not released(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def _leave(_folder: Path) -> None:
    os._exit(EXIT_CODE)


def _raise_system_exit(_folder: Path) -> None:
    raise SystemExit(EXIT_CODE)


def _nothing(_folder: Path) -> None:
    pass


MISHAPS: dict[str, Callable[[Path], None]] = {
    "results read-only": lambda folder: (folder / "results").chmod(0o500),
    "folder read-only": lambda folder: folder.chmod(0o500),
    "catalog's log read-only": lambda folder: (folder / "checkpoint.duckdb.wal").chmod(0o400),
    "folder removed": _remove,
    "folder moved": _moved,
    "results removed": lambda folder: _remove(folder / "results"),
    "catalog removed": _catalog_removed,
    "catalog removed without its log": lambda folder: (folder / "checkpoint.duckdb").unlink(),
    "memory eaten": _eat_memory,
    "memory eaten by Polars": _eat_memory_in_polars,
    "process ended": _leave,
    "system exit": _raise_system_exit,
    "threads started": _start_threads,
    "thread raised": _start_thread_that_raises,
    "process forked": _fork_and_leave,
    "held up": _wait,
    "listener hangs": _nothing,
    "SIGHUP": _stop(signal.SIGHUP),
    "SIGINT twice": _stop(signal.SIGINT, times=2),
}


class Mishap(BatchStep):
    """Lets batches through; at batch 9 the mishap happens, once."""

    def process(self, batch: Batch) -> Batch:
        if batch.batch_id == AT_BATCH and "MISHAP" in os.environ:
            MISHAPS[os.environ["MISHAP"]](Path(os.environ["MISHAP_FOLDER"]))
        return batch


def hang(event: Event) -> None:
    """A listener; with "listener hangs" it hangs when batch 2 is committed, in the thread that commits."""
    committed = isinstance(event, BatchCommitted) and event.batch_id == COMMITTED_BY_THEN
    if committed and os.environ.get("MISHAP") == "listener hangs":
        _wait(Path(os.environ["MISHAP_FOLDER"]))


def released(folder: Path) -> Path:
    """Return the file for which a hanging run waits."""
    return folder.with_name(f"{folder.name} released")


def at(folder: Path, name: str, *, compact_at: int = 2_000) -> dict[str, str]:
    """Return the environment that makes it happen; `compact_at` is the greatest size of the log in bytes."""
    return {"MISHAP": name, "MISHAP_FOLDER": str(folder), "FAULT_COMPACT_AT": str(compact_at)}
