"""The pipeline that is killed while it quarantines and replays rows: one step is stateful, the next one fails.

`KILL_TARGET_MENDED` says how often the failing step was corrected: each time it fails on fewer rows.
"""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING

import kill_target
import polars as pl

from engine import AddColumnBatchStep, Batch, BatchPipeline, BatchStep, DropNullsBatchStep, FrameFetcher, Quarantine

if TYPE_CHECKING:
    from pathlib import Path

BATCHES = 24
ROWS = BATCHES * kill_target.BATCH_SIZE
BAD = ((3, 23), (41,), ())
"""The remainders of ids modulo 60 on which the step fails, by how often it was corrected."""


def source() -> pl.DataFrame:
    return kill_target.source().head(ROWS)


@functools.cache
def expected() -> pl.DataFrame:
    """The results when the quarantine is empty, computed without the engine."""
    return kill_target.expected().filter(pl.col("id") < ROWS).select("id", "value", "text", "total", "feature")


def is_bad(mended: int) -> pl.Expr:
    return (pl.col("id") % 60).is_in([remainder for one in BAD[mended:] for remainder in one])


class Parse(BatchStep):
    """Fails on some rows. Each batch takes `KILL_TARGET_FETCH_SECONDS`."""

    def __init__(self, mended: int) -> None:
        super().__init__("parse")
        self.mended = mended

    def process(self, batch: Batch) -> Batch:
        time.sleep(kill_target.FETCH_SECONDS)
        if batch.data.select(is_bad(self.mended).any()).item():
            raise ValueError("a bad row")
        return batch


def pipeline(folder: str | Path) -> BatchPipeline:
    return BatchPipeline(
        steps=[
            DropNullsBatchStep("drop_nulls"),
            kill_target.RunningTotal("running_total"),
            Parse(int(os.environ.get("KILL_TARGET_MENDED", "0"))),
            AddColumnBatchStep("add_feature", "value", multiplier=2, output="feature"),
        ],
        batch_fetcher=FrameFetcher(source()),
        batch_size=kill_target.BATCH_SIZE,
        checkpoint_dir=folder,
        workers=3,
        on_error=Quarantine(None, None),
    )
