"""The pipeline for the tests of faults: the first rows of `kill_target`, so that a trial is short.

Its last step does nothing unless the environment asks `mishaps` for a fault.
"""

from __future__ import annotations

import functools
import os

import kill_target
import mishaps
import polars as pl

from engine import AddColumnBatchStep, BatchPipeline, DropNullsBatchStep, FrameFetcher

BATCHES = 14
ROWS = BATCHES * kill_target.BATCH_SIZE


@functools.cache
def expected() -> pl.DataFrame:
    """The results, made without the engine."""
    return kill_target.expected().filter(pl.col("id") < ROWS)


def pipeline(checkpoint_dir: str | os.PathLike[str] = "checkpoints") -> BatchPipeline:
    return BatchPipeline(
        steps=[
            DropNullsBatchStep("drop_nulls"),
            AddColumnBatchStep("add_feature", "value", multiplier=2, output="feature"),
            kill_target.RunningTotal("running_total"),
            mishaps.Mishap("mishap"),
        ],
        batch_fetcher=FrameFetcher(kill_target.source().head(ROWS)),
        batch_size=kill_target.BATCH_SIZE,
        checkpoint_dir=os.fspath(checkpoint_dir),
        workers=2,
        listeners=[mishaps.hang],
    )
