"""Batches in threads of this process: Polars, Arrow and DuckDB release the GIL while they compute.

The threads are daemons, and the wait for them has a limit: a step that hangs must not keep the process alive. Nothing
is lost with such a thread, since only the batch loop commits.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.checkpoint.parts.manifest import Manifest
    from engine.events import Listener
    from engine.sources.base import BatchFetcher
    from engine.steps.base import BatchStep
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal
    from engine.worker.work import BatchWork, Fetching

_GRACE_SECONDS = 5.0


def default_workers() -> int:
    """Return how many batches to work on at once: one more than cores, to compute while others fsync; 4 at most.

    Polars uses all cores for each batch anyway, and each further batch in work costs its memory.
    """
    return min(4, len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else 4)


Job = tuple[int, "Future[Manifest | None]"]


class ThreadExecutor:
    """`workers` threads; each takes whole batches."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or default_workers()
        self.window = 4 * self.workers
        self._threads: list[threading.Thread] = []
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._work: BatchWork | None = None

    def prepare(self, steps: Sequence[BatchStep], fetcher: BatchFetcher) -> None:
        """Nothing is needed before the start."""

    def start(
        self,
        recipe: Recipe,
        *,
        stop: StopSignal,
        emit: Listener,
        on_done: Callable[[], None],
        source: Fetching | None = None,
    ) -> None:
        """Start the threads. `source` takes the place of the recipe's own.

        Raises:
            UsageError: a thread of an earlier run still hangs, perhaps in a step that takes one batch at a time.
        """
        _join(self._threads)
        work = recipe.work(stop=stop, emit=emit, source=source)
        if work.ordered and any(thread.is_alive() for thread in self._threads):
            raise UsageError(
                "a batch of the last run is still running in this process, in a step or fetch that hangs",
                hint="Wait until it returns, or end this process and run again: it continues from the frontier.",
            )
        self._work = work
        # A queue for each run: an abandoned thread of the last run must not take batches of this one.
        self._jobs = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=_loop, args=(self._jobs, work, on_done), name=f"batch-worker-{number}", daemon=True)
            for number in range(self.workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, batch_id: int) -> Future[Manifest | None]:
        """Put a batch into the queue."""
        future: Future[Manifest | None] = Future()
        self._jobs.put((batch_id, future))
        return future

    def shutdown(self) -> None:
        """Empty the queue, cancel all waits, and wait for the threads, but not for ever."""
        while True:
            try:
                waiting = self._jobs.get_nowait()
            except queue.Empty:
                break
            if waiting is not None:
                waiting[1].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        if self._work is not None:
            self._work.cancel_from()
        _join(self._threads)


def _loop(jobs: queue.SimpleQueue[Job | None], work: BatchWork, on_done: Callable[[], None]) -> None:
    while (job := jobs.get()) is not None:
        batch_id, future = job
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(work(batch_id))
        except BaseException as error:  # noqa: BLE001 (the batch loop gets it from the future)
            future.set_exception(error)
        on_done()


def _join(threads: Sequence[threading.Thread]) -> None:
    deadline = time.monotonic() + _GRACE_SECONDS
    for thread in threads:
        if thread.ident is not None:  # a Ctrl-C may have come before it was started
            thread.join(max(0.0, deadline - time.monotonic()))
