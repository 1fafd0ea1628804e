"""The three tiers of tests, and what a test in each tier may use: processes, servers, time.

    unit           no process, no server: the fastest feedback while you work on the code
    integration    processes, servers, clusters, terminals
    faults         everything under `tests/faults`: kills, failing disks, damage, random lives

The tier of a test follows from its folder, the fixtures that it uses, or its marker. All others are unit tests. A unit
test that starts a process or connects to a server fails.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
TIERS = ("unit", "integration", "faults")
FOLDERS = {"cluster": "integration", "databases": "integration", "faults": "faults", "objects": "integration"}
SERVERS = ("cluster", "mariadb", "postgres", "s3_server")
"""Fixtures with one server per session. The tests of each run one after the other, in one process."""

TIME_LIMITS = {"unit": 300, "integration": 600, "faults": 600, "long": 12 * 3600}
"""Seconds. At a load of 30 a test takes fifteen times as long on two cores, and must not fail for that."""

_FORBIDDEN = frozenset({
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "pty.spawn", "socket.bind", "socket.connect",
    "subprocess.Popen",
})  # fmt: skip
_running: str | None = None
_seen: list[str] = []


class NotForUnitTests(Exception):
    """A unit test started a process or connected to a server."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Don't import the folders of other tiers for `-m unit`: that would be a third of its time."""
    return True if config.option.markexpr == "unit" and _tier_of_folder(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with its tier and its time limit; put tests that share a server into one group."""
    if "long" not in config.option.markexpr:  # they run only when `-m` names them
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    tiers = {}
    for item in items:
        tier = tiers[item] = _tier(item)
        if item.get_closest_marker(tier) is None:
            item.add_marker(tier)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIME_LIMITS["long" if item.get_closest_marker("long") else tier]))
        if _servers(item):
            item.add_marker(pytest.mark.xdist_group("servers"))
    parallel = hasattr(config, "workerinput")  # then the longest tests start first
    items.sort(key=lambda item: (TIERS.index(tiers[item]) * (-1 if parallel else 1), not uses(item, "cluster")))


def _tier(item: pytest.Item) -> str:
    marked = [tier for tier in TIERS if item.get_closest_marker(tier)]
    if len(marked) > 1:
        raise pytest.UsageError(f"{item.nodeid} is in {len(marked)} tiers: {', '.join(marked)}")
    if marked:
        return marked[0]
    return _tier_of_folder(item.path) or ("integration" if _servers(item) else "unit")


def _tier_of_folder(path: Path) -> str | None:
    inside = path.relative_to(TESTS).parts if path.is_relative_to(TESTS) else ()
    return FOLDERS.get(inside[0]) if inside else None


def uses(item: pytest.Item, server: str) -> bool:
    """Return whether the test uses this server: by a fixture, or by a parameter of one that is marked with `needs`."""
    fixtures = getattr(item, "fixturenames", ())
    return server in fixtures or any(server in mark.args for mark in item.iter_markers("needs"))


def _servers(item: pytest.Item) -> list[str]:
    return [server for server in SERVERS if uses(item, server)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """Record which unit test is running."""
    global _running  # noqa: PLW0603 (an audit hook can't be removed: this switches it off)
    _running = item.nodeid if item.get_closest_marker("unit") else None
    _seen.clear()
    try:
        return (yield)
    finally:
        _running = None


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call() -> Any:
    """Fail the test even if it caught the exception."""
    result = yield
    if _seen:
        raise NotForUnitTests(_seen[0])
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Let the session's servers end: they do so after the last test, which may be a unit test."""
    global _running  # noqa: PLW0603 (as above)
    _running = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _running is not None and event in _FORBIDDEN:
        said = (
            f"{_running} is a unit test and did {event}{arguments!r:.200}; "
            "mark it with pytest.mark.integration if it needs a process or a server"
        )
        _seen.append(said)
        raise NotForUnitTests(said)


sys.addaudithook(_watch)
