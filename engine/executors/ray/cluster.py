"""The connection to a Ray cluster: one at an address, or one that is started on this machine."""

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
    # Ray's log is off: it would be printed into the middle of the dashboard's screen.
    logging.getLogger("ray").setLevel(logging.CRITICAL + 1)
    if not faulthandler.is_enabled():  # Ray does this at its start too, and fails if a screen has replaced sys.stderr
        faulthandler.enable(_STDERR, all_threads=False)
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


def node_count(ray: Any) -> int:
    """Return how many nodes are alive."""
    return sum(bool(node["Alive"]) for node in ray.nodes())


@contextmanager
def _for_this_machine_alone() -> Iterator[None]:
    """Make a cluster that is started inside the block listen on the loopback only.

    Ray replaces 127.0.0.1 by the machine's own address and then accepts connections from everywhere, unless this
    private constant (`RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0` in the environment, which Ray reads at its import) says that
    there are no other nodes. `tests/cluster/test_loopback.py` fails if Ray renames it.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _knock(address: str | None) -> None:
    """Raise OSError if nothing listens at `host:port`: Ray itself would try for minutes."""
    place = (address or "").removeprefix("ray://")
    host, colon, port = place.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
