"""The cost of a commit, and whether it grows with the number of commits.

The first table is for `CheckpointStore.commit` with one small batch per commit: the fsync of the folder, one DuckDB
transaction (with the fsync of the WAL), the rename of the part, the second fsync of the folder, and the frontier file.
All of it runs in the calling thread, so the CPU time is that of the process. Writing the part isn't included, and
compactions of the WAL have columns of their own. The second table is for a whole pipeline with tiny batches, whose
commits are grouped.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bench import lineitem, machine, table
from engine import BatchPipeline, DropNullsBatchStep, FrameFetcher
from engine.checkpoint.layout import new_attempt_id
from engine.checkpoint.parts import parts
from engine.checkpoint.parts.manifest import Manifest, StepTiming
from engine.checkpoint.store import CheckpointStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.events import Event

_ROWS = 10


@dataclass(frozen=True, slots=True)
class _Commit:
    wall_seconds: float
    cpu_seconds: float
    compaction_seconds: float
    log_bytes: int


class _Watched(CheckpointStore):
    """A store that measures its compactions."""

    compaction_seconds = 0.0

    def compact(self) -> None:
        started = time.perf_counter()
        super().compact()
        self.compaction_seconds += time.perf_counter() - started


def report(*, batches: int, lines: int = 20) -> None:
    """Measure, and print both tables."""
    folder = lineitem.cache_folder() / "commit"
    print(f"{batches:,} batches of {_ROWS} rows, one commit each, not grouped")
    print(machine.describe())
    print()
    print(_commit_table(_commits(folder, batches), max(1, batches // lines)))
    print(f"\n{batches:,} batches of {_ROWS} rows through a whole pipeline, with grouped commits\n")
    print(_pipeline_table(folder, batches, max(1, batches // lines)))
    shutil.rmtree(folder)


def _commits(folder: Path, batches: int) -> list[_Commit]:
    shutil.rmtree(folder, ignore_errors=True)
    frame = pl.DataFrame({"number": range(_ROWS)})
    commits: list[_Commit] = []
    with _Watched(folder) as store:
        description = json.dumps({"steps": [{"name": "drop_nulls"}, {"name": "add_feature"}]})
        run_id = store.history.begin_run(batch_size=_ROWS, pipeline=description, changed=True)
        for batch_id in range(batches):
            manifest = _written(store, frame, batch_id, run_id, description)
            wall, cpu, compacting = time.perf_counter(), time.process_time(), store.compaction_seconds
            store.commit([manifest])
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            compacting = store.compaction_seconds - compacting
            log = store.layout.wal.stat().st_size if store.layout.wal.exists() else 0
            commits.append(_Commit(wall - compacting, cpu, compacting, log))
    return commits


def _written(store: CheckpointStore, frame: pl.DataFrame, batch_id: int, run_id: int, description: str) -> Manifest:
    manifest = Manifest(
        batch_id=batch_id,
        start_row=batch_id * _ROWS,
        end_row=batch_id * _ROWS + _ROWS - 1,
        rows_out=_ROWS,
        run_id=run_id,
        epoch=store.epoch,
        attempt_id=new_attempt_id(),
        timings=(StepTiming(("drop_nulls", "add_feature"), 0.001, _ROWS, _ROWS),),
        cursor={"next_row": batch_id * _ROWS + _ROWS},
    )
    return parts.write(
        store.layout,
        frame,
        manifest,
        checkpoint=json.dumps({"key": store.key, "pipeline": description}),
        compression="zstd",
    )


def _commit_table(commits: Sequence[_Commit], step: int) -> str:
    rows = []
    for first in range(0, len(commits), step):
        part = commits[first : first + step]
        plain = [commit for commit in part if not commit.compaction_seconds]
        compactions = [commit.compaction_seconds for commit in part if commit.compaction_seconds]
        rows.append(
            [
                f"{first + len(part):,}",
                table.median([commit.wall_seconds * 1e3 for commit in plain]),
                f"{sum(commit.wall_seconds for commit in part) / len(part) * 1e3:.2f}",
                table.median([commit.cpu_seconds * 1e3 for commit in plain]),
                f"{len(compactions)}",
                f"{sum(compactions):.2f}",
                f"{part[-1].log_bytes / 1e6:.1f}",
            ]
        )
    header = ["commits", "wall ms, median", "mean", "CPU ms, median", "compactions", "s for these", "log MB"]
    return table.render(header, rows)


def _pipeline_table(folder: Path, batches: int, step: int) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    os.sync()
    marks: list[tuple[int, int, float, float]] = []
    groups = 0

    def listen(event: Event) -> None:
        nonlocal groups
        if type(event).__name__ == "GroupCommitted":
            groups += 1
        elif type(event).__name__ == "BatchCommitted" and (event.batch_id + 1) % step == 0:  # type: ignore[union-attr]
            marks.append((event.batch_id + 1, groups, time.perf_counter(), time.process_time()))  # type: ignore[union-attr]

    pipeline = BatchPipeline(
        [DropNullsBatchStep("drop_nulls")],
        FrameFetcher(pl.DataFrame({"number": range(_ROWS * batches)})),
        _ROWS,
        Path(folder),
        listeners=[listen],
    )
    before = (0, 0, time.perf_counter(), time.process_time())
    pipeline.run()
    rows = []
    for mark in marks:
        done, commits, wall, cpu = (now - then for now, then in zip(mark, before, strict=True))
        rows.append([f"{mark[0]:,}", f"{done / wall:,.0f}", f"{done / max(commits, 1):.1f}", f"{cpu / done * 1e3:.2f}"])
        before = mark
    return table.render(["batches", "batches/s", "batches per commit", "CPU ms per batch"], rows)
