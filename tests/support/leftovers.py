"""Fails a test that leaves threads, child processes or open servers, and names them.

Such leftovers slow down later tests or make them fail: for example, Textual's pilot waits until the process is idle.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_SECONDS = 60.0
"""How long to wait for threads, processes and servers that are ending."""

LIBRARIES = {"fsspecIO"}
"""Names of threads that libraries start once and never end: the event loop of fsspec, which sleeps between reads."""

_PROC = Path("/proc/self")
_LISTENING = "0A"
_STARTS = frozenset({"os.fork", "os.forkpty", "os.posix_spawn", "socket.bind", "subprocess.Popen"})
_known: set[str] = set()
_begun: list[str] = []


@contextlib.contextmanager
def lives_on() -> Iterator[None]:
    """Don't report what is started in the block: a fixture of the session starts and stops it."""
    yield
    _known.update(_threads(), _children(), _servers())


def servers_live_on() -> None:
    """Don't report the servers that are open in this process now."""
    _known.update(_servers())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup() -> Any:
    """Record what exists before a test."""
    _known.update(_threads())
    _begun.clear()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Any:
    """Compare after the fixtures of the test have ended; wait for what is ending."""
    result = yield
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := _left():
        if time.monotonic() > deadline:
            _known.update(left)
            pytest.fail(f"{item.nodeid} has left behind: {', '.join(map(_described, sorted(left)))}", pytrace=False)
        time.sleep(0.02)
    return result


def _left() -> set[str]:
    threads = set(_threads())
    return (threads | {*_children(), *_servers()} if _begun else threads) - _known


def _threads() -> Iterator[str]:
    for thread in threading.enumerate():
        if thread.name not in LIBRARIES:
            yield f"thread {thread.native_id} {thread.name}"


def _children() -> Iterator[str]:
    for task in _listed(_PROC / "task"):
        with contextlib.suppress(OSError):  # the thread has just ended
            for pid in (task / "children").read_text(encoding="ascii").split():
                yield f"process {pid}"


def _servers() -> Iterator[str]:
    links = set()
    for descriptor in _listed(_PROC / "fd"):
        with contextlib.suppress(OSError):  # it was just closed
            links.add(str(descriptor.readlink()))
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):  # there is no IPv6 here
            for line in (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENING and f"socket:[{rest[5]}]" in links:
                    yield f"server on port {int(local.partition(':')[2], 16)}"


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []  # only Linux has it


def _described(left: str) -> str:
    kind, number, *_ = left.split()
    if kind == "process":
        with contextlib.suppress(OSError):
            words = Path("/proc", number, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            return f"{left} {words[:200]}".rstrip()
    return left


def _notice(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _STARTS:
        _begun.append(event)


sys.addaudithook(_notice)
