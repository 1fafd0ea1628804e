"""SIGINT, SIGTERM and SIGHUP while a pipeline runs: stop gracefully, then now, then at once.

The run itself is in another thread, so the main one, which Python gives the signals to, can always answer:
it never holds a lock that it would need here.
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

    from engine.events import Event
    from engine.pipeline import BatchPipeline

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GIVING_UP = b"\ninterrupted. Everything up to the frontier is safe: the same command goes on from there.\n"


class StopOnSignals:
    """Turns signals into stop requests for `pipeline` while the block runs; the handlers are restored after it.

    A signal that is ignored stays so (nohup, a shell's background jobs). Outside the main thread, where
    Python has no signals, nothing happens at all.
    """

    def __init__(self, pipeline: BatchPipeline) -> None:
        self._pipeline = pipeline
        self._before: dict[signal.Signals, Any] = {}
        self._count = 0
        self.interrupted = False
        """Whether it was a second SIGINT that gave up what was in flight."""
        pipeline.add_listener(self._repeat)

    @property
    def came(self) -> bool:
        """Whether there was any signal."""
        return self._count > 0

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
                os.write(2, _GIVING_UP)
            os._exit(ExitCode.INTERRUPTED)
        self.interrupted = self.interrupted or number == signal.SIGINT
        self._pipeline.request_stop(now=True)

    def _repeat(self, event: Event) -> None:
        # A run forgets what was asked before it began, so it is asked again.
        if isinstance(event, RunStarted) and self._count:
            self._pipeline.request_stop(now=self._count > 1)
