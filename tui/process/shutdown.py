"""The end of the program after a signal, a closed terminal, or a screen that fails.

Invariant: the run gets time to commit what is in flight, but not for ever. Python's own signal handlers are used, not
those of the event loop: when a terminal closes, the loop may be stuck for good in a write to it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from engine.text.exit_codes import ExitCode
from engine.text.terminal_safe import safe
from tui.screens.dashboard.status_line import status_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from tui.app import BatchPipeApp

SIGNAL_GRACE_SECONDS = 8.0  # a supervisor kills after ten
SCREEN_GRACE_SECONDS = 2.0


@contextmanager
def stopping_on_signals(app: BatchPipeApp) -> Iterator[None]:
    """Stop gracefully on SIGTERM and SIGHUP while the block runs."""

    def asked_to_end(_number: int, _frame: FrameType | None) -> None:
        app.ended_by_signal = True
        if app.bridge is not None:
            app.bridge.stop()
        # `close` waits, and a handler must not: the event loop that has to close the screen runs in this thread.
        threading.Thread(target=_end, args=(app,), name="shutdown", daemon=True).start()

    # A signal that is ignored stays ignored: that is what nohup is for.
    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, asked_to_end) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(app: BatchPipeApp) -> None:
    """Wait for the commit, then exit: through the screen, or without it when it does not answer."""
    bridge = app.bridge
    if bridge is not None and not bridge.close(SIGNAL_GRACE_SECONDS):
        bridge.stop(now=True)
        bridge.close(SCREEN_GRACE_SECONDS)
    app.leave_from_thread()
    main = threading.main_thread()
    main.join(SCREEN_GRACE_SECONDS)
    if main.is_alive():
        os._exit(app.exit_code())


def finish_run(app: BatchPipeApp, seconds: float) -> None:
    """Let a run finish what is in flight after the screen is closed."""
    bridge = app.bridge
    if bridge is None:
        return
    if bridge.running and app.waits_for_run:
        say("finishing the batches in flight; Ctrl+C gives them up\n")
    try:
        done = bridge.close(seconds if app.waits_for_run else SCREEN_GRACE_SECONDS)
    except KeyboardInterrupt:
        done = False
    if not done:
        bridge.stop(now=True)
        done = bridge.close(SCREEN_GRACE_SECONDS)
    if not done:
        # A step hangs in foreign code. Commits are transactions: what was in flight is processed again next time.
        os._exit(app.status or ExitCode.RESUMABLE)


def say(text: str) -> None:
    """Write to the terminal, if it is still open."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        # It is closed. Python would fail again when it exits, and replace our exit status.
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for descriptor in (1, 2):
                os.dup2(nowhere, descriptor)


def farewell(app: BatchPipeApp) -> str:
    """Return the line that stays in the terminal after a run: the pipeline and its state, empty if nothing was run."""
    bridge = app.bridge
    view = bridge.view() if bridge is not None else None
    if view is None or view.run_id is None:
        return ""
    return f"{safe(view.info.pipeline, 100)}: {safe(status_line(view).words)}\n"
