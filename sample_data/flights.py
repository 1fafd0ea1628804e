"""Flights out of New York City in 2013: how fast were they over the ground?

One row of the data is wrong (row 216,447: Delta 1499 from LGA to ATL with 703 mph), so this pipeline stops
at batch 21. Raise the limit and run it again: it continues where it stopped.
"""

from pathlib import Path

import polars as pl

from engine import (
    BatchPipeline,
    CheckBatchStep,
    DropNullsBatchStep,
    ParquetFetcher,
    SelectBatchStep,
    WithColumnsBatchStep,
)

FLIGHTS = Path(__file__).with_name("flights.parquet")
LIMIT_MPH = 700


def build(limit_mph: float = LIMIT_MPH, checkpoint_dir: str | Path = "checkpoints/flights") -> BatchPipeline:
    return BatchPipeline(
        name="flights",
        steps=[
            DropNullsBatchStep("drop_nulls", ["air_time", "dep_delay", "arr_delay"]),
            WithColumnsBatchStep("add_speed", speed_mph=pl.col("distance") / (pl.col("air_time") / 60)),
            CheckBatchStep("check_speed", pl.col("speed_mph") <= limit_mph, message=f"speed_mph ≤ {limit_mph:g}"),
            SelectBatchStep(
                "keep", "time_hour", "carrier", "flight", "tailnum", "origin", "dest",
                "dep_delay", "arr_delay", "air_time", "distance", "speed_mph",
            ),
        ],
        batch_fetcher=ParquetFetcher(FLIGHTS),
        batch_size=10_000,
        checkpoint_dir=checkpoint_dir,
    )  # fmt: skip


pipeline = build
