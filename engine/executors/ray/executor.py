"""Batches as tasks of a Ray cluster: whole, so that only manifests come back, or up to a step that keeps the order."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.errors import UsageError
from engine.events import ClusterSeen, Warned
from engine.executors.ray import task
from engine.executors.ray.cluster import connected, node_count
from engine.executors.ray.jobs import Errand, RayJobs
from engine.executors.ray.placeholder import leading_count, with_stand_ins
from engine.executors.ray.prefetch import done_ahead
from engine.executors.ray.serialization import packed
from engine.executors.ray.split import Divided
from engine.executors.threads import ThreadExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    import polars as pl

    from engine.checkpoint.parts.manifest import Manifest
    from engine.events import Listener
    from engine.executors.ray.jobs import Job
    from engine.sources.base import BatchFetcher
    from engine.steps.base import BatchStep
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal

_THREADS_HERE = 4


class RayExecutor:
    """Runs batches on a Ray cluster; `pip install 'batchpipe-tui[ray]'` brings Ray.

    Each batch is one task: fetch, steps and the part's write happen on a worker. The checkpoint folder must be at the
    same path on all nodes, unless the pipeline has a `results_url`, and `batchpipe-tui` installed there; the pipeline's
    own file is sent along. Sources that can
    begin anywhere are read by the workers: Parquet, frames, functions, and tables, whose key ranges are planned here. A
    source that is read in order, such as CSV, is read here and its batches are sent.

    From the first step on that isn't `concurrent`, or has a memory, the steps run here: the rows come back for them,
    and the parts are written here. When that is the very first step, everything runs here, as without a cluster.

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
        self._parts = b""
        self._way: RayJobs | Divided | ThreadExecutor | None = None
        self._threads: ThreadExecutor | None = None  # kept, for it knows of a thread that an earlier run left behind

    def prepare(self, steps: Sequence[BatchStep], fetcher: BatchFetcher) -> None:
        """Connect to the cluster, or start one, and make up what is sent to the workers.

        Raises:
            UsageError: Ray isn't installed, the cluster can't be reached, or something can't be sent.
        """
        self._ray = connected(self.address)
        sent = with_stand_ins(steps)
        self._parts = b"" if _all_here(steps) else task.pickled(self._ray.cloudpickle, (sent, fetcher))
        self.workers = max(1, int(self._ray.cluster_resources().get("CPU", 1)) // self.cpus_per_batch)
        self.window = 4 * self.workers

    def start(self, recipe: Recipe, *, stop: StopSignal, emit: Listener, on_done: Callable[[], None]) -> None:
        """Send what the workers need, and begin to hand out batches."""
        length, self._way = leading_count(recipe.steps), None
        if length < len(recipe.steps):
            emit(Warned(_why_here(recipe.steps)))
            self._threads = self._threads or ThreadExecutor(min(self.workers, _THREADS_HERE))
            if not length:
                self._way = self._threads
                self._threads.start(recipe, stop=stop, emit=emit, on_done=on_done)
                return
            jobs = self._jobs(recipe, stop=stop, emit=emit, on_done=_nothing, leading=True)
            self._way = Divided(jobs, self._threads)
            self._way.start(recipe, stop=stop, emit=emit, on_done=on_done)
        else:
            self._way = self._jobs(recipe, stop=stop, emit=emit, on_done=on_done, leading=False)
            self._way.start()
        emit(ClusterSeen(node_count(self._ray), self.workers))

    def submit(self, batch_id: int) -> Future[Manifest | None]:
        """Take up a batch."""
        assert self._way is not None  # noqa: S101 (it was started)
        return self._way.submit(batch_id)

    def shutdown(self) -> None:
        """Give up what is out; the cluster stays as it is."""
        if self._way is not None:
            self._way.shutdown()
        self._way = None

    def _jobs(
        self, recipe: Recipe, *, stop: StopSignal, emit: Listener, on_done: Callable[[], None], leading: bool
    ) -> RayJobs:
        errand = Errand(
            self._sender(recipe, leading=leading),
            done_ahead(recipe, stop=stop, emit=emit),
            comes_back=leading,
            pinned=recipe.pinned,
            first_batch_id=recipe.position.next_batch_id,
        )
        return RayJobs(self._ray, errand, self.workers, stop=stop, emit=emit, on_done=on_done)

    def _sender(self, recipe: Recipe, *, leading: bool) -> Callable[[Job, pl.Schema | None], Any]:
        """Return what gives a batch to Ray; the recipe itself is sent once."""
        ray = self._ray
        name = uuid.uuid4().hex
        rest = replace(recipe, steps=(), fetcher=task.no_source)
        shared = ray.put((self._parts, ray.cloudpickle.dumps(rest)))
        remote_task = ray.remote(num_cpus=self.cpus_per_batch, max_retries=0)(task.task)

        def send(job: Job, pinned: pl.Schema | None) -> Any:
            shipped = None if job.given is None else ray.put(packed(ray.cloudpickle, job.given))
            columns = None if pinned is None else dict(pinned)
            return remote_task.remote(
                self.cpus_per_batch, name, [shared, shipped], job.batch_id, pinned=columns, leading=leading
            )

        return send


def _all_here(steps: Sequence[BatchStep]) -> bool:
    """Say whether the very first step takes batches in order, so that a cluster can do nothing."""
    return bool(steps) and leading_count(steps) == 0


def _why_here(steps: Sequence[BatchStep]) -> str:
    length = leading_count(steps)
    first = steps[length].name
    if length:
        here = ", ".join(step.name for step in steps[length:])
        return (
            f"on this machine, in order: {here}, since {first} takes one batch at a time; the steps before run on the "
            "cluster, and the rows come back for this"
        )
    return (
        f"all steps run on this machine, since {first} takes one batch at a time; with `concurrent = True`, if that is "
        "safe, batches run on the cluster"
    )


def _nothing() -> None:
    """Nobody waits for a batch that is half done."""
