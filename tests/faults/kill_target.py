"""The pipeline that is killed: small batches, several at a time, one stateful step, and a slow source."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import polars as pl

from engine import AddColumnBatchStep, Batch, BatchPipeline, DropNullsBatchStep, FrameFetcher, StatefulBatchStep

if TYPE_CHECKING:
    from engine import Sink
    from engine.text.json_values import Json

ROWS = 12_000
BATCH_SIZE = 100
BATCHES = ROWS // BATCH_SIZE
FETCH_SECONDS = float(os.environ.get("KILL_TARGET_FETCH_SECONDS", "0"))


def source() -> pl.DataFrame:
    """Every seventh value is null; the texts make parts of different sizes."""
    numbers = range(ROWS)
    return pl.DataFrame(
        {
            "id": numbers,
            "value": [None if number % 7 == 0 else number * 3 % 1_001 for number in numbers],
            "text": [f"row {number} " * (number % 5) for number in numbers],
        }
    )


def expected() -> pl.DataFrame:
    """The results, computed without the engine."""
    kept = source().drop_nulls()
    return kept.with_columns(feature=pl.col("value") * 2, total=pl.col("value").cum_sum())


class SlowFetcher(FrameFetcher):
    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        time.sleep(FETCH_SECONDS)
        return super().__call__(batch_id, batch_size)


class RunningTotal(StatefulBatchStep):
    def process(self, batch: Batch) -> Batch:
        data = batch.data.with_columns(total=pl.col("value").cum_sum() + self.total)
        self.total += int(batch.data["value"].sum())
        return batch.with_data(data)

    def snapshot(self) -> Json:
        return self.total

    def restore(self, state: Json) -> None:
        self.total = state if isinstance(state, int) else 0


def pipeline(checkpoint_dir: str | os.PathLike[str] = "checkpoints") -> BatchPipeline:
    return BatchPipeline(
        steps=[
            DropNullsBatchStep("drop_nulls"),
            AddColumnBatchStep("add_feature", "value", multiplier=2, output="feature"),
            RunningTotal("running_total"),
        ],
        batch_fetcher=SlowFetcher(source()),
        batch_size=BATCH_SIZE,
        checkpoint_dir=os.fspath(checkpoint_dir),
        results_url=os.environ.get("KILL_TARGET_RESULTS_URL") or None,
        workers=3,
        sinks=sinks(os.environ.get("KILL_TARGET_SINK", "")),
    )


def sinks(place: str) -> list[Sink]:
    """Return the sink for the URL of a database or the path of a DuckDB file; none for an empty text."""
    if not place:
        return []
    from engine import DuckDBSink, SqlSink  # imported here, because SQLAlchemy would slow the start of every child

    return [DuckDBSink(place, "target") if place.endswith(".duckdb") else SqlSink(place, "target")]
