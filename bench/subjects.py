"""The subjects of the measurements: the same work in one query of Polars, in a simple loop, and in the engine.

The work is to drop rows with a null, add `l_quantity` × 3, keep some ship modes, and write Parquet with zstd at
level 1. A subject takes a task and returns the function to measure, which returns its result files.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import duckdb  # noqa: F401 (its import must not be timed)
import polars as pl

import engine.pipeline  # noqa: F401 (its import must not be timed)
from engine import (
    AddColumnBatchStep,
    Batch,
    BatchPipeline,
    BatchStep,
    CsvFetcher,
    DropNullsBatchStep,
    FilterBatchStep,
    ParquetFetcher,
)
from engine.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.task import Task

    Work = Callable[[], list[Path]]

_COMPRESSION: Literal["zstd"] = "zstd"
_LEVEL = 1
_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)


def _kept(task: Task) -> pl.Expr:
    mode = pl.col("l_shipmode")
    return {"all but AIR": mode != "AIR", "only AIR": mode == "AIR"}[task.keep]


def _steps(frame: _Frame, keep: pl.Expr) -> _Frame:
    return frame.drop_nulls().with_columns(quantity_x3=pl.col("l_quantity") * 3).filter(keep)


def one_shot(task: Task) -> Work:
    """The streaming sink of Polars into one file, as a user would write it: no fsync, and no resume."""
    return _sink(task, statistics=True)


def one_shot_without_statistics(task: Task) -> Work:
    """The same without column statistics, which the parts of the engine don't have either."""
    return _sink(task, statistics=False)


def _sink(task: Task, *, statistics: bool) -> Work:
    keep, target = _kept(task), Path(task.folder) / "results.parquet"

    def work() -> list[Path]:
        _steps(pl.scan_parquet(task.source), keep).sink_parquet(
            target, compression=_COMPRESSION, compression_level=_LEVEL, statistics=statistics
        )
        return [target]

    return work


def naive_loop(task: Task) -> Work:
    """The first solution that comes to mind: read a slice, run the steps, write, fsync, save the frontier as JSON."""
    keep, folder = _kept(task), Path(task.folder)

    def work() -> list[Path]:
        parts: list[Path] = []
        while True:
            frame = pl.scan_parquet(task.source).slice(len(parts) * task.batch_size, task.batch_size).collect()
            if not frame.height:
                return parts
            part = folder / f"part-{len(parts):012d}.parquet"
            _steps(frame, keep).write_parquet(part, compression=_COMPRESSION, compression_level=_LEVEL)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            parts.append(part)
            (folder / "frontier.json").write_text(json.dumps({"last_completed_batch_id": len(parts) - 1}))

    return work


def built_in_steps(task: Task) -> Work:
    """The engine with its built-in steps: it commits every batch and fsyncs every part."""
    return _pipeline(
        task,
        [
            DropNullsBatchStep("drop_nulls"),
            AddColumnBatchStep("add_feature", "l_quantity", multiplier=3, output="quantity_x3"),
            FilterBatchStep("filter", _kept(task)),
        ],
    )


def custom_steps(task: Task) -> Work:
    """The engine with custom steps, which have only `process` and don't set `concurrent`."""
    return _pipeline(task, [_DropNulls("drop_nulls"), _AddFeature("add_feature"), _Keep("filter", _kept(task))])


def no_steps(task: Task) -> Work:
    """The engine without steps: the results are the rows of the source."""
    return _pipeline(task, [])


def refused(task: Task) -> Work:
    """The engine over a CSV file that it must refuse."""
    pipeline = BatchPipeline([], CsvFetcher(task.source), task.batch_size, Path(task.folder) / "checkpoint")

    def work() -> list[Path]:
        try:
            pipeline.run()
        except SourceError:
            return []
        raise AssertionError(f"{task.source} was read")

    return work


def _pipeline(task: Task, steps: Sequence[BatchStep]) -> Work:
    pipeline = BatchPipeline(
        steps,
        ParquetFetcher(task.source),
        task.batch_size,
        Path(task.folder) / "checkpoint",
        workers=task.workers,
        batch_bytes=task.batch_bytes,
    )

    def work() -> list[Path]:
        pipeline.run()
        return sorted((pipeline.checkpoint_dir / "results").glob("*.parquet"))

    return work


class _DropNulls(BatchStep):
    def process(self, batch: Batch) -> Batch:
        return batch.with_data(batch.data.drop_nulls())


class _AddFeature(BatchStep):
    def process(self, batch: Batch) -> Batch:
        return batch.with_data(batch.data.with_columns(quantity_x3=pl.col("l_quantity") * 3))


class _Keep(BatchStep):
    def __init__(self, name: str, keep: pl.Expr) -> None:
        super().__init__(name)
        self._keep = keep

    def process(self, batch: Batch) -> Batch:
        return batch.with_data(batch.data.filter(self._keep))


SUBJECTS: dict[str, Callable[[Task], Work]] = {
    subject.__name__: subject
    for subject in (one_shot, one_shot_without_statistics, naive_loop, built_in_steps, custom_steps, no_steps, refused)
}


def row_count(parts: Sequence[Path]) -> int:
    """Return the total number of rows in the files."""
    if not parts:
        return 0
    return int(pl.scan_parquet(list(parts), glob=False).select(pl.len()).collect().item())


def digest(parts: Sequence[Path]) -> str:
    """Return a digest of all rows in order; it doesn't depend on how the rows are divided into files."""
    total = first_row = 0
    for part in parts:
        for frame in pl.scan_parquet(part, glob=False).collect_batches(maintain_order=True):
            places = pl.int_range(first_row + 1, first_row + frame.height + 1, dtype=pl.UInt64, eager=True)
            total += int((frame.hash_rows(seed=1) * places).sum())
            first_row += frame.height
    return f"{total % (1 << 64):016x}"
