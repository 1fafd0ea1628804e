"""How many processes died by SIGKILL in this session, by point; the last lines of pytest's output say so."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

KILLS: Counter[str] = Counter()
"""Kinds of points, `at random` among them; counted when a process has really died there."""

_SENT = "kills"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on what was counted in one of several processes."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_SENT] = dict(KILLS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add up; a process that crashed sends nothing."""
    KILLS.update(getattr(node, "workeroutput", {}).get(_SENT, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say the sum, and after a long run each point."""
    if KILLS:
        terminalreporter.write_line(f"{KILLS.total()} kills -9 at {len(KILLS)} kinds of points")
        for point, times in KILLS.most_common() if "long" in config.option.markexpr else ():
            terminalreporter.write_line(f"{times:6} {point}")
