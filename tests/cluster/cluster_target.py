"""The pipeline that runs on a cluster: its steps are known to no installed package, and one loses its worker."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import polars as pl
from cluster_words import shout

from engine import Batch, BatchPipeline, BatchStep, FrameFetcher

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 2_000
BATCH_SIZE = 50


def source() -> pl.DataFrame:
    return pl.DataFrame({"id": range(ROWS), "word": [f"w{number % 17}" for number in range(ROWS)]})


def expected() -> pl.DataFrame:
    return source().with_columns(loud=pl.col("word").str.to_uppercase(), double=pl.col("id") * 2)


class Shout(BatchStep):
    """Uses a helper module of the same folder."""

    concurrent = True

    def process(self, batch: Batch) -> Batch:
        return batch.with_data(batch.data.with_columns(loud=shout(pl.col("word"))))


class Double(BatchStep):
    """Takes its time, and kills its process at the batches that are named, the first time."""

    concurrent = True

    def __init__(self, name: str, folder: Path, *, dies_at: tuple[int, ...] = (), seconds: float = 0.0) -> None:
        super().__init__(name)
        self.folder = folder
        self.dies_at = dies_at
        self.seconds = seconds

    def process(self, batch: Batch) -> Batch:
        time.sleep(self.seconds)
        marker = self.folder / f"died-{batch.batch_id}"
        if batch.batch_id in self.dies_at and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return batch.with_data(batch.data.with_columns(double=pl.col("id") * 2))


def pipeline(folder: Path, executor=None, *, dies_at: tuple[int, ...] = (), seconds: float = 0.0, **more):
    return BatchPipeline(
        [Shout("shout"), Double("double", folder, dies_at=dies_at, seconds=seconds)],
        FrameFetcher(source()),
        BATCH_SIZE,
        folder / "checkpoint",
        executor=executor,
        **more,
    )
