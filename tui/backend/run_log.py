"""The lines of the log pane: what happened, in words, without a line for each batch.

A listener of the engine: it is called from its threads, and is quick and bounded. It must not know the screen.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOBase
from typing import TYPE_CHECKING, Any

from engine import RunState
from engine.events import (
    AttemptFailed,
    BatchFailed,
    RowsQuarantined,
    RowsReplayed,
    RunEnded,
    RunStarted,
    StopWasRequested,
    Warned,
)
from engine.text.format import SOURCE, counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.events import Event

KEPT = 500
LONGEST_LINE = 10_000


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `text` may hold text from data and errors, which is not escaped yet."""

    at: datetime
    text: str


class LogStream(TextIOBase):
    """A text stream that hands what is written to `take`, as it comes; not always whole lines."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take

    def write(self, text: str) -> int:
        """Hand the text on."""
        self._take(text)
        return len(text)


class RunLog:
    """Collects lines until they are taken; of a flood only the newest 500 are kept, and the others are counted."""

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self._now = now or (lambda: datetime.now(UTC))
        self._lines: deque[LogLine] = deque(maxlen=KEPT)
        self._lost = 0
        self._unfinished = ""
        self._sinks: frozenset[str] = frozenset()
        # Reentrant: a signal handler may write while the screen takes, in the same thread.
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        """Add a line for an event that a person wants to know of."""
        if isinstance(event, RunStarted):
            self._sinks = frozenset(event.info.sinks)
        words = _WORDS.get(type(event))
        if isinstance(event, AttemptFailed):
            self.write(_attempt_failed(event, self._sinks))
        elif words is not None:
            self.write(words(event))

    def write(self, text: str) -> None:
        """Add a line; safe from any thread."""
        with self._lock:
            self._lost += len(self._lines) == KEPT
            self._lines.append(LogLine(self._now(), text))

    def printed(self, text: str) -> None:
        """Add what user code printed, line by line; an unfinished line is kept until its end comes."""
        with self._lock:
            *lines, rest = (self._unfinished + text).split("\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], ""
            self._unfinished = rest
            for line in lines[-KEPT:]:
                if line.strip():
                    self.write(line.rstrip())

    def take(self) -> list[LogLine]:
        """Return the lines since the last call, oldest first."""
        with self._lock:
            lines, lost = list(self._lines), self._lost
            self._lines.clear()
            self._lost = 0
        return [LogLine(lines[0].at, f"… {lost:,} lines left out"), *lines] if lost else lines


def _attempt_failed(event: AttemptFailed, sinks: frozenset[str]) -> str:
    what = "the fetch"
    if event.step is not None:
        what = f"{'sink' if event.step in sinks else 'step'} {event.step}"
    return (
        f"batch {event.batch_id:,}: {what} failed ({event.attempt}/{event.max_attempts}), "
        f"again in {event.wait_seconds:.1f} s: {event.error}"
    )


def _quarantined(event: RowsQuarantined) -> str:
    refused = "the source can't read" if event.step == SOURCE else f"{event.step} can't process"
    return f"batch {event.batch_id:,}: {counted(event.rows, 'row')} that {refused} taken out: {event.error}"


def _replayed(event: RowsReplayed) -> str:
    return f"batch {event.batch_id:,}: {counted(event.rows, 'row')} replayed, {event.still:,} still in quarantine"


_ENDS = {RunState.INCOMPLETE: "finished, with rows in quarantine"}
_WORDS: dict[type[Any], Callable[[Any], str]] = {
    RunStarted: lambda event: f"run {event.run_id} started at batch {event.next_batch_id:,} of {event.info.source}",
    BatchFailed: lambda event: f"batch {event.failure.batch_id:,} failed: {event.failure.message}",
    RowsQuarantined: _quarantined,
    RowsReplayed: _replayed,
    StopWasRequested: lambda event: "stop now was requested" if event.now else "stop was requested",
    RunEnded: lambda event: f"run {event.run_id} {_ENDS.get(event.state, event.state.outcome)}",
    Warned: lambda event: f"warning: {event.message}",
}
