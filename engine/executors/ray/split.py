"""A pipeline in two parts: the leading steps run on a cluster, and the rest here, from one that keeps the order on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import BatchFetched, BatchStarted

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from engine.checkpoint.parts.manifest import Manifest
    from engine.events import Event, Listener
    from engine.executors.ray.jobs import RayJobs
    from engine.executors.threads import ThreadExecutor
    from engine.worker.fetching import Fetched
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal


class Divided:
    """Runs each batch first on the cluster, as `jobs`, and then in `threads` of this process."""

    def __init__(self, jobs: RayJobs, threads: ThreadExecutor) -> None:
        self._jobs = jobs
        self._threads = threads
        self._source = FromCluster(jobs)

    def start(self, recipe: Recipe, *, stop: StopSignal, emit: Listener, on_done: Callable[[], None]) -> None:
        """Begin. Raises `UsageError` when a thread of an earlier run still hangs."""
        self._threads.start(recipe, stop=stop, emit=_without_beginning(emit), on_done=on_done, source=self._source)
        self._jobs.start()

    def submit(self, batch_id: int) -> Future[Manifest | None]:
        """Take up a batch."""
        self._source.call_for(batch_id)
        future = self._threads.submit(batch_id)
        future.add_done_callback(lambda _: self._jobs.let_go(batch_id))
        return future

    def shutdown(self) -> None:
        """Give up what hasn't come back, so that no thread waits for it, and then the threads."""
        self._jobs.shutdown()
        self._threads.shutdown()


class FromCluster:
    """The source of the steps that run here: gives each batch once, when it has come back from the cluster."""

    ordered = False

    def __init__(self, jobs: RayJobs) -> None:
        self._jobs = jobs
        self._coming: dict[int, Future[Fetched | None]] = {}

    def call_for(self, batch_id: int) -> None:
        """Have the batch fetched, and the leading steps run on it."""
        self._coming[batch_id] = self._jobs.submit(batch_id)

    def begun(self, batch_id: int) -> bool:
        """Say whether the batch is on the cluster, or back."""
        return self._jobs.begun(batch_id)

    def fetch(self, batch_id: int) -> Fetched | None:
        """Wait for the batch behind the leading steps and return it, or None behind the end of the source.

        Raises: what they raised, and `Abandoned`.
        """
        return self._coming.pop(batch_id).result()

    def cancel_from(self, batch_id: int) -> None:
        """Let everyone go who waits for a batch from this one on."""
        self._jobs.cancel_from(batch_id)


def _without_beginning(emit: Listener) -> Listener:
    """Return a listener for the steps that run here: that their batches were begun and fetched was told before."""

    def hand_on(event: Event) -> None:
        if not isinstance(event, BatchStarted | BatchFetched):
            emit(event)

    return hand_on
