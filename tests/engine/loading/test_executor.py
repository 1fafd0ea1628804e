from __future__ import annotations

import pytest
import ray

from engine import BatchPipeline
from engine.errors import UsageError
from engine.executors.ray.executor import RayExecutor
from engine.executors.threads import ThreadExecutor
from engine.loading.executor import ExecutorChoice, executor_named
from engine.testing import NumberSource


def test_nothing_said_leaves_it_to_the_pipeline():
    assert executor_named(None, None) is None


def test_threads_and_a_cluster_can_be_chosen():
    assert isinstance(executor_named(ExecutorChoice.THREADS, None), ThreadExecutor)
    executor = executor_named(ExecutorChoice.RAY, "auto")
    assert isinstance(executor, RayExecutor)
    assert executor.address == "auto"


def test_an_address_without_a_cluster_is_refused():
    with pytest.raises(UsageError, match="--ray-address means nothing without --executor ray"):
        executor_named(None, "auto")


@pytest.mark.parametrize("cpus", [0, -1, 1.5, "2"])
def test_cpus_that_cannot_be_are_refused(cpus):
    with pytest.raises(UsageError, match="cpus_per_batch"):
        RayExecutor(cpus_per_batch=cpus)


@pytest.mark.integration
def test_an_unreachable_cluster_is_told(tmp_path):
    if ray.is_initialized():
        ray.shutdown()
    pipeline = BatchPipeline([], NumberSource(10), 5, tmp_path, executor=RayExecutor("127.0.0.1:1"))
    with pytest.raises(UsageError, match=r"the Ray cluster 127.0.0.1:1 can't be reached: .*refused"):
        pipeline.run()
