"""Batches as tasks of a Ray cluster: whole, so that only manifests come back, or up to a step that keeps the order."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.errors import UsageError
from engine.events import ClusterSeen, Warned
from engine.executors.ray import task
from engine.executors.ray.cluster import connected, node_count
from engine.executors.ray.jobs import JobSpec, RayJobs
from engine.executors.ray.prefetch import prefetcher
from engine.executors.ray.serialization import pack
from engine.executors.ray.split import SplitExecution, leading_count, with_placeholders
from engine.executors.threads import ThreadExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    import polars as pl

    from engine.checkpoint.parts.manifest import Manifest
    from engine.events import Listener
    from engine.executors.ray.jobs import RayJob
    from engine.sources.base import BatchFetcher
    from engine.steps.base import BatchStep
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal

_THREADS_HERE = 4


class RayExecutor:
    """Runs batches on a Ray cluster; `pip install 'batchpipe-tui[ray]'` brings Ray.

    Each batch is one task: fetch, steps and the part's write happen on a worker. The checkpoint folder must be at the
    same path on all nodes, unless the pipeline has a `results_url`, and `batchpipe-tui` must be installed there; the
    pipeline's own file is sent to them. The workers read sources that can begin anywhere: Parquet, frames, functions,
    and tables, whose key ranges are planned here. A source that is read in order, such as CSV, is read here, and its
    batches are sent.

    From the first step on that isn't `concurrent`, or has a memory, the steps run here: the rows come back for them,
    and the parts are written here. If that is the very first step, everything runs here, as without a cluster.

    Args:
        address: of the cluster, such as `ray://host:10001` or `auto`; None starts one on this machine.
        cpus_per_batch: CPUs that a batch uses; Polars gets as many threads.
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
        self._way: RayJobs | SplitExecution | ThreadExecutor | None = None
        self._threads: ThreadExecutor | None = None  # kept: it knows the threads that hang since an earlier run

    def prepare(self, steps: Sequence[BatchStep], fetcher: BatchFetcher) -> None:
        """Connect to the cluster, or start one, and pickle what is sent to the workers.

        Raises:
            UsageError: Ray isn't installed, the cluster can't be reached, or something can't be sent.
        """
        self._ray = connected(self.address)
        parts = (with_placeholders(steps), fetcher)
        # A cluster can't help if the very first step takes batches in order.
        self._parts = b"" if steps and not leading_count(steps) else task.pickled(self._ray.cloudpickle, parts)
        self.workers = max(1, int(self._ray.cluster_resources().get("CPU", 1)) // self.cpus_per_batch)
        self.window = 4 * self.workers

    def start(self, recipe: Recipe, *, stop: StopSignal, emit: Listener, on_done: Callable[[], None]) -> None:
        """Send what the workers need, and begin to give them batches."""
        count, self._way = leading_count(recipe.steps), None
        if count < len(recipe.steps):
            emit(Warned(_why_here(recipe.steps)))
            self._threads = self._threads or ThreadExecutor(min(self.workers, _THREADS_HERE))
            if not count:
                self._way = self._threads
                self._threads.start(recipe, stop=stop, emit=emit, on_done=on_done)
                return
            jobs = self._jobs(recipe, stop=stop, emit=emit, on_done=_nothing, leading=True)
            self._way = SplitExecution(jobs, self._threads)
            self._way.start(recipe, stop=stop, emit=emit, on_done=on_done)
        else:
            self._way = self._jobs(recipe, stop=stop, emit=emit, on_done=on_done, leading=False)
            self._way.start()
        emit(ClusterSeen(node_count(self._ray), self.workers))

    def submit(self, batch_id: int) -> Future[Manifest | None]:
        """Accept a batch."""
        assert self._way is not None  # noqa: S101 (it was started)
        return self._way.submit(batch_id)

    def shutdown(self) -> None:
        """Abandon what hasn't come back; the cluster stays as it is."""
        if self._way is not None:
            self._way.shutdown()
        self._way = None

    def _jobs(
        self, recipe: Recipe, *, stop: StopSignal, emit: Listener, on_done: Callable[[], None], leading: bool
    ) -> RayJobs:
        spec = JobSpec(
            self._sender(recipe, leading=leading),
            prefetcher(recipe, stop=stop, emit=emit),
            comes_back=leading,
            pinned=recipe.pinned,
            first_batch_id=recipe.position.next_batch_id,
        )
        return RayJobs(self._ray, spec, self.workers, stop=stop, emit=emit, on_done=on_done)

    def _sender(self, recipe: Recipe, *, leading: bool) -> Callable[[RayJob, pl.Schema | None], Any]:
        """Return a function that gives a batch to Ray; the recipe is sent once."""
        ray = self._ray
        run = uuid.uuid4().hex
        rest = replace(recipe, steps=(), fetcher=task.no_source)
        shared = ray.put((self._parts, ray.cloudpickle.dumps(rest)))
        remote_task = ray.remote(num_cpus=self.cpus_per_batch, max_retries=0)(task.task)

        def send(job: RayJob, pinned: pl.Schema | None) -> Any:
            given = None if job.given is None else ray.put(pack(ray.cloudpickle, job.given))
            columns = None if pinned is None else dict(pinned)
            return remote_task.remote(
                self.cpus_per_batch, run, [shared, given], job.batch_id, pinned=columns, leading=leading
            )

        return send


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
    """The batch loop doesn't wait for a partial result."""
