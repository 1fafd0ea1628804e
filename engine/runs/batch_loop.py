"""The batch loop: keep the window full, wait until a commit is due, commit all batches that are ready, in order.

The loop runs in one thread, the only one that uses the catalog. The executor computes batches ahead and out of order.
That window is bounded, which is the back-pressure. What was computed beyond the frontier when the loop ends is
discarded.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from engine.errors import QuarantineFull
from engine.events import BatchCommitted, GroupCommitted
from engine.worker.signals import Abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from engine.checkpoint.parts.manifest import Manifest
    from engine.checkpoint.store import CheckpointStore
    from engine.events import Listener
    from engine.executors.base import Executor
    from engine.policy import Quarantine
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal

_LOOK_SECONDS = 0.1  # how soon a stop "now" is seen while a batch hangs
_COMMIT_SECONDS = 0.1
"""While more batches are in flight, the shortest time from one commit to the next, so that small and fast batches share
a commit. A commit costs 2 to 3 ms of CPU; a kill costs up to 0.1 s more of work."""


@dataclass(eq=False)
class BatchLoop:
    """One pass over the source, from `first_batch_id` to the end of the source, a stop or a failure.

    `replaces_last` says whether the first batch replaces the last committed one. `quarantine` holds the limits of the
    quarantine, and `quarantined` is the number of rows in it. `deliver` is called with the batches of each commit;
    while it works the window fills, and then the workers wait.
    """

    store: CheckpointStore
    executor: Executor
    _: KW_ONLY
    stop: StopSignal
    emit: Listener
    first_batch_id: int
    replaces_last: bool = False
    quarantine: Quarantine | None = None
    quarantined: int = 0
    deliver: Callable[[Sequence[Manifest]], None] | None = None

    def __post_init__(self) -> None:
        self._next_to_submit = self.first_batch_id
        self._source_ended = False
        self._window: deque[Future[Manifest | None]] = deque()
        self._wake = threading.Event()
        self._last_commit = -math.inf

    def run(self, recipe: Recipe) -> None:
        """Return when the source has ended and everything is committed.

        Raises:
            Abandoned: it was stopped before the end; everything that could be finished is committed.
            PipelineError: the first batch that can't be finished; everything before it is committed.
        """
        try:
            self.executor.start(recipe, stop=self.stop, emit=self.emit, on_done=self._wake.set)
            while self._fill_window():
                self._wait_until_due()
                self._commit(self._take_ready())
        finally:
            self.executor.shutdown()

    def _fill_window(self) -> bool:
        """Submit batches while there is room; return whether any is in flight."""
        while len(self._window) < self.executor.window and not (self._source_ended or self.stop.asked):
            self._window.append(self.executor.submit(self._next_to_submit))
            self._next_to_submit += 1
        if not self._window and not self._source_ended:
            raise Abandoned
        return bool(self._window)

    def _wait_until_due(self) -> None:
        """Wait until the oldest batch is done, and a commit is due."""
        while not (self._window[0].done() and self._is_due()):
            if self.stop.now:
                raise Abandoned
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()

    def _is_due(self) -> bool:
        """Return whether to commit now: enough batches are done, no more will come, or the last commit is long ago."""
        done = sum(future.done() for future in self._window)
        return (
            self.stop.asked
            or done == len(self._window)
            or 2 * done >= self.executor.window
            or time.perf_counter() - self._last_commit >= _COMMIT_SECONDS
        )

    def _take_ready(self) -> list[Manifest]:
        """Return the oldest batch, which is done, and all that follow it and are done as well."""
        ready: list[Manifest] = []
        while self._window and self._window[0].done():
            if ready and not self._follows(ready[-1].end_row + 1):
                break  # commit what is ready before the next batch's failure is raised
            manifest = self._window.popleft().result()
            if manifest is None:
                self._source_ended = True
                self._window.clear()
            else:
                if excess := self._excess(manifest):
                    first = manifest.quarantine[0]
                    raise QuarantineFull(first.step, manifest.batch_id, excess, first.error)
                self.quarantined += manifest.rows_quarantined
                ready.append(manifest)
        return ready

    def _follows(self, row: int) -> bool:
        """Return whether the oldest batch, which is done, succeeded and starts at `row`, or is the end."""
        future = self._window[0]
        if future.exception() is not None:
            return False
        manifest = future.result()
        return manifest is None or (manifest.start_row == row and not self._excess(manifest))

    def _excess(self, manifest: Manifest) -> str:
        """Return which limit of the quarantine this batch would exceed, empty if none."""
        if self.quarantine is None or not manifest.rows_quarantined:
            return ""
        return self.quarantine.excess(self.quarantined + manifest.rows_quarantined, manifest.end_row + 1)

    def _commit(self, manifests: list[Manifest]) -> None:
        if not manifests:
            return
        first, last = manifests[0], manifests[-1]
        before = self._last_commit = time.perf_counter()
        self.store.commit(manifests, replaces_last=self.replaces_last)
        self.replaces_last = False
        seconds = time.perf_counter() - before
        for manifest in manifests:
            self.emit(
                BatchCommitted(
                    manifest.batch_id,
                    manifest.start_row,
                    manifest.end_row,
                    manifest.rows_out,
                    manifest.bytes_written,
                    manifest.seconds,
                    manifest.rows_quarantined,
                )
            )
        self.emit(GroupCommitted(first.batch_id, last.batch_id, seconds))
        if self.deliver is not None:
            self.deliver(manifests)
