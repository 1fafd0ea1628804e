"""One sentence on the state of the pipeline and what a person can do: the line under the status bar."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from engine import RunState
from engine.text.format import EN_DASH, SOURCE, counted
from tui.actions import key_of
from tui.backend.jobs import Job
from tui.screens.panes import PANE

if TYPE_CHECKING:
    from engine import RunView
    from tui.backend.jobs import ErrorReport


class Tone(StrEnum):
    """The tone of the sentence; its value is the CSS class."""

    QUIET = "-quiet"
    BUSY = "-busy"
    BAD = "-bad"
    GOOD = "-good"
    WARN = "-warn"


@dataclass(frozen=True, slots=True)
class StatusLine:
    """The sentence, its tone, and what to do next. Both texts may hold text from errors, which is not escaped yet."""

    tone: Tone
    words: str
    hint: str = ""


def status_line(view: RunView, working: Job | None = None, error: ErrorReport | None = None) -> StatusLine:
    """Return the sentence for this moment. `error` is the error of the last job.

    >>> from engine import RunView
    >>> status_line(RunView(state=RunState.IDLE)).words
    'nothing done yet; r runs it from the first batch'
    """
    if working is Job.REPLAY:
        return StatusLine(Tone.BUSY, f"{working}…", f"{key_of('stop_replay')} stops it after the current batch")
    if working is not None and not (working is Job.RUN and view.state.is_live):
        return StatusLine(Tone.BUSY, f"{working}…")
    if error is not None and error.differences:
        return StatusLine(
            Tone.BAD,
            f"the pipeline has changed since the last run: {'; '.join(error.differences)}",
            "the same key asks again",
        )
    if error is not None:
        return StatusLine(Tone.BAD, error.message, error.hint)
    return _BY_STATE[view.state](view)


def _idle(view: RunView) -> StatusLine:
    return StatusLine(Tone.QUIET, f"nothing done yet{_size(view)}; {key_of('run')} runs it from the first batch")


def _resumable(view: RunView) -> StatusLine:
    return StatusLine(Tone.QUIET, f"{_done(view)}; {_to_go(view)}{_quarantined(view)}")


def _running(view: RunView) -> StatusLine:
    before = view.batches_committed_before
    if not before:
        return StatusLine(Tone.QUIET, "from the first batch")
    return StatusLine(
        Tone.QUIET, f"continued at batch {before:,}; {counted(view.rows_committed_before, 'row')} were done before"
    )


def _stopping(view: RunView) -> StatusLine:
    flight = counted(view.batches_in_flight, "batch")
    if view.stop_now:
        return StatusLine(Tone.BUSY, f"giving up {flight} in flight; what is committed stays")
    return StatusLine(Tone.BUSY, f"{flight} in flight, then it stops", f"{key_of('stop_now')} gives them up")


def _failed(view: RunView) -> StatusLine:
    newest = view.failures[-1] if view.failures else None
    words = view.end_message or (newest.message if newest else "the last run failed")
    return StatusLine(Tone.BAD, words, newest.hint if newest else "")


def _finished(view: RunView) -> StatusLine:
    return StatusLine(
        Tone.GOOD, f"all {counted(view.rows_committed, 'row')} done in {counted(view.frontier + 1, 'batch')}"
    )


def _incomplete(view: RunView) -> StatusLine:
    number = view.rows_quarantined
    is_one = number == 1
    left = f"{number:,}, which {'is' if is_one else 'are'} in quarantine"
    words = f"all {counted(view.rows_committed, 'row')} done but {left}"
    them = "it" if is_one else "them"
    what = SOURCE if view.latest_quarantined and view.latest_quarantined.step == SOURCE else "step"
    return StatusLine(
        Tone.WARN,
        words,
        f"{PANE['quarantine'].digit} shows {them}; fix the {what}, then {key_of('replay')} replays",
    )


_BY_STATE = {
    RunState.IDLE: _idle,
    RunState.RESUMABLE: _resumable,
    RunState.RUNNING: _running,
    RunState.STOPPING: _stopping,
    RunState.FAILED: _failed,
    RunState.FINISHED: _finished,
    RunState.INCOMPLETE: _incomplete,
}


def _quarantined(view: RunView) -> str:
    return f"; {counted(view.rows_quarantined, 'row')} in quarantine" if view.rows_quarantined else ""


def _size(view: RunView) -> str:
    return "" if view.info.source_rows is None else f", {_rows(view, view.info.source_rows)} to go"


def _done(view: RunView) -> str:
    which = "batch 0" if view.frontier == 0 else f"batches 0{EN_DASH}{view.frontier:,}"
    return f"{which} done, {counted(view.rows_committed, 'row')}"


def _to_go(view: RunView) -> str:
    return "how many are left is not known" if view.rows_to_go is None else f"{_rows(view, view.rows_to_go)} to go"


def _rows(view: RunView, count: int) -> str:
    return f"{'' if view.info.source_rows_exact else 'about '}{counted(count, 'row')}"
