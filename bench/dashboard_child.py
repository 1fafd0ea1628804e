"""The process that `bench.dashboard` measures: `python -m bench.dashboard_child KIND FOLDER ANSWER`.

With KIND `headless` or `dashboard` it measures the seconds from the first to the last event of the same run. With `lag`
it measures how late the event loop of the dashboard wakes up while another thread emits the events of 2,000 batches a
second, of a source of 100,000 batches. It writes the answer to the file ANSWER as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import ClassVar

import polars as pl

import tui
from bench import lineitem
from engine import AddColumnBatchStep, BatchPipeline, DropNullsBatchStep, FilterBatchStep, ParquetFetcher
from engine.events import BatchCommitted, BatchFetched, BatchStarted, Event, RunEnded, RunInfo, RunStarted, StepFinished
from engine.frontier import Frontier
from engine.progress import Progress, RunView
from engine.state import RunState
from tui.app import BatchPipeApp
from tui.backend.bridge import Bridge
from tui.settings import Settings

STEPS = ("drop_nulls", "add_column", "filter")
BATCHES = 100_000
BATCHES_PER_SECOND = 2_000
BATCH_SIZE = 1_000
INFO = RunInfo(
    pipeline="lag", source="events", checkpoint_dir=".", steps=STEPS, batch_size=BATCH_SIZE, workers=4, window=16,
    source_rows=BATCHES * BATCH_SIZE, source_rows_exact=True,
)  # fmt: skip
LAG_SECONDS = 20.0
TICK_SECONDS = 0.005


class _Clock:
    """Measures the time from the start of the run to its end, and then ends the process."""

    def __init__(self, answer: Path) -> None:
        self._answer = answer
        self._began = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._began = time.perf_counter()
        elif isinstance(event, RunEnded):
            seconds = time.perf_counter() - self._began
            _finish(self._answer, {"seconds": seconds, "state": event.state})


def main() -> None:
    """Measure the kind in the arguments."""
    kind, folder, answer = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    sys.setswitchinterval(0.001)  # as the script of the dashboard does
    if kind == "lag":
        _Lag(answer).run()
        return
    drop_nulls, add_column, keep = STEPS
    steps = [
        DropNullsBatchStep(drop_nulls),
        AddColumnBatchStep(add_column, "l_quantity", multiplier=3),
        FilterBatchStep(keep, pl.col("l_shipmode") != "AIR"),
    ]
    pipeline = BatchPipeline(steps, ParquetFetcher(lineitem.tenfold()), 100_000, folder, listeners=[_Clock(answer)])
    if kind == "headless":
        pipeline.run()
    else:
        BatchPipeApp(pipeline=pipeline, settings=Settings(), begin=True).run()


class _Lag(BatchPipeApp):
    """The dashboard with invented events from a thread, and a measurement of the event loop."""

    # Textual looks up relative paths beside the module of the subclass.
    CSS_PATH: ClassVar[list[str | PurePath]] = [Path(tui.__file__).parent / path for path in BatchPipeApp.CSS_PATH]

    def __init__(self, answer: Path) -> None:
        self._answer = answer
        done = BATCHES // 2
        frontier = Frontier(done - 1, done * BATCH_SIZE - 1, done * BATCH_SIZE, dict.fromkeys(STEPS, done - 1))
        self._progress = Progress(INFO, frontier=frontier, state=RunState.RESUMABLE)
        super().__init__(bridge=_EventBridge(self._progress), settings=Settings())

    def on_mount(self) -> None:
        super().on_mount()
        threading.Thread(target=self._feed, daemon=True).start()
        self._watch = asyncio.create_task(self._watch_loop())

    async def _watch_loop(self) -> None:
        lags = []
        end = time.perf_counter() + LAG_SECONDS
        while (before := time.perf_counter()) < end:
            await asyncio.sleep(TICK_SECONDS)
            lags.append(time.perf_counter() - before - TICK_SECONDS)
        lags.sort()
        view = self._progress.view()
        _finish(
            self._answer,
            {
                "p50": lags[len(lags) // 2],
                "p99": lags[len(lags) * 99 // 100],
                "max": lags[-1],
                "batches_per_second": view.average_batches_per_second,
            },
        )

    def _feed(self) -> None:
        emit = self._progress
        first = BATCHES // 2
        emit(RunStarted(1, datetime.now(UTC), INFO, first, first * BATCH_SIZE))
        began = time.perf_counter()
        for count in range(BATCHES // 2):
            batch_id, start = first + count, (first + count) * BATCH_SIZE
            emit(BatchStarted(batch_id))
            emit(BatchFetched(batch_id, start, start + BATCH_SIZE - 1, 0.001))
            for step in STEPS:
                emit(StepFinished(batch_id, step, BATCH_SIZE, BATCH_SIZE, 0.001))
            emit(BatchCommitted(batch_id, start, start + BATCH_SIZE - 1, BATCH_SIZE, 10_000, 0.002))
            ahead = began + count / BATCHES_PER_SECOND - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)


class _EventBridge(Bridge):
    """A bridge without an engine, which shows the progress of the events."""

    loaded = True

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def view(self) -> RunView:
        """Return the progress so far."""
        return self._progress.view()


def _finish(answer: Path, figures: dict[str, object]) -> None:
    # Nobody reads the terminal of this process any more, so it needs no cleaning up.
    answer.write_text(json.dumps(figures), encoding="utf-8")
    os._exit(0)


if __name__ == "__main__":
    main()
