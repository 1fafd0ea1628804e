"""One line on top: which pipeline, in which state, how far, how long still.

`status_line` is the whole of it, a pure function. What matters least goes first when the terminal is narrow: state,
frontier and percent stay to the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len

from engine import RunState
from engine.text.format import NONE, ago, clock, compact, count, eta, percent
from engine.text.terminal_safe import safe
from tui.widgets.drawing.line import NO_LINE, Line, cut_middle, cut_text, join_lines, line_width, spread_line
from tui.widgets.drawing.pane import Pane
from tui.widgets.drawing.styles import RUN_STYLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engine.progress import RunView
    from tui.look.glyphs import Glyphs

_GAPS = ("   ", "  ")
"""Between parts: the narrower one before anything is left out."""
_NAMES_LEAST = 20
_NAME_MOST = 40
_OPTIONAL = ("origin", "folder", "quarantine word", "run", "elapsed", "names", "warnings", "eta", "failures")
"""What may be left out, in this order."""


class StatusBar(Pane[tuple["RunView", "datetime | None"]], can_focus=False):
    """The line on top. It has no border, and can't be focused: there is nothing to do in it."""

    now: datetime | None = None
    """The time as the next `show` finds it; it only decides how long ago a run ended."""

    DEFAULT_CSS: ClassVar[str] = """
    StatusBar {
        height: 1;
        border: none !important;
        overflow-y: hidden;
    }
    """

    def show(self, view: RunView) -> None:
        """Show the run as it is."""
        self.accept((view, self.now))

    def draw(self, shown: tuple[RunView, datetime | None], width: int, height: int) -> list[Line]:  # noqa: ARG002 - one line
        """Return the one line."""
        view, now = shown
        return [status_line(view, now, width, self.glyphs)]


def status_line(view: RunView, now: datetime | None, width: int, glyphs: Glyphs) -> Line:
    """Return the line for `width` cells."""
    for left_off in range(len(_OPTIONAL) + 1):
        for gap in _GAPS:
            left, right = _sides(view, now, glyphs, _OPTIONAL[:left_off], gap)
            names = _names(view, glyphs, _OPTIONAL[:left_off])
            room = width - line_width(left) - line_width(right) - len(gap) - (len(gap) if names else 0)
            may_be_cut = gap is _GAPS[-1] and room >= _NAMES_LEAST
            if room >= cell_len(names) or (names and may_be_cut):
                shown: Line = ((cut_middle(names, room, glyphs.ellipsis), "strong"),) if names else NO_LINE
                return spread_line(join_lines([shown, left], (gap, "")), right, width)
    return spread_line(left, right, width)


def _sides(view: RunView, now: datetime | None, glyphs: Glyphs, left_off: Sequence[str], gap: str) -> tuple[Line, Line]:
    """Return what stands on the left, without the names, and on the right."""
    words = view.state.upper() + (" NOW" if view.state is RunState.STOPPING and view.stop_now else "")
    pill: Line = ((f"{glyphs.runs[view.state]} {words}", f"{RUN_STYLES[view.state]} strong"),)
    run: Line = NO_LINE
    if view.run_id is not None and "run" not in left_off:
        resumed = view.batches_committed_before and "origin" not in left_off
        origin = f" (resumed at batch {view.batches_committed_before:,})" if resumed else ""
        run = ((f"run {view.run_id}", ""), (origin, "muted"))
    share = percent(view.fraction) if view.fraction is not None else f"{compact(view.rows_committed)} rows"
    elapsed = "" if view.run_id is None or "elapsed" in left_off else clock(view.elapsed_seconds)
    right = [
        (("batch ", "muted"), (count(view.frontier) if view.frontier >= 0 else NONE, "")),
        ((elapsed, ""),) if elapsed else NO_LINE,
        NO_LINE if "eta" in left_off else _when(view, now),
        ((share, "strong"),),
        NO_LINE if "failures" in left_off else _failures(view, glyphs),
        _quarantined(view, glyphs, word="quarantine word" not in left_off),
        NO_LINE if "warnings" in left_off else _warnings(view, glyphs),
    ]
    return join_lines([pill, run], (gap, "")), join_lines(right, (gap, ""))


def _names(view: RunView, glyphs: Glyphs, left_off: Sequence[str]) -> str:
    if "names" in left_off:
        return ""
    pipeline = cut_text(safe(view.info.pipeline, 200), _NAME_MOST, glyphs.ellipsis)
    if "folder" in left_off or not view.info.checkpoint_dir:
        return pipeline
    return f"{pipeline} {glyphs.arrow} {safe(view.info.checkpoint_dir)}"


def _when(view: RunView, now: datetime | None) -> Line:
    """Return the time to go, or how long ago it ended."""
    if view.state is RunState.RUNNING and view.info.source_rows is not None:
        return (("eta ", "muted"), (eta(view.eta_seconds), ""))
    if not view.state.is_live and view.ended_at is not None and now is not None:
        return ((f"ended {ago(view.ended_at, now)}", "muted"),)
    return NO_LINE


def _failures(view: RunView, glyphs: Glyphs) -> Line:
    """Return this run's failures; of all runs when a failed pipeline was opened and nothing has run since."""
    number = view.failure_count
    if view.state is RunState.FAILED and not number:
        number = view.failure_count_all_runs
    return ((f"{glyphs.failed} {number:,}", "bad"),) if number else NO_LINE


def _quarantined(view: RunView, glyphs: Glyphs, *, word: bool) -> Line:
    words = f"{glyphs.quarantine} {view.rows_quarantined:,}{' quarantined' if word else ''}"
    return ((words, "warn strong"),) if view.rows_quarantined else NO_LINE


def _warnings(view: RunView, glyphs: Glyphs) -> Line:
    return ((f"{glyphs.warning} {view.warning_count:,}", "warn"),) if view.warning_count else NO_LINE
