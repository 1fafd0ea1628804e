"""The thread that shows the progress of a run. It gets views on a timer: its cost doesn't depend on the run's speed.

Invariant: a failure in this thread never reaches the run. A reporter that fails prints nothing more; one that waits
for a blocked screen is abandoned; the run continues.
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
from engine.cli.streams import can_show, is_screen, print_message, width, write_message
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine import RunView

_log = logging.getLogger(__name__)

_ERASE = "\r\x1b[K"
_POLL_SECONDS = 0.1
_JOIN_SECONDS = 2.0


class Style(Enum):
    """How progress is shown."""

    BAR = "bar"
    COUNTERS = "counters"
    WORDS = "words"
    """No progress, only sentences: resumed, warnings, stops."""

    @classmethod
    def for_stderr(cls) -> Style:
        """Return a bar for a screen, counters otherwise."""
        return cls.BAR if is_screen(sys.stderr) else cls.COUNTERS


class Reporter:
    """Shows on stderr what `get_view` returns, from the start of the block to its end."""

    def __init__(
        self,
        get_view: Callable[[], RunView],
        style: Style,
        *,
        counter_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._get_view = get_view
        self._style = style
        self._counter_seconds = counter_seconds
        self._clock = clock
        self._bar_style = _bar_style()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="reporter", daemon=True)
        self._warnings_shown = 0
        self._started = False
        self._stop_shown = (False, False)
        self._bar_drawn = False
        self._counted_at = 0.0
        self._quarantined_shown = 0
        self._quarantined_shown_at = -math.inf

    def __enter__(self) -> Self:
        self._warnings_shown = self._get_view().warning_count
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join(_JOIN_SECONDS)

    def _loop(self) -> None:
        try:
            while not self._done.wait(_POLL_SECONDS):
                self._show(self._get_view())
            self._show(self._get_view(), last=True)
        except Exception:  # noqa: BLE001 (a screen may raise anything; the run continues)
            _log.exception("the progress can't be shown any more; the run continues")

    def _show(self, view: RunView, *, last: bool = False) -> None:
        """Show what is new. Before the run has started, show nothing: it may still be refused."""
        if view.run_id is None:
            return
        if not self._started:
            self._started = True
            self._line(progress_line.beginning(view))
            self._counted_at = self._clock()
            self._quarantined_shown = view.rows_quarantined if view.latest_quarantined is None else 0
        for warning in view.warnings[len(view.warnings) - (view.warning_count - self._warnings_shown) :]:
            self._line(safe(warning))
        self._warnings_shown = view.warning_count
        stop = (view.stop_requested, view.stop_now)
        if stop != self._stop_shown:
            self._stop_shown = stop
            self._line(progress_line.stopping(view))
        self._show_quarantined(view)
        if self._style is Style.BAR:
            self._draw(view, last=last)
        elif self._style is Style.COUNTERS:
            self._count(view, last=last)

    def _show_quarantined(self, view: RunView) -> None:
        """Show that rows go to quarantine: at once, then not too often, because it may be in every batch."""
        now = self._clock()
        if (
            view.rows_quarantined > self._quarantined_shown
            and now - self._quarantined_shown_at >= self._counter_seconds
        ):
            self._quarantined_shown, self._quarantined_shown_at = view.rows_quarantined, now
            self._line(safe(progress_line.quarantined(view)))

    def _draw(self, view: RunView, *, last: bool) -> None:
        if last and view.batches_committed_in_run == 0:
            write_message(_ERASE)
            return
        write_message(_ERASE + progress_line.bar(view, width(sys.stderr), self._bar_style) + ("\n" if last else ""))
        self._bar_drawn = not last

    def _count(self, view: RunView, *, last: bool) -> None:
        now = self._clock()
        if now - self._counted_at >= self._counter_seconds or (last and view.batches_committed_in_run):
            self._counted_at = now
            print_message(progress_line.counters(view))

    def _line(self, text: str) -> None:
        if text:
            write_message(f"{_ERASE if self._bar_drawn else ''}{text}\n")
            self._bar_drawn = False


def _bar_style() -> progress_line.BarStyle:
    style = progress_line.UNICODE
    if not can_show(sys.stderr, style.done + style.to_do):
        style = progress_line.ASCII
    if os.environ.get("NO_COLOR"):
        return style
    return progress_line.BarStyle(style.done, style.to_do, progress_line.GREEN, progress_line.PLAIN)
