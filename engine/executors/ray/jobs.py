"""The batches of a run on their way over a Ray cluster: which are held back, which are with Ray, and what came back.

One thread owns all of it; others put into its inbox what they want done. It keeps as many batches with Ray as there
is room for and holds back the rest, so that a stop finds little that has begun. A task that is lost with its worker
or node is given out again; its part bears an attempt id of its own, so a worker that comes back to life harms nothing.
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
from engine.executors.ray.serialization import unpacked
from engine.worker.signals import Abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from engine.events import Listener
    from engine.executors.ray.remote import Outcome
    from engine.text.json_values import Json
    from engine.worker.fetching import Fetched
    from engine.worker.signals import StopSignal

_LOST_AT_MOST = 10
"""How often one batch may be lost with its worker before the run ends."""
_AHEAD = 2
"""Batches given to Ray beyond those that can run at once, so that no worker waits for the driver."""
_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 5.0
_LOST_HINT = "Look at the cluster's memory and logs (ray status); everything before this batch is committed."


@dataclass(slots=True)
class Job:
    """A batch on its way: `given` is what the driver read or planned, `lost` counts the workers it was lost with."""

    batch_id: int
    future: Future[Any]
    given: Fetched | Mapping[str, Json] | None = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Errand:
    """What is done with each batch.

    `send` gives one to Ray, with the columns of the results, and returns a reference to its `Outcome`; `ahead` is what
    the driver does before, None for nothing. `comes_back` says that rows come back, for steps that run here: a batch
    then takes up room until it is `let_go`, and no batch need wait until the first one has told the columns.
    """

    send: Callable[[Job, pl.Schema | None], Any]
    ahead: Callable[[int], Fetched | Mapping[str, Json] | None] | None
    comes_back: bool
    pinned: pl.Schema | None
    first_batch_id: int


class RayJobs:
    """Hands out batches, in order, and settles the future of each with what came of it.

    `on_done` is called after each. No more than `workers` batches and two are with Ray, or have come back with their
    rows and not been let go: that bounds the driver's memory.
    """

    def __init__(
        self, ray: Any, errand: Errand, workers: int, *, stop: StopSignal, emit: Listener, on_done: Callable[[], None]
    ) -> None:
        self._ray = ray
        self._errand = errand
        self._workers = workers
        self._stop = stop
        self._emit = emit
        self._on_done = on_done
        self._pinned = errand.pinned
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._held: deque[Job] = deque()
        self._out: dict[Any, Job] = {}
        self._in_hand: set[int] = set()
        # They are waited for at the end, and not cancelled: a task that is cancelled in the moment in which it is done
        # makes Ray abort the whole process ("Tried to complete task that was not pending").
        self._left_behind: list[Any] = []
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="ray-batches", daemon=True)

    def start(self) -> None:
        """Begin to hand out."""
        self._thread.start()

    def submit(self, batch_id: int) -> Future[Any]:
        """Take up a batch."""
        job = Job(batch_id, Future())
        self._inbox.put(lambda: self._held.append(job))
        return job.future

    def begun(self, batch_id: int) -> bool:
        """Say whether the batch is with Ray, or has come back."""
        return batch_id in self._in_hand

    def let_go(self, batch_id: int) -> None:
        """Make room: nobody holds the rows of this batch any more."""
        self._inbox.put(lambda: self._in_hand.discard(batch_id))

    def cancel_from(self, batch_id: int) -> None:
        """Settle this batch and all behind it as abandoned, whatever becomes of them."""
        self._inbox.put(lambda: self._cancel_from(batch_id, Abandoned()))

    def shutdown(self) -> None:
        """Give up everything that hasn't come back, and wait until it is done, though not for ever."""
        self._ended = True
        self._inbox.put(lambda: None)
        if self._thread.is_alive():
            self._thread.join(_GRACE_SECONDS + 1.0)

    # --- in the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        why: BaseException = Abandoned()
        try:
            while not self._ended:
                self._take_in()
                if self._stop.asked:
                    self._cancel_held()
                while self._held and self._may_begin(self._held[0]):
                    self._begin(self._held.popleft())
                self._collect()
        except BaseException as error:  # noqa: BLE001 (whoever waits for a batch is told)
            why = SourceError(f"the cluster can't be used any more: {describe(error)}", hint=_LOST_HINT)
        while not self._ended:
            self._take_in()
            self._cancel_from(0, why)
        self._take_in()
        self._cancel_from(0, why)
        if self._left_behind:
            with suppress(Exception):
                self._ray.wait(self._left_behind, num_returns=len(self._left_behind), timeout=_GRACE_SECONDS)

    def _take_in(self) -> None:
        """Do what was asked for; wait for it when there is nothing else to do."""
        idle = not self._out and not self._ended
        with suppress(queue.Empty):
            while True:
                wish = self._inbox.get(block=idle, timeout=_LOOK_SECONDS if idle else None)
                idle = False
                wish()

    def _may_begin(self, job: Job) -> bool:
        """Say whether there is room, and the columns of the results are known or are this batch's to tell."""
        errand = self._errand
        told = errand.comes_back or self._pinned is not None or job.batch_id == errand.first_batch_id
        return told and (job.lost > 0 or len(self._in_hand) < self._workers + _AHEAD)

    def _begin(self, job: Job) -> None:
        self._in_hand.add(job.batch_id)
        if job.given is None and self._errand.ahead is not None:
            try:
                job.given = self._errand.ahead(job.batch_id)
            except BaseException as error:  # noqa: BLE001 (the runner raises it)
                self._settle(job, error=error)
                return
            if job.given is None:
                self._settle(job)
                return
        if not job.lost:
            self._emit(BatchStarted(job.batch_id))
        try:
            self._out[self._errand.send(job, self._pinned)] = job
        except BaseException as error:  # noqa: BLE001 (the same; Polars panics too)
            self._settle(job, error=WorkerFailed(job.batch_id, error))

    def _collect(self) -> None:
        """Take back what has come, waiting a moment for it."""
        if not self._out:
            return
        ready, _ = self._ray.wait(list(self._out), num_returns=1, timeout=_LOOK_SECONDS)
        for reference in ready:
            job = self._out.pop(reference)
            try:
                outcome: Outcome = unpacked(self._ray.get(reference))
            except BaseException as error:  # noqa: BLE001 (it is told apart)
                if self._is_loss(error):
                    self._lost(job, error)
                else:  # what was made can't be sent
                    self._settle(job, error=WorkerFailed(job.batch_id, error))
                continue
            self._came_back(job, outcome)

    def _is_loss(self, error: BaseException) -> bool:
        """Say whether a worker or node is gone, and nobody is to blame."""
        kinds = self._ray.exceptions
        return isinstance(error, kinds.RayError) and (
            not isinstance(error, kinds.RayTaskError) or isinstance(error.cause, kinds.RayError)
        )

    def _came_back(self, job: Job, outcome: Outcome) -> None:
        for event in outcome.events:
            if not isinstance(event, BatchStarted):
                self._emit(event)
        if self._pinned is None:
            self._pinned = outcome.schema
        try:
            result = outcome.result()
        except BaseException as error:  # noqa: BLE001 (the runner raises it)
            if self._pinned is None and not self._errand.comes_back:
                self._cancel_held()  # they wait for the columns that this batch would have told
            self._settle(job, error=error)
        else:
            self._settle(job, result)

    def _lost(self, job: Job, error: BaseException) -> None:
        """The worker or node died, maybe with what it had made; the batch goes to another one."""
        job.lost += 1
        text = f"a worker was lost: {type(error).__name__}"
        if job.lost > _LOST_AT_MOST or self._ended:
            lost = SourceError(f"batch {job.batch_id}: {text}, {job.lost} times", hint=_LOST_HINT)
            self._settle(job, error=lost)
            return
        self._emit(AttemptFailed(job.batch_id, None, job.lost, _LOST_AT_MOST, text, 0.0))
        self._emit(ClusterSeen(node_count(self._ray), self._workers))
        self._held.appendleft(job)

    def _settle(self, job: Job, result: Any = None, error: BaseException | None = None) -> None:
        if not self._errand.comes_back:
            self._in_hand.discard(job.batch_id)
        if job.future.set_running_or_notify_cancel():
            if error is not None:
                job.future.set_exception(error)
            else:
                job.future.set_result(result)
        self._on_done()

    def _cancel_held(self) -> None:
        while self._held:
            self._settle(self._held.popleft(), error=Abandoned())

    def _cancel_from(self, batch_id: int, why: BaseException) -> None:
        """Settle this batch and those behind it; what comes back of them is left where it is."""
        behind = [job for job in (*self._out.values(), *self._held) if job.batch_id >= batch_id]
        self._left_behind += [reference for reference, job in self._out.items() if job.batch_id >= batch_id]
        self._out = {reference: job for reference, job in self._out.items() if job.batch_id < batch_id}
        self._held = deque(job for job in self._held if job.batch_id < batch_id)
        for job in behind:
            self._settle(job, error=why)
