"""Counts the processes that died by SIGKILL in this session, by kind of point; pytest prints the sum at the end."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

KILLS: Counter[str] = Counter()
"""Deaths by kind of point, including `at random`. A death is counted only after the process has really died there."""

_SENT = "kills"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the counts of a worker process of pytest-xdist to the main process."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_SENT] = dict(KILLS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the counts of a worker process; one that crashed sends nothing."""
    KILLS.update(getattr(node, "workeroutput", {}).get(_SENT, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the sum, and after a long run the count of each point."""
    if KILLS:
        terminalreporter.write_line(f"{KILLS.total()} kills -9 at {len(KILLS)} kinds of points")
        for point, times in KILLS.most_common() if "long" in config.option.markexpr else ():
            terminalreporter.write_line(f"{times:6} {point}")
