"""The pipeline that is killed while it quarantines and replays rows: one step is stateful, the next one fails.

`KILL_TARGET_MENDED` says how often the failing step was corrected: each time it fails on fewer rows. With
`KILL_TARGET_UNREADABLE=1`, the source can't read some rows either, and the stateful step is left out.
"""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING

import kill_target
import polars as pl

from engine import (
    AddColumnBatchStep,
    Batch,
    BatchPipeline,
    BatchStep,
    DropNullsBatchStep,
    FrameFetcher,
    Quarantine,
    SourceRow,
)
from engine.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

BATCHES = 24
ROWS = BATCHES * kill_target.BATCH_SIZE
BAD = ((3, 23), (41,), ())
"""The remainders of ids modulo 60 on which the step fails, by how often it was corrected."""
UNREADABLE = ((5, 22, 24), (22,), ())
"""The same for the rows that the source can't read."""


def source() -> pl.DataFrame:
    return kill_target.source().head(ROWS)


@functools.cache
def expected(*, unreadable: bool = False) -> pl.DataFrame:
    """The results when the quarantine is empty, computed without the engine."""
    if unreadable:
        return expected().drop("total")
    return kill_target.expected().filter(pl.col("id") < ROWS).select("id", "value", "text", "total", "feature")


def is_bad(mended: int) -> pl.Expr:
    return (pl.col("id") % 60).is_in([remainder for one in BAD[mended:] for remainder in one])


def is_unreadable(mended: int) -> pl.Expr:
    """The next step drops the rows without a value; so that each row is in one place, the source can read them."""
    remainders = [remainder for one in UNREADABLE[mended:] for remainder in one]
    return (pl.col("id") % 60).is_in(remainders) & pl.col("value").is_not_null()


class Unreadable(FrameFetcher):
    """Can't read some rows of its frame."""

    def __init__(self, frame: pl.DataFrame, mended: int) -> None:
        super().__init__(frame)
        self.rows = frame
        self.mended = mended

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        batch = super().__call__(batch_id, batch_size)
        if batch is None:
            return None
        bad = batch.data.filter(is_unreadable(self.mended))["id"]
        unreadable = tuple(SourceRow(row, f"row {row}", "it can't be read") for row in bad)
        data = batch.data.filter(~is_unreadable(self.mended))
        return Batch(batch_id, batch.start_row, batch.end_row, data, unreadable=unreadable)

    def read_row(self, row: SourceRow, text: str | None = None) -> pl.DataFrame:
        frame = self.rows[row.row : row.row + 1].filter(~is_unreadable(self.mended))
        if not frame.height:
            raise SourceError("it still can't be read")
        return frame


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
    mended = int(os.environ.get("KILL_TARGET_MENDED", "0"))
    unreadable = bool(os.environ.get("KILL_TARGET_UNREADABLE"))
    return BatchPipeline(
        steps=[
            DropNullsBatchStep("drop_nulls"),
            *([] if unreadable else [kill_target.RunningTotal("running_total")]),
            Parse(mended),
            AddColumnBatchStep("add_feature", "value", multiplier=2, output="feature"),
        ],
        batch_fetcher=Unreadable(source(), mended) if unreadable else FrameFetcher(source()),
        batch_size=kill_target.BATCH_SIZE,
        checkpoint_dir=folder,
        workers=3,
        on_error=Quarantine(None, None),
    )
