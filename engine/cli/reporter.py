"""The thread that shows how far a run is. It pulls views on a timer, so its cost doesn't depend on the run's pace.

Invariant: whatever goes wrong in here stays in here. A reporter that fails falls silent, one whose screen is
blocked is left behind, and the run goes on.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING, Self

from engine.cli import progress_line
from engine.cli.streams import columns, is_screen, shows, talk
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.progress import RunView

_log = logging.getLogger(__name__)

_ERASE = "\r\x1b[K"
_LOOK_SECONDS = 0.1
_JOIN_SECONDS = 2.0


class Style(Enum):
    """How progress is shown."""

    BAR = "bar"
    COUNTERS = "counters"
    WORDS = "words"
    """No progress at all, only what a person must know."""

    @classmethod
    def for_stderr(cls) -> Style:
        """Return a bar for a screen, counters otherwise."""
        return cls.BAR if is_screen(sys.stderr) else cls.COUNTERS


class Reporter:
    """Tells on stderr what `look` shows, from entering the block to its end."""

    def __init__(
        self,
        look: Callable[[], RunView],
        style: Style,
        *,
        counter_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._style = style
        self._counter_seconds = counter_seconds
        self._clock = clock
        self._bar_look = _bar_look()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="reporter", daemon=True)
        self._warnings_told = 0
        self._begun = False
        self._stop_told = (False, False)
        self._bar_drawn = False
        self._counted_at = 0.0
        self._quarantined_told = 0
        self._quarantined_told_at = -math.inf

    def __enter__(self) -> Self:
        self._warnings_told = self._look().warning_count
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join(_JOIN_SECONDS)

    def _loop(self) -> None:
        try:
            while not self._done.wait(_LOOK_SECONDS):
                self._tell(self._look())
            self._tell(self._look(), last=True)
        except Exception:  # noqa: BLE001 (whatever a screen does, the run goes on)
            _log.exception("progress can't be shown any more; the run goes on")

    def _tell(self, view: RunView, *, last: bool = False) -> None:
        """Say what is new. Nothing before the run has begun: it may as well be refused."""
        if view.run_id is None:
            return
        if not self._begun:
            self._begun = True
            self._line(progress_line.beginning(view))
            self._counted_at = self._clock()
            self._quarantined_told = view.rows_quarantined if view.latest_quarantined is None else 0
        for warning in view.warnings[len(view.warnings) - (view.warning_count - self._warnings_told) :]:
            self._line(safe(warning))
        self._warnings_told = view.warning_count
        stop = (view.stop_requested, view.stop_now)
        if stop != self._stop_told:
            self._stop_told = stop
            self._line(progress_line.stopping(view))
        self._tell_quarantined(view)
        if self._style is Style.BAR:
            self._draw(view, last=last)
        elif self._style is Style.COUNTERS:
            self._count(view, last=last)

    def _tell_quarantined(self, view: RunView) -> None:
        """Say that rows are taken out, at once and then now and again: it may be every batch."""
        now = self._clock()
        if view.rows_quarantined > self._quarantined_told and now - self._quarantined_told_at >= self._counter_seconds:
            self._quarantined_told, self._quarantined_told_at = view.rows_quarantined, now
            self._line(safe(progress_line.quarantined(view)))

    def _draw(self, view: RunView, *, last: bool) -> None:
        if last and view.batches_committed_in_run == 0:
            talk(_ERASE)
            return
        talk(_ERASE + progress_line.bar(view, columns(sys.stderr), self._bar_look) + ("\n" if last else ""))
        self._bar_drawn = not last

    def _count(self, view: RunView, *, last: bool) -> None:
        now = self._clock()
        if now - self._counted_at >= self._counter_seconds or (last and view.batches_committed_in_run):
            self._counted_at = now
            talk(progress_line.counters(view) + "\n")

    def _line(self, text: str) -> None:
        if text:
            talk(f"{_ERASE if self._bar_drawn else ''}{text}\n")
            self._bar_drawn = False


def _bar_look() -> progress_line.Look:
    look = progress_line.UNICODE
    if not shows(sys.stderr, look.done + look.to_do):
        look = progress_line.ASCII
    if os.environ.get("NO_COLOR"):
        return look
    return progress_line.Look(look.done, look.to_do, progress_line.GREEN, progress_line.PLAIN)
