"""The pipeline over the files of `planted`."""

from __future__ import annotations

import os

import planted
import polars as pl

from engine import BatchPipeline, CsvFetcher, WithColumnsBatchStep


def pipeline(checkpoint_dir: str | os.PathLike[str] = "checkpoints") -> BatchPipeline:
    return BatchPipeline(
        steps=[WithColumnsBatchStep("add_total", total=pl.col("price") * pl.col("count"))],
        batch_fetcher=CsvFetcher(os.environ["PLANTED_FOLDER"], dtypes=planted.DTYPES),
        batch_size=int(os.environ["PLANTED_BATCH_SIZE"]),
        checkpoint_dir=os.fspath(checkpoint_dir),
        on_error="quarantine",
    )
