"""A pipeline in two parts: the leading steps run on a cluster, the rest here, from the first step that keeps the order.

On each side, placeholders replace the steps of the other one: such a step may hold what can't be sent, for example a
connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import BatchFetched, BatchStarted
from engine.steps.base import BatchStep, StatefulBatchStep
from engine.worker.stage import is_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from engine.batch import Batch
    from engine.checkpoint.parts.manifest import Manifest
    from engine.events import Event, Listener
    from engine.executors.ray.jobs import RayJobs
    from engine.executors.threads import ThreadExecutor
    from engine.text.json_values import Json
    from engine.worker.fetching import Fetched
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal


class SplitExecution:
    """Runs each batch first on the cluster, in `jobs`, and then in `threads` of this process.

    It is the source of the steps that run here: it gives each batch once, when it has come back from the cluster.
    """

    ordered = False

    def __init__(self, jobs: RayJobs, threads: ThreadExecutor) -> None:
        self._jobs = jobs
        self._threads = threads
        self._requested: dict[int, Future[Fetched | None]] = {}

    def start(self, recipe: Recipe, *, stop: StopSignal, emit: Listener, on_done: Callable[[], None]) -> None:
        """Begin. Raises `UsageError` if a thread of an earlier run still hangs."""
        self._threads.start(recipe, stop=stop, emit=_after_fetch(emit), on_done=on_done, source=self)
        self._jobs.start()

    def submit(self, batch_id: int) -> Future[Manifest | None]:
        """Accept a batch: the cluster fetches it and runs the leading steps on it."""
        self._requested[batch_id] = self._jobs.submit(batch_id)
        future = self._threads.submit(batch_id)
        future.add_done_callback(lambda _: self._jobs.release(batch_id))
        return future

    def shutdown(self) -> None:
        """Cancel what hasn't come back, so that no thread waits for it; then stop the threads."""
        self._jobs.shutdown()
        self._threads.shutdown()

    def begun(self, batch_id: int) -> bool:
        """Return whether the batch is on the cluster, or has come back."""
        return self._jobs.begun(batch_id)

    def fetch(self, batch_id: int) -> Fetched | None:
        """Wait for the batch and return it as the leading steps made it, or None past the end of the source.

        Raises: what the leading steps raised, and `Abandoned`.
        """
        return self._requested.pop(batch_id).result()

    def cancel_from(self, batch_id: int) -> None:
        """Cancel this batch and all later ones."""
        self._jobs.cancel_from(batch_id)


def _after_fetch(emit: Listener) -> Listener:
    """Return a listener for the steps that run here: the cluster has emitted that their batches began."""

    def listen(event: Event) -> None:
        if not isinstance(event, BatchStarted | BatchFetched):
            emit(event)

    return listen


def leading_count(steps: Sequence[BatchStep]) -> int:
    """Return how many leading steps may get any batch at any time."""
    return next((number for number, step in enumerate(steps) if is_ordered(step)), len(steps))


def with_placeholders(steps: Sequence[BatchStep]) -> tuple[BatchStep, ...]:
    """Return the leading steps that may get any batch at any time, and placeholders for all later ones."""
    count = leading_count(steps)
    return (*steps[:count], *(_placeholder(step) for step in steps[count:]))


def _placeholder(step: BatchStep) -> BatchStep:
    made = _StatefulPlaceholder(step.name) if isinstance(step, StatefulBatchStep) else _Placeholder(step.name)
    made.row_wise = step.row_wise
    made.on_error = step.on_error
    return made


class _Placeholder(BatchStep):
    def process(self, batch: Batch) -> Batch:
        raise AssertionError(f"step '{self.name}' got batch {batch.batch_id}, but runs on another machine")


class _StatefulPlaceholder(_Placeholder, StatefulBatchStep):
    def snapshot(self) -> Json:
        return None

    def restore(self, state: Json) -> None:
        """There is no state here."""
