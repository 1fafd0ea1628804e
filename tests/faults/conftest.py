"""Makes the modules beside this file importable, leaves the long runs out unless asked for, and counts the kills."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are not packages

_MARKER = "long"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _MARKER in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker(_MARKER)]
    items[:] = [item for item in items if item not in long]
    if long:
        config.hook.pytest_deselected(items=long)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from kill_victim import KILLS

    if KILLS:
        terminalreporter.write_line(f"{KILLS.total()} kills -9 at {len(KILLS)} kinds of points")
        for point, times in KILLS.most_common():
            terminalreporter.write_line(f"{times:6} {point}")


@pytest.fixture(scope="session")
def expected():
    import kill_target

    return kill_target.expected()


@pytest.fixture(scope="session")
def finished(tmp_path_factory, expected):
    """A checkpoint whose run was never interrupted: what the others are compared with, and rewound from."""
    from kill_victim import Victim

    victim = Victim(tmp_path_factory.mktemp("uninterrupted") / "checkpoint", expected)
    victim.finish()
    return victim.folder


@pytest.fixture
def victim(tmp_path, expected):
    from kill_victim import Victim

    return Victim(tmp_path / "checkpoint", expected)
