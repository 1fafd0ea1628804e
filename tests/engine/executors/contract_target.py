"""Steps and pipelines for the contract of executors, which may run them in another process.

A step writes its calls to a file. If it must wait, it waits for a lock on a file that the test holds.
"""

from __future__ import annotations

import fcntl
import threading
from contextlib import contextmanager

import polars as pl
import pytest

from engine import BatchPipeline, RayExecutor, RetryPolicy
from engine.executors.threads import ThreadExecutor
from engine.steps.base import BatchStep, StatefulBatchStep
from engine.testing import TIMEOUT_SECONDS, InlineExecutor, NumberSource, TransientError

EXECUTORS = {
    "inline": lambda _: InlineExecutor(),
    "inline with a window of 3": lambda _: InlineExecutor(window=3),
    "one thread": lambda _: ThreadExecutor(1),
    "three threads": lambda _: ThreadExecutor(3),
    "a Ray cluster": lambda request: RayExecutor(request.getfixturevalue("cluster").address),
}
ON_CLUSTERS = {"a Ray cluster"}


def executors(*names):
    """Return the parameters of a fixture, which name these executors; `made` makes them."""
    needs = pytest.mark.needs("cluster")
    return [pytest.param(name, marks=needs) if name in ON_CLUSTERS else name for name in names]


def made(request):
    return EXECUTORS[request.param](request)


class Noted(BatchStep):
    """Writes each call to a file, and waits or fails at the batches that the test chose.

    `fails` says how often it fails at a batch, -1 for always. The file counts the calls of all processes.
    """

    def __init__(self, name, folder, *, fails=None, waits_at=(), concurrent=False, transient=True):
        super().__init__(name)
        self.path = folder / f"{name}.calls"
        self.gate = folder / f"{name}.gate"
        self.gate.touch()
        self.fails = fails or {}
        self.waits_at = waits_at
        self.concurrent = concurrent
        self.transient = transient

    def process(self, batch):
        with self.path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{batch.batch_id} ")
        if batch.batch_id in self.waits_at:
            with self.gate.open() as gate:
                fcntl.flock(gate, fcntl.LOCK_SH)
        allowed = self.fails.get(batch.batch_id, 0)
        if allowed < 0 or self.calls().count(batch.batch_id) <= allowed:
            raise TransientError("try again") if self.transient else ValueError("a bad row")
        return batch.with_data(batch.data.with_columns(double=pl.col("id") * 2))

    def calls(self):
        return [int(word) for word in self.path.read_text().split()] if self.path.exists() else []

    @contextmanager
    def closed(self):
        """Keep the gate closed."""
        with self.gate.open() as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield


class Total(StatefulBatchStep):
    def __init__(self, name, *, fails_once_at=None, folder=None):
        super().__init__(name)
        self.total = None
        self.fails_once_at = fails_once_at
        self.folder = folder

    def process(self, batch):
        self.total += batch.data.height
        marker = self.folder / f"{self.name}.failed" if self.folder else None
        if batch.batch_id == self.fails_once_at and not marker.exists():
            marker.touch()
            raise TransientError("after the state has changed")
        return batch.with_data(batch.data.with_columns(total=pl.lit(self.total, dtype=pl.Int64)))

    def snapshot(self):
        return {"total": self.total}

    def restore(self, state):
        self.total = state["total"] if state else 0


class Refuses(BatchStep):
    """Raises for frames with one of the bad ids."""

    def __init__(self, name, bad, *, concurrent):
        super().__init__(name)
        self.bad = set(bad)
        self.concurrent = concurrent

    def process(self, batch):
        if self.bad & set(batch.data["id"]):
            raise ValueError("a bad row")
        return batch


QUICK = RetryPolicy(transient=(TransientError,), max_attempts=3, base_seconds=0)


def pipeline(folder, executor, *steps, source=None, log=None, retry=None, batch_size=10):
    return BatchPipeline(
        steps,
        source or NumberSource(100),
        batch_size,
        folder,
        executor=executor,
        retry=retry,
        listeners=[log] if log else [],
    )


def ids(run):
    return run.collect_results()["id"].to_list()


def leftovers(folder):
    return [path.name for path in (folder / "results").iterdir() if path.name.endswith(".tmp")]


@contextmanager
def in_background(run):
    """Run the pipeline in a thread; yield a function that waits for its result or its exception."""
    outcome = []

    def target():
        try:
            outcome.append(run.run())
        except BaseException as error:  # noqa: BLE001 (handed on)
            outcome.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()

    def result():
        thread.join(TIMEOUT_SECONDS)
        assert outcome, "the run hangs"
        return outcome[0]

    yield result
    result()
