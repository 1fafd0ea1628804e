"""The connection to a Ray cluster, somebody's or one of this machine's own."""

from __future__ import annotations

import faulthandler
import logging
import os
import socket
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_KNOCK_SECONDS = 5.0
_STDERR = 2
_OWN_CLUSTER: dict[str, Any] = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}


def connected(address: str | None) -> Any:
    """Return Ray, connected to the cluster at `address`, or to one that is started here when it is None.

    Raises:
        UsageError: Ray isn't installed, or the cluster can't be reached.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UsageError("Ray is not installed", hint="pip install 'batchpipe-tui[ray]'") from error
    # Ray's own words go nowhere: on the dashboard they would land in the middle of the screen.
    logging.getLogger("ray").setLevel(logging.CRITICAL + 1)
    _enable_faulthandler()
    if not ray.is_initialized():
        where = {"address": address} if address else _OWN_CLUSTER
        try:
            _knock(address)
            with nullcontext() if address else _for_this_machine_alone():
                ray.init(log_to_driver=False, configure_logging=False, logging_level=logging.ERROR, **where)
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"the Ray cluster {address or ''} can't be reached: {error}",
                hint="Is it running (ray status), and of the same versions of Ray and Python?",
            ) from error
    return ray


def _enable_faulthandler() -> None:
    """Do what Ray would do at its start, which fails when a screen has taken the place of `sys.stderr`."""
    if not faulthandler.is_enabled():
        faulthandler.enable(_STDERR, all_threads=False)


def node_count(ray: Any) -> int:
    """Return how many nodes are alive."""
    return sum(bool(node["Alive"]) for node in ray.nodes())


@contextmanager
def _for_this_machine_alone() -> Iterator[None]:
    """Let what is started meanwhile listen on the loopback only.

    Ray puts the machine's own address in the place of 127.0.0.1, and with any other than that it listens for everybody,
    unless this constant (`RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0` in the environment) says that there are no other nodes.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _knock(address: str | None) -> None:
    """Raise OSError when nobody listens at `host:port`: Ray itself would go on trying for minutes."""
    place = (address or "").removeprefix("ray://")
    host, colon, port = place.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
