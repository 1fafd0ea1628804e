"""Batches as tasks of a Ray cluster: rows stay on the workers, only manifests come back.

The driver keeps as many tasks with Ray as the cluster has room for and holds back the rest, so that a stop finds
little that has begun. A task that is lost with its worker or node is given out again; its part bears a token of its
own, so a worker that comes back to life harms nothing.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
import uuid
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.errors import FetchFailed, PipelineError, SourceError, UsageError
from engine.events import AttemptFailed, BatchStarted, ClusterSeen, Warned
from engine.executors import ray_task, retrying
from engine.executors.signals import Abandoned
from engine.executors.threads import ThreadExecutor
from engine.fetcher import SeekableFetcher
from engine.policy import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.checkpoint.manifest import Manifest
    from engine.executors.remote import Outcome
    from engine.executors.source import Fetched
    from engine.executors.work import BatchWork
    from engine.fetcher import BatchFetcher
    from engine.jsonable import Json
    from engine.step import BatchStep

_LOST_AT_MOST = 10
"""How often one batch may be lost with its worker before the run ends."""
_AHEAD = 2
"""Tasks given to Ray beyond those that can run at once, so that no worker waits for the driver."""
_LOOK_SECONDS = 0.1
_KNOCK_SECONDS = 5.0
_OWN_CLUSTER: dict[str, Any] = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}


@dataclass(slots=True)
class _Job:
    """A batch on its way: `given` is what the driver read or planned, `lost` counts the workers it was lost with."""

    batch_id: int
    future: Future[Manifest | None]
    given: Fetched | Mapping[str, Json] | None = None
    lost: int = 0


class RayExecutor:
    """Runs batches on a Ray cluster; `pip install 'batchpipe-tui[ray]'` brings Ray.

    Each batch is one task: fetch, steps and the part's write happen on a worker. The checkpoint folder must be at the
    same path on all nodes, and `batchpipe-tui` installed there; the pipeline's own file is sent along. Sources that can
    begin anywhere are read by the workers: Parquet, frames, functions, and tables, whose key ranges are planned here. A
    source that is read in order, such as CSV, is read here and its batches are sent. When a step isn't `concurrent`,
    all steps run here in order, as without a cluster.

    Args:
        address: of the cluster, such as `ray://host:10001` or `auto`; None starts one on this machine.
        cpus_per_batch: CPUs that a batch takes up; Polars gets as many threads.
    """

    def __init__(self, address: str | None = None, *, cpus_per_batch: int = 1) -> None:
        if not isinstance(cpus_per_batch, int) or cpus_per_batch < 1:
            raise UsageError(f"cpus_per_batch must be a whole number of at least 1, not {cpus_per_batch!r}")
        self.address = address
        self.cpus_per_batch = cpus_per_batch
        self.workers = 1
        self.window = 4
        self._ray: Any = None
        self._here: ThreadExecutor | None = None
        self._thread: threading.Thread | None = None

    def prepare(self, steps: Sequence[BatchStep], fetcher: BatchFetcher) -> None:
        """Connect to the cluster, or start one, and make up what is sent to the workers.

        Raises:
            UsageError: Ray isn't installed, the cluster can't be reached, or something can't be sent.
        """
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            import ray
        except ModuleNotFoundError as error:
            raise UsageError("Ray is not installed", hint="pip install 'batchpipe-tui[ray]'") from error
        self._ray = ray
        self._connect()
        self._parts = b"" if _kept_here(steps) else ray_task.pickled(ray.cloudpickle, (tuple(steps), fetcher))
        self.workers = max(1, int(self._ray.cluster_resources().get("CPU", 1)) // self.cpus_per_batch)
        self.window = 4 * self.workers

    def _connect(self) -> None:
        ray = self._ray
        # Ray's own words go nowhere: on the dashboard they would land in the middle of the screen.
        logging.getLogger("ray").setLevel(logging.CRITICAL + 1)
        if not ray.is_initialized():
            # A cluster of this machine's own is for this machine alone.
            where = {"address": self.address} if self.address else _OWN_CLUSTER
            try:
                _knock(self.address)
                ray.init(log_to_driver=False, configure_logging=False, logging_level=logging.ERROR, **where)
            except (OSError, RuntimeError, ValueError) as error:
                raise UsageError(
                    f"the Ray cluster {self.address or ''} can't be reached: {error}",
                    hint="Is it running (ray status), and of the same versions of Ray and Python?",
                ) from error

    def start(self, work: BatchWork, on_done: Callable[[], None]) -> None:
        """Send what the workers need, and begin to hand out batches."""
        recipe = work.recipe
        assert recipe is not None  # noqa: S101 (a work without one is a worker's own)
        on_driver = _kept_here(recipe.steps)
        self._here = None
        if on_driver:
            work.emit(Warned(_why_here(on_driver)))
            self._here = ThreadExecutor(min(self.workers, 4))
            self._here.start(work, on_done)
            return
        self._work, self._on_done = work, on_done
        self._name = uuid.uuid4().hex
        rest = replace(recipe, steps=(), fetcher=ray_task.no_source)
        self._recipe = self._ray.put((self._parts, self._ray.cloudpickle.dumps(rest)))
        self._task = self._ray.remote(num_cpus=self.cpus_per_batch, max_retries=0)(ray_task.task)
        self._pinned = recipe.pinned
        self._first = recipe.position.next_batch_id
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._held: deque[_Job] = deque()
        self._out: dict[Any, _Job] = {}
        self._done = False
        self._here_first = _what_is_done_here(work)
        self._thread = threading.Thread(target=self._hand_out, name="ray-batches", daemon=True)
        self._thread.start()
        work.emit(ClusterSeen(len(_alive(self._ray)), self.workers))

    def submit(self, batch_id: int) -> Future[Manifest | None]:
        """Take up a batch."""
        if self._here is not None:
            return self._here.submit(batch_id)
        future: Future[Manifest | None] = Future()
        self._jobs.put(_Job(batch_id, future))
        return future

    def shutdown(self) -> None:
        """Give up what is out; the cluster stays as it is."""
        if self._here is not None:
            self._here.shutdown()
            return
        if self._thread is None:
            return
        self._done = True
        self._jobs.put(None)
        self._thread.join(5.0)
        for reference in self._out:
            with suppress(Exception):
                self._ray.cancel(reference, force=False)
        self._thread = None

    # --- handing out, in a thread of its own ------------------------------------------------------------

    def _hand_out(self) -> None:
        while not self._done:
            self._take_in()
            if self._work.stop.asked:
                self._give_up_held()
            while self._held and len(self._out) < self.workers + _AHEAD and self._may_begin(self._held[0]):
                self._begin(self._held.popleft())
            self._collect()
        self._give_up_held()

    def _take_in(self) -> None:
        """Take what was submitted; wait for it when there is nothing else to do."""
        idle = not self._out and not self._held
        with suppress(queue.Empty):
            while True:
                job = self._jobs.get(block=idle, timeout=_LOOK_SECONDS if idle else None)
                idle = False
                if job is not None:
                    self._held.append(job)

    def _may_begin(self, job: _Job) -> bool:
        """Say whether the columns of the results are known, or are this batch's to tell."""
        return self._pinned is not None or job.batch_id == self._first

    def _begin(self, job: _Job) -> None:
        if job.given is None and self._here_first is not None:
            try:
                job.given = self._here_first(job.batch_id)
            except BaseException as error:  # noqa: BLE001 (the runner raises it)
                self._finish(job, error=error)
                return
            if job.given is None:
                self._finish(job)
                return
        if not job.lost:
            self._work.emit(BatchStarted(job.batch_id))
        shipped = None if job.given is None else self._ray.put(job.given)
        reference = self._task.remote(
            self.cpus_per_batch, self._name, [self._recipe, shipped], job.batch_id, self._pinned and dict(self._pinned)
        )
        self._out[reference] = job

    def _collect(self) -> None:
        """Take back what has come, waiting a moment for it."""
        if not self._out:
            return
        ready, _ = self._ray.wait(list(self._out), num_returns=1, timeout=_LOOK_SECONDS)
        for reference in ready:
            job = self._out.pop(reference)
            try:
                outcome: Outcome = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                self._lost(job, error)
                continue
            for event in outcome.events:
                if not isinstance(event, BatchStarted):
                    self._work.emit(event)
            if self._pinned is None and outcome.schema is not None:
                self._pinned = outcome.schema
            failure: BaseException | None = Abandoned() if outcome.abandoned else outcome.raised()
            if failure is not None and self._pinned is None:
                self._give_up_held()
            self._finish(job, outcome.manifest, failure)

    def _lost(self, job: _Job, error: Exception) -> None:
        """The worker or node died; the batch goes to another one."""
        job.lost += 1
        text = f"a worker was lost: {type(error).__name__}"
        if job.lost > _LOST_AT_MOST or self._done:
            self._finish(job, error=SourceError(f"batch {job.batch_id}: {text}, {job.lost} times", hint=_LOST_HINT))
            return
        self._work.emit(AttemptFailed(job.batch_id, None, job.lost, _LOST_AT_MOST, text, 0.0))
        self._work.emit(ClusterSeen(len(_alive(self._ray)), self.workers))
        self._held.appendleft(job)

    def _finish(self, job: _Job, manifest: Manifest | None = None, error: BaseException | None = None) -> None:
        if job.future.set_running_or_notify_cancel():
            if error is not None:
                job.future.set_exception(error)
            else:
                job.future.set_result(manifest)
        self._on_done()

    def _give_up_held(self) -> None:
        while self._held:
            self._finish(self._held.popleft(), error=Abandoned())


_LOST_HINT = "Look at the cluster's memory and logs (ray status); everything before this batch is committed."


def _knock(address: str | None) -> None:
    """Raise OSError when nobody listens at `host:port`: Ray itself would go on trying for minutes."""
    place = (address or "").removeprefix("ray://")
    host, colon, port = place.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()


def _kept_here(steps: Sequence[BatchStep]) -> list[str]:
    """Return the steps for whose sake all of them run on the driver."""
    return [step.name for step in steps if not step.concurrent]


def _what_is_done_here(work: BatchWork) -> Callable[[int], Fetched | Mapping[str, Json] | None] | None:
    """Return what the driver does for a batch before a worker gets it: read it, plan it, or nothing (None)."""
    recipe = work.recipe
    assert recipe is not None  # noqa: S101
    fetcher = recipe.fetcher
    if not isinstance(fetcher, SeekableFetcher) or fetcher.concurrent:
        return None
    if not fetcher.plans:
        return recipe.source(stop=work.stop, emit=work.emit).fetch

    def plan(batch_id: int) -> Mapping[str, Json] | None:
        policy = fetcher.retry or NEVER
        try:
            return retrying.call(
                lambda: fetcher.plan(batch_id, recipe.batch_size),
                policy,
                work.stop,
                work.emit,
                batch_id=batch_id,
                step=None,
            )[0]
        except retrying.GaveUp as gave_up:
            if isinstance(gave_up.error, PipelineError):
                raise gave_up.error from gave_up.error.__cause__
            raise FetchFailed(batch_id, gave_up.error, attempts=gave_up.attempts) from gave_up.error

    return plan


def _alive(ray: Any) -> list[Any]:
    return [node for node in ray.nodes() if node["Alive"]]


def _why_here(names: list[str]) -> str:
    steps = ", ".join(names)
    return (
        f"all steps run on this machine, since {steps} takes one batch at a time; with `concurrent = True`, if that is "
        "safe, batches run on the cluster"
    )
