"""Gives signals in the tests the same effect as in a terminal, even if the suite was started by `nohup … &`.

A child process inherits an ignored signal as ignored, and a test that sends the signal to it would wait forever. If the
signal has a handler instead, the child begins with the default action.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Replace ignored signals by handlers, except in the main process of pytest-xdist, which runs no tests."""
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)  # nohup still protects this process
