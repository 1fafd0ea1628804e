"""One real Ray cluster for the tests that use it: two nodes on the loopback, and a driver in this process.

`tiers` orders these tests one after the other. After the last one, driver and nodes are stopped, because both keep the
process and the machine busy.
"""

from __future__ import annotations

from typing import Any

import pytest
from leftovers import LIBRARIES, lives_on, servers_live_on
from tiers import uses

LOOPBACK = "127.0.0.1"
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without this, Ray uses 127.0.0.1 as the address of the machine, in this process and its children.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
_THREADS = {"PythonGCThread", "ray_listen_error_messages", "ray_print_logs"}
"""Threads of the driver, which live until the last test that uses the cluster."""

_running: list[Any] = []


def running(environment: dict[str, str]) -> Any:
    """Return the cluster. The first call starts it; its workers inherit the environment."""
    if not _running:
        import ray
        from ray._private import ray_constants
        from ray.cluster_utils import Cluster

        assert not ray.is_initialized()
        patch = pytest.MonkeyPatch()
        for name, value in (environment | _ENVIRONMENT).items():
            patch.setenv(name, value)
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", value=False)
        with lives_on():
            node = {"num_cpus": 1, "node_ip_address": LOOPBACK}
            cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
            cluster.add_node(**node)
            cluster.wait_for_nodes()
        LIBRARIES.update(_THREADS)
        _running.extend((cluster, patch))
    return _running[0]


def _stop() -> None:
    import ray

    ray.shutdown()
    cluster, patch = _running
    _running.clear()
    cluster.shutdown()
    patch.undo()
    LIBRARIES.difference_update(_THREADS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Any:
    """Stop the cluster after the last test that uses it."""
    result = yield
    if _running:
        if nextitem is not None and uses(nextitem, "cluster"):
            servers_live_on()  # the driver listens on a port too
        else:
            _stop()
    return result
