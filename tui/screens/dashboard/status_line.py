"""One sentence on where the pipeline stands and what a person could do: the line under the status bar."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.state import RunState
from engine.text.format import EN_DASH, counted
from tui.backend.jobs import Job

if TYPE_CHECKING:
    from engine.progress import RunView
    from tui.backend.jobs import Trouble


class Tone(StrEnum):
    """How a sentence is meant; its value is the CSS class."""

    QUIET = "-quiet"
    BUSY = "-busy"
    BAD = "-bad"
    GOOD = "-good"
    WARN = "-warn"


@dataclass(frozen=True, slots=True)
class Standing:
    """The sentence, how it is meant, and what to do next. Text from errors is in both: not escaped yet."""

    tone: Tone
    words: str
    hint: str = ""


def standing(view: RunView, working: Job | None = None, trouble: Trouble | None = None) -> Standing:
    """Return where the pipeline stands. `trouble` is what the last job ended with.

    >>> from engine.progress import RunView
    >>> standing(RunView(state=RunState.IDLE)).words
    'nothing done yet; r runs it from the first batch'
    """
    if working is Job.REPLAY:
        return Standing(Tone.BUSY, f"{working}…", "s stops it after the batch that it is at")
    if working is not None and not (working is Job.RUN and view.state.is_live):
        return Standing(Tone.BUSY, f"{working}…")
    if trouble is not None and trouble.differences:
        return Standing(
            Tone.BAD,
            f"the pipeline has changed since the last run: {'; '.join(trouble.differences)}",
            "the same key asks again",
        )
    if trouble is not None:
        return Standing(Tone.BAD, trouble.message, trouble.hint)
    return _BY_STATE[view.state](view)


def _idle(view: RunView) -> Standing:
    return Standing(Tone.QUIET, f"nothing done yet{_size(view)}; r runs it from the first batch")


def _resumable(view: RunView) -> Standing:
    return Standing(Tone.QUIET, f"{_done(view)}; {_to_go(view)}{_quarantined(view)}")


def _running(view: RunView) -> Standing:
    before = view.batches_committed_before
    if not before:
        return Standing(Tone.QUIET, "from the first batch")
    return Standing(
        Tone.QUIET, f"went on at batch {before:,}; {counted(view.rows_committed_before, 'row')} were done before"
    )


def _stopping(view: RunView) -> Standing:
    flight = _batches(view.batches_in_flight)
    if view.stop_now:
        return Standing(Tone.BUSY, f"giving up {flight} in flight; what is committed stays")
    return Standing(Tone.BUSY, f"{flight} in flight, then it stops", "S gives them up")


def _failed(view: RunView) -> Standing:
    newest = view.failures[-1] if view.failures else None
    words = view.end_message or (newest.message if newest else "the last run failed")
    return Standing(Tone.BAD, words, newest.hint if newest else "")


def _finished(view: RunView) -> Standing:
    return Standing(Tone.GOOD, f"all {counted(view.rows_committed, 'row')} done in {_batches(view.frontier + 1)}")


def _incomplete(view: RunView) -> Standing:
    number = view.rows_quarantined
    is_one = number == 1
    left = f"{number:,}, which {'is' if is_one else 'are'} in quarantine"
    words = f"all {counted(view.rows_committed, 'row')} done but {left}"
    return Standing(Tone.WARN, words, f"6 shows {'it' if is_one else 'them'}; mend the step, then p replays")


_BY_STATE = {
    RunState.IDLE: _idle,
    RunState.RESUMABLE: _resumable,
    RunState.RUNNING: _running,
    RunState.STOPPING: _stopping,
    RunState.FAILED: _failed,
    RunState.FINISHED: _finished,
    RunState.INCOMPLETE: _incomplete,
}


def _batches(count: int) -> str:
    return counted(count, "batch")


def _quarantined(view: RunView) -> str:
    return f"; {counted(view.rows_quarantined, 'row')} in quarantine" if view.rows_quarantined else ""


def _size(view: RunView) -> str:
    if view.source_rows is None:
        return ""
    return f", {'' if view.source_rows_exact else 'about '}{view.source_rows:,} rows to go"


def _done(view: RunView) -> str:
    which = "batch 0" if view.frontier == 0 else f"batches 0{EN_DASH}{view.frontier:,}"
    return f"{which} done, {view.rows_committed:,} rows"


def _to_go(view: RunView) -> str:
    if view.rows_to_go is None:
        return "how many are to go isn't known"
    return f"{'' if view.source_rows_exact else 'about '}{view.rows_to_go:,} rows to go"
