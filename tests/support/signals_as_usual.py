"""Signals in the tests mean what they mean in a terminal, also when the suite was started by `nohup … &`.

A signal that is ignored stays ignored in every program that is started from here, and a test that sends it to one
would wait for ever. A signal with a handler doesn't: a program begins with the default.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Put handlers in the place of ignoring, except where pytest only hands tests out to other processes."""
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)  # nohup goes on protecting this process
