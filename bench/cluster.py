"""The cost of a cluster: the same pipeline in Ray tasks on the cores of this machine and in this process, taking turns.

It measures the wall time per batch, and the CPU time and memory of the driver. There are three kinds of batches. Many
small batches with almost no work show the cost of a task and a commit. Batches of 100,000 rows of lineitem show how
much that is compared with real work. In the third kind the pipeline is split: a stateful step at the end runs in the
driver, so all rows return from the workers and the driver writes them. The start of Ray isn't measured. Each
measurement is a new process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import lineitem, machine, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import Batch, BatchPipeline
    from engine.events import Event
    from engine.text.json_values import Json

KINDS = ("small", "lineitem", "split")
EXECUTORS = ("threads", "ray")
SMALL_ROWS = 1_000
LARGE_ROWS = 100_000


def report(*, rounds: int, batches: int, kinds: Sequence[str] = KINDS) -> None:
    """Measure, and print a table for each kind of batches."""
    print(machine.describe())
    for kind in kinds:
        number = batches if kind == "small" else min(batches, 60)
        answers: dict[str, list[dict[str, float]]] = {name: [] for name in EXECUTORS}
        for turn in range(rounds):
            for name in EXECUTORS if turn % 2 == 0 else reversed(EXECUTORS):
                answers[name].append(_measured(name, kind, number))
                print(f"round {turn + 1}: {kind} by {name} {answers[name][-1]['wall']:.2f} s", file=sys.stderr)
        rows = SMALL_ROWS if kind == "small" else LARGE_ROWS
        print(f"\n{number:,} batches of {rows:,} rows ({kind}), {rounds} rounds")
        print(_table(answers, number))


def _table(answers: dict[str, list[dict[str, float]]], batches: int) -> str:
    lines = []
    for name, measured in answers.items():
        ratio = [one["wall"] / other["wall"] for one, other in zip(measured, answers["threads"], strict=True)]
        lines.append(
            [
                name,
                table.median([one["wall"] * 1000 / batches for one in measured], 1),
                table.spread(ratio),
                table.median([one["cpu"] * 1000 / batches for one in measured], 1),
                table.median([one["peak_early"] for one in measured], 0),
                table.median([one["peak"] for one in measured], 0),
            ]
        )
    heads = ["executor", "ms per batch", "ratio", "driver CPU ms per batch", "driver MB at 1/4", "driver MB at the end"]
    return table.render(heads, lines)


def _measured(executor: str, kind: str, batches: int) -> dict[str, float]:
    done = subprocess.run(  # noqa: S603 (this interpreter)
        [sys.executable, "-m", "bench.cluster", executor, kind, str(batches)],
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        text=True,
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


# --- the process that measures ----------------------------------------------------------------------------


def _small(batches: int) -> BatchPipeline:
    import polars as pl

    from engine import Batch, BatchPipeline, WithColumnsBatchStep

    def fetch(batch_id: int, batch_size: int) -> Batch | None:
        if batch_id >= batches:
            return None
        start = batch_id * batch_size
        data = pl.select(id=pl.int_range(start, start + batch_size, dtype=pl.Int64))
        return Batch(batch_id, start, start + batch_size - 1, data)

    return BatchPipeline([WithColumnsBatchStep("double", double=pl.col("id") * 2)], fetch, SMALL_ROWS)


def _lineitem(batches: int) -> BatchPipeline:
    from engine import AddColumnBatchStep, BatchPipeline, DropNullsBatchStep, ParquetFetcher

    steps = [DropNullsBatchStep("drop"), AddColumnBatchStep("add", "l_quantity", multiplier=3, output="quantity_x3")]
    source = ParquetFetcher(lineitem.path() if batches * LARGE_ROWS <= lineitem.ROWS else lineitem.tenfold())
    return BatchPipeline(steps, source, LARGE_ROWS)


def _split(batches: int) -> BatchPipeline:
    import polars as pl

    from engine import BatchPipeline, StatefulBatchStep

    class Count(StatefulBatchStep):
        """Numbers the rows."""

        rows = 0

        def process(self, batch: Batch) -> Batch:
            first, self.rows = self.rows, self.rows + batch.data.height
            return batch.with_data(batch.data.with_columns(number=first + pl.int_range(pl.len(), dtype=pl.Int64)))

        def snapshot(self) -> Json:
            return self.rows

        def restore(self, state: Json) -> None:
            self.rows = state if isinstance(state, int) else 0

    whole = _lineitem(batches)
    return BatchPipeline([*whole.steps, Count("count")], whole.batch_fetcher, LARGE_ROWS)


def _child(name: str, kind: str, batches: int) -> None:
    import shutil

    from engine import BatchPipeline, RayExecutor
    from engine.events import BatchCommitted
    from engine.executors.threads import ThreadExecutor

    made = {"small": _small, "lineitem": _lineitem, "split": _split}[kind](batches)
    executor = RayExecutor() if name == "ray" else ThreadExecutor(len(os.sched_getaffinity(0)))
    folder = lineitem.cache_folder() / "cluster"
    peaks: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, BatchCommitted):
            if event.batch_id == batches // 4:
                peaks.append(_peak_mb())
            if event.batch_id == batches - 1:
                pipeline.request_stop()

    pipeline = BatchPipeline(
        made.steps, made.batch_fetcher, made.batch_size, folder, executor=executor, listeners=[watch]
    )
    executor.prepare(made.steps, made.batch_fetcher)
    if name == "ray":  # so that the worker processes run and have imported everything
        warm = _small(20)
        shutil.rmtree(folder, ignore_errors=True)
        BatchPipeline(warm.steps, warm.batch_fetcher, SMALL_ROWS, folder, executor=executor).run()
    shutil.rmtree(folder, ignore_errors=True)
    wall, cpu = time.perf_counter(), time.process_time()
    pipeline.run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    shutil.rmtree(folder)
    print(json.dumps({"wall": wall, "cpu": cpu, "peak_early": peaks[0], "peak": _peak_mb()}))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2], int(sys.argv[3]))
