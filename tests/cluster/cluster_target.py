"""The pipeline that runs on a cluster: its steps aren't in an installed package, and one of them kills its worker."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import polars as pl
from cluster_words import shout

from engine import Batch, BatchPipeline, BatchStep, FrameFetcher, StatefulBatchStep

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 2_000
BATCH_SIZE = 50
BATCHES = ROWS // BATCH_SIZE


def source() -> pl.DataFrame:
    return pl.DataFrame({"id": range(ROWS), "word": [f"w{number % 17}" for number in range(ROWS)]})


def expected(*, total: bool = False) -> pl.DataFrame:
    frame = source().with_columns(loud=pl.col("word").str.to_uppercase(), double=pl.col("id") * 2)
    return frame.with_columns(total=pl.col("double").cum_sum()) if total else frame


class Shout(BatchStep):
    """Uses a helper module of the same folder."""

    concurrent = True

    def process(self, batch: Batch) -> Batch:
        return batch.with_data(batch.data.with_columns(loud=shout(pl.col("word"))))


class Double(BatchStep):
    """Is slow, and kills its process at the named batches, the first time that it gets them.

    With `held_by`, the last batch waits for that file.
    """

    concurrent = True

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        dies_at: tuple[int, ...] = (),
        seconds: float = 0.0,
        held_by: Path | None = None,
    ) -> None:
        super().__init__(name)
        self.held_by = held_by
        self.folder = folder
        self.dies_at = dies_at
        self.seconds = seconds

    def process(self, batch: Batch) -> Batch:
        time.sleep(self.seconds)
        while self.held_by is not None and batch.batch_id == BATCHES - 1 and not self.held_by.exists():
            time.sleep(0.01)
        marker = self.folder / f"died-{batch.batch_id}"
        if batch.batch_id in self.dies_at and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return batch.with_data(batch.data.with_columns(double=pl.col("id") * 2))


class Total(StatefulBatchStep):
    """Keeps a running total, and a lock, which can't be sent to other processes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.lock = threading.Lock()
        self.total = 0

    def process(self, batch: Batch) -> Batch:
        with self.lock:
            data = batch.data.with_columns(total=pl.col("double").cum_sum() + self.total)
            self.total += batch.data["double"].sum()
        return batch.with_data(data)

    def snapshot(self) -> int:
        return self.total

    def restore(self, state: int | None) -> None:
        self.total = state or 0


def pipeline(
    folder: Path,
    executor=None,
    *,
    dies_at: tuple[int, ...] = (),
    seconds: float = 0.0,
    held_by: Path | None = None,
    total: bool = False,
    **more,
):
    steps = [Shout("shout"), Double("double", folder, dies_at=dies_at, seconds=seconds, held_by=held_by)]
    return BatchPipeline(
        [*steps, Total("total")] if total else steps,
        FrameFetcher(source()),
        BATCH_SIZE,
        folder / "checkpoint",
        executor=executor,
        **({"results_url": os.environ.get("CLUSTER_TARGET_RESULTS_URL")} | more),
    )
