"""A small random pipeline for a test, and the faults of one call of it. All of it can be written as JSON.

Each source row has a `kind` that decides what happens to it; `life_model` does the same in plain Python.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import polars as pl

from engine import Batch, BatchPipeline, BatchStep, FrameFetcher, Quarantine, RetryPolicy, StatefulBatchStep
from engine.events import BatchCommitted
from engine.testing import InlineExecutor, TransientError

if TYPE_CHECKING:
    import os

    from engine.sources.base import BatchFetcher
    from engine.text.json_values import Json

KEEP, DROP, DOUBLE, BAD, WORSE, BAD_FOR_TOTAL, BAD_FOR_COUNT = range(7)
"""Kinds of rows. `fragile` fails on BAD until it is corrected once and on WORSE until it is corrected twice; `total`
and `count` fail on their kinds until they are corrected once."""

ATTEMPTS = 3
STEPS = ("shape", "fragile", "total", "count")
ROW_WISE = ("flaky", "shape", "fragile")


@dataclass(frozen=True)
class Mishap:
    """The faults of one call, each at a batch; None for no fault. The transient error comes `transient_times` times."""

    fetch_fails_at: int | None = None
    step_fails_at: int | None = None
    transient_at: int | None = None
    transient_times: int = 1
    stops_at: int | None = None
    stops_now: bool = False


CALM = Mishap()


@dataclass(frozen=True)
class Life:
    """The pipeline at one moment: `kinds` are the source, `order` the steps after `flaky`.

    `mended` says how often the steps have been corrected; `version` is the version that they declare. `limits` are the
    greatest number and fraction of rows in quarantine, None if bad rows stop a run. Without `workers`, everything is
    done in the thread of the caller.
    """

    order: tuple[str, ...]
    plain: bool
    kinds: tuple[int, ...] = ()
    batch_size: int = 4
    workers: int | None = 1
    mended: int = 0
    version: str = "1"
    limits: tuple[int | None, float | None] | None = None
    mishap: Mishap = CALM

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Life:
        content = json.loads(text)
        content["order"], content["kinds"] = tuple(content["order"]), tuple(content["kinds"])
        content["limits"] = content["limits"] and tuple(content["limits"])
        content["mishap"] = Mishap(**content["mishap"])
        return cls(**content)


def source(kinds: tuple[int, ...]) -> pl.DataFrame:
    return pl.DataFrame({"id": range(len(kinds)), "kind": kinds}, schema={"id": pl.Int64, "kind": pl.Int64})


def pipeline(life: Life, folder: str | os.PathLike[str]) -> BatchPipeline:
    classes = {"shape": Shape, "fragile": Fragile, "total": Total, "count": Count}
    steps = [Flaky(life.mishap), *(classes[name](name, life.mended) for name in life.order)]
    for step in steps:
        step.version = life.version
    run = BatchPipeline(
        steps,
        _fetcher(life),
        life.batch_size,
        folder,
        workers=life.workers,
        executor=None if life.workers else InlineExecutor(2),
        retry=RetryPolicy(transient=(TransientError,), max_attempts=ATTEMPTS, base_seconds=0),
        on_error=Quarantine(*life.limits) if life.limits else "stop",
    )

    def stop(event: object) -> None:
        if isinstance(event, BatchCommitted) and event.batch_id == life.mishap.stops_at:
            run.request_stop(now=life.mishap.stops_now)

    run.add_listener(stop)
    return run


def _fetcher(life: Life) -> BatchFetcher:
    frame, fails_at = source(life.kinds), life.mishap.fetch_fails_at
    if not life.plain:
        return Frames(frame, fails_at)

    def fetch(batch_id: int, batch_size: int) -> Batch | None:
        if batch_id == fails_at:
            raise ConnectionError("gone")
        data = frame.slice(batch_id * batch_size, batch_size)
        start = batch_id * batch_size
        return Batch(batch_id, start, start + data.height - 1, data) if data.height else None

    return fetch


class Frames(FrameFetcher):
    def __init__(self, frame: pl.DataFrame, fails_at: int | None) -> None:
        super().__init__(frame)
        self.fails_at = fails_at

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        if batch_id == self.fails_at:
            raise ConnectionError("gone")
        return super().__call__(batch_id, batch_size)


class Flaky(BatchStep):
    """The first step: returns its input, unless a mishap happens at this batch."""

    def __init__(self, mishap: Mishap) -> None:
        super().__init__("flaky")
        self.mishap = mishap
        self.times = 0

    def process(self, batch: Batch) -> Batch:
        if batch.batch_id == self.mishap.step_fails_at:
            raise MemoryError("the machine's fault")  # not the fault of a row, so nothing is put into quarantine
        if batch.batch_id == self.mishap.transient_at and self.times < self.mishap.transient_times:
            self.times += 1
            raise TransientError("later perhaps")
        return batch


class Shape(BatchStep):
    concurrent = True

    def __init__(self, name: str, mended: int) -> None:
        super().__init__(name)

    def process(self, batch: Batch) -> Batch:
        times = {DROP: 0, DOUBLE: 2}
        taken = [row for row, kind in enumerate(batch.data["kind"]) for _ in range(times.get(kind, 1))]
        return batch.with_data(batch.data[taken])


def _refuse(batch: Batch, *kinds: int) -> None:
    if batch.data["kind"].is_in(kinds).any():
        raise ValueError("a bad row")


class Fragile(BatchStep):
    def __init__(self, name: str, mended: int) -> None:
        super().__init__(name)
        self.refused = (BAD, WORSE)[mended:]

    def process(self, batch: Batch) -> Batch:
        _refuse(batch, *self.refused)
        return batch


class Total(StatefulBatchStep):
    """Changes its state before it fails: the engine must restore the state."""

    def __init__(self, name: str, mended: int) -> None:
        super().__init__(name)
        self.refused = () if mended else (BAD_FOR_TOTAL,)
        self.total = 0

    def process(self, batch: Batch) -> Batch:
        data = batch.data.with_columns(total=pl.col("id").cum_sum() + self.total)
        self.total += int(batch.data["id"].sum())
        _refuse(batch, *self.refused)
        return batch.with_data(data)

    def snapshot(self) -> Json:
        return self.total

    def restore(self, state: Json) -> None:
        self.total = state if isinstance(state, int) else 0


class Count(BatchStep):
    row_wise = False

    def __init__(self, name: str, mended: int) -> None:
        super().__init__(name)
        self.refused = () if mended else (BAD_FOR_COUNT,)

    def process(self, batch: Batch) -> Batch:
        _refuse(batch, *self.refused)
        return batch.with_data(batch.data.with_columns(n=pl.lit(batch.data.height, dtype=pl.Int64)))
