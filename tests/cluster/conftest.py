from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are not packages


LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="session")
def cluster(s3_server):
    """A real cluster of two nodes on the loopback; tests add a third one, which may be lost."""
    if not os.environ.get("CI"):
        pytest.importorskip("ray")
    os.environ.update(s3_server.environment)  # the workers inherit it
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Without this Ray takes 127.0.0.1 for the machine's own address, in this process and in those started here.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    if ray.is_initialized():
        ray.shutdown()
    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    head = {"num_cpus": 1, "include_dashboard": False, "node_ip_address": LOOPBACK}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=1, node_ip_address=LOOPBACK)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    ray_constants.ENABLE_RAY_CLUSTER = before
    del os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]


@pytest.fixture
def executor(cluster):
    from engine import RayExecutor

    return RayExecutor(cluster.address)
