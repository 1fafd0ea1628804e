"""The batches of a run on a Ray cluster: which are held back, which Ray has, and which have come back.

One thread owns all of it; other threads put requests into its inbox. It gives Ray as many batches as there is room for
and holds back the rest, so that few batches have begun when a stop comes. A task that is lost with its worker or node
is given to Ray again; its part has an attempt id of its own, so a worker that comes back to life does no harm.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import SourceError, WorkerFailed, describe
from engine.events import AttemptFailed, BatchStarted, ClusterSeen
from engine.executors.ray.cluster import node_count
from engine.executors.ray.serialization import unpack
from engine.worker.signals import Abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from engine.events import Listener
    from engine.executors.ray.remote import RemoteResult
    from engine.text.json_values import Json
    from engine.worker.fetching import Fetched
    from engine.worker.signals import StopSignal

_LOST_AT_MOST = 10
"""How often one batch may be lost with its worker before the run ends."""
_AHEAD = 2
"""Batches that Ray has beyond those that can run at once, so that no worker waits for the driver."""
_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 5.0
_LOST_HINT = "Look at the cluster's memory and logs (ray status); everything before this batch is committed."


@dataclass(slots=True)
class RayJob:
    """A batch in flight: `given` is its data or plan from the driver, `lost` counts the workers that died with it."""

    batch_id: int
    future: Future[Any]
    given: Fetched | Mapping[str, Json] | None = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What is done with each batch.

    `send` gives a batch to Ray, with the columns of the results, and returns a reference to its `RemoteResult`.
    `prefetch` is what the driver does before that, None for nothing. `comes_back` says whether rows come back, for
    steps that run here: then a batch takes up room until it is released, and no batch waits for the first one's
    columns.
    """

    send: Callable[[RayJob, pl.Schema | None], Any]
    prefetch: Callable[[int], Fetched | Mapping[str, Json] | None] | None
    comes_back: bool
    pinned: pl.Schema | None
    first_batch_id: int


class RayJobs:
    """Gives batches to Ray, in order, and completes the future of each with its result or error.

    It calls `on_done` after each. At most `workers` + 2 batches are with Ray or have come back with their rows and
    not been released: that bounds the driver's memory.
    """

    def __init__(
        self, ray: Any, spec: JobSpec, workers: int, *, stop: StopSignal, emit: Listener, on_done: Callable[[], None]
    ) -> None:
        self._ray = ray
        self._spec = spec
        self._workers = workers
        self._stop = stop
        self._emit = emit
        self._on_done = on_done
        self._pinned = spec.pinned
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._held: deque[RayJob] = deque()
        self._out: dict[Any, RayJob] = {}
        self._in_hand: set[int] = set()
        # At the end they are waited for and not cancelled: if a task is cancelled at the moment when it is done, Ray
        # aborts the whole process ("Tried to complete task that was not pending").
        self._left_behind: list[Any] = []
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="ray-batches", daemon=True)

    def start(self) -> None:
        """Begin to give batches to Ray."""
        self._thread.start()

    def submit(self, batch_id: int) -> Future[Any]:
        """Accept a batch."""
        job = RayJob(batch_id, Future())
        self._inbox.put(lambda: self._held.append(job))
        return job.future

    def begun(self, batch_id: int) -> bool:
        """Return whether the batch is with Ray, or has come back."""
        return batch_id in self._in_hand

    def release(self, batch_id: int) -> None:
        """Make room: the rows of this batch are no longer in use."""
        self._inbox.put(lambda: self._in_hand.discard(batch_id))

    def cancel_from(self, batch_id: int) -> None:
        """Complete this batch and all later ones as abandoned."""
        self._inbox.put(lambda: self._cancel_from(batch_id, Abandoned()))

    def shutdown(self) -> None:
        """Abandon everything that hasn't come back, and wait until the thread has ended, but not for ever."""
        self._ended = True
        self._inbox.put(lambda: None)
        if self._thread.is_alive():
            self._thread.join(_GRACE_SECONDS + 1.0)

    # --- in the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        why: BaseException = Abandoned()
        try:
            while not self._ended:
                self._read_inbox()
                if self._stop.asked:
                    self._cancel_held()
                while self._held and self._may_begin(self._held[0]):
                    self._begin(self._held.popleft())
                self._collect()
        except BaseException as error:  # noqa: BLE001 (it completes the futures of all batches)
            why = SourceError(f"the cluster can't be used any more: {describe(error)}", hint=_LOST_HINT)
        while not self._ended:
            self._read_inbox()
            self._cancel_from(0, why)
        self._read_inbox()
        self._cancel_from(0, why)
        if self._left_behind:
            with suppress(Exception):
                self._ray.wait(self._left_behind, num_returns=len(self._left_behind), timeout=_GRACE_SECONDS)

    def _read_inbox(self) -> None:
        """Do what the inbox has; wait for it when there is nothing else to do."""
        idle = not self._out and not self._ended
        with suppress(queue.Empty):
            while True:
                request = self._inbox.get(block=idle, timeout=_LOOK_SECONDS if idle else None)
                idle = False
                request()

    def _may_begin(self, job: RayJob) -> bool:
        """Return whether there is room, and the columns of the results are known or this batch decides them."""
        spec = self._spec
        known = spec.comes_back or self._pinned is not None or job.batch_id == spec.first_batch_id
        return known and (job.lost > 0 or len(self._in_hand) < self._workers + _AHEAD)

    def _begin(self, job: RayJob) -> None:
        self._in_hand.add(job.batch_id)
        if job.given is None and self._spec.prefetch is not None:
            try:
                job.given = self._spec.prefetch(job.batch_id)
            except BaseException as error:  # noqa: BLE001 (the batch loop raises it)
                self._complete(job, error=error)
                return
            if job.given is None:
                self._complete(job)
                return
        if not job.lost:
            self._emit(BatchStarted(job.batch_id))
        try:
            self._out[self._spec.send(job, self._pinned)] = job
        except BaseException as error:  # noqa: BLE001 (the same; Polars panics too)
            self._complete(job, error=WorkerFailed(job.batch_id, error))

    def _collect(self) -> None:
        """Collect the results that have come; wait a moment for one."""
        if not self._out:
            return
        ready, _ = self._ray.wait(list(self._out), num_returns=1, timeout=_LOOK_SECONDS)
        for reference in ready:
            job = self._out.pop(reference)
            try:
                result: RemoteResult = unpack(self._ray.get(reference))
            except BaseException as error:  # noqa: BLE001 (a loss or a failure)
                if self._is_loss(error):
                    self._lost(job, error)
                else:  # its result can't be sent
                    self._complete(job, error=WorkerFailed(job.batch_id, error))
                continue
            self._receive(job, result)

    def _is_loss(self, error: BaseException) -> bool:
        """Return whether a worker or node died, so that no code of the pipeline caused the error."""
        kinds = self._ray.exceptions
        return isinstance(error, kinds.RayError) and (
            not isinstance(error, kinds.RayTaskError) or isinstance(error.cause, kinds.RayError)
        )

    def _receive(self, job: RayJob, result: RemoteResult) -> None:
        for event in result.events:
            if not isinstance(event, BatchStarted):
                self._emit(event)
        if self._pinned is None:
            self._pinned = result.schema
        try:
            value = result.value()
        except BaseException as error:  # noqa: BLE001 (the batch loop raises it)
            if self._pinned is None and not self._spec.comes_back:
                self._cancel_held()  # they wait for the columns of this batch
            self._complete(job, error=error)
        else:
            self._complete(job, value)

    def _lost(self, job: RayJob, error: BaseException) -> None:
        """Give the batch to another worker: its worker or node died."""
        job.lost += 1
        text = f"a worker was lost: {type(error).__name__}"
        if job.lost > _LOST_AT_MOST or self._ended:
            lost = SourceError(f"batch {job.batch_id}: {text}, {job.lost} times", hint=_LOST_HINT)
            self._complete(job, error=lost)
            return
        self._emit(AttemptFailed(job.batch_id, None, job.lost, _LOST_AT_MOST, text, 0.0))
        self._emit(ClusterSeen(node_count(self._ray), self._workers))
        self._held.appendleft(job)

    def _complete(self, job: RayJob, result: Any = None, error: BaseException | None = None) -> None:
        if not self._spec.comes_back:
            self._in_hand.discard(job.batch_id)
        if job.future.set_running_or_notify_cancel():
            if error is not None:
                job.future.set_exception(error)
            else:
                job.future.set_result(result)
        self._on_done()

    def _cancel_held(self) -> None:
        while self._held:
            self._complete(self._held.popleft(), error=Abandoned())

    def _cancel_from(self, batch_id: int, why: BaseException) -> None:
        """Complete this batch and all later ones with an error; their results are ignored."""
        cancelled = [job for job in (*self._out.values(), *self._held) if job.batch_id >= batch_id]
        self._left_behind += [reference for reference, job in self._out.items() if job.batch_id >= batch_id]
        self._out = {reference: job for reference, job in self._out.items() if job.batch_id < batch_id}
        self._held = deque(job for job in self._held if job.batch_id < batch_id)
        for job in cancelled:
            self._complete(job, error=why)
