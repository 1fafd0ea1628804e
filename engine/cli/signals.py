"""SIGINT, SIGTERM and SIGHUP during a run: the first stops gracefully, the second stops now, a third SIGINT exits.

The run is in another thread. Python gives signals to the main thread, which holds no lock that a handler needs, so it
can always handle them.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from engine.events import RunStarted
from engine.text.exit_codes import ExitCode

if TYPE_CHECKING:
    from types import FrameType

    from engine import BatchPipeline
    from engine.events import Event

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_EXITING = b"\ninterrupted. Everything up to the frontier is safe: the same command continues from there.\n"


class StopOnSignals:
    """Turns signals into stop requests for `pipeline` during the block, and restores the handlers after it.

    An ignored signal stays ignored (nohup, background jobs of a shell). Outside the main thread, where Python has no
    signals, nothing happens.
    """

    def __init__(self, pipeline: BatchPipeline) -> None:
        self._pipeline = pipeline
        self._before: dict[signal.Signals, Any] = {}
        self._count = 0
        self._interrupted = False
        pipeline.add_listener(self._repeat)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run that these signals stopped; DONE if there was no signal."""
        if self._interrupted:
            return ExitCode.INTERRUPTED
        return ExitCode.RESUMABLE if self._count else ExitCode.DONE

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count == 1:
            self._pipeline.request_stop()
            return
        if number == signal.SIGINT and self._count > 2:  # noqa: PLR2004 (the third time they mean it)
            with suppress(OSError):
                os.write(2, _EXITING)
            os._exit(ExitCode.INTERRUPTED)
        self._interrupted = self._interrupted or number == signal.SIGINT
        self._pipeline.request_stop(now=True)

    def _repeat(self, event: Event) -> None:
        # A run forgets stop requests from before its start, so they are repeated.
        if isinstance(event, RunStarted) and self._count:
            self._pipeline.request_stop(now=self._count > 1)
