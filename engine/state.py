"""The states of a run, and the transitions between them. Views, events, the catalog and the screens use these words.

idle, resumable, failed, finished, incomplete, crashed ─▶ running
running ─▶ stopping, failed, finished, incomplete
stopping ─▶ resumable, failed, finished, incomplete

If a stop is requested when nothing is left to do, the run still ends as finished. A rewind and a reset are not
transitions: they start from a new view of the checkpoint.
"""

from __future__ import annotations

from enum import StrEnum

from engine.errors import IllegalTransition


class RunState(StrEnum):
    """What a run is doing or how it ended. It decides what a user can do next. The catalog stores these words."""

    IDLE = "idle"
    """No batch is committed."""
    RESUMABLE = "resumable"
    """The run was stopped before the end of the source, or its results were rewound."""
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"
    FINISHED = "finished"
    INCOMPLETE = "incomplete"
    """The source has been read to its end, and rows are in quarantine that no step could process."""
    CRASHED = "crashed"
    """Only in the history: the process of that run ended before it could record how. The pipeline is resumable."""

    @classmethod
    def at_end(cls, rows_quarantined: int) -> RunState:
        """Return the state after the end of the source."""
        return cls.INCOMPLETE if rows_quarantined else cls.FINISHED

    @property
    def is_live(self) -> bool:
        """True if a run is working on batches."""
        return self in {RunState.RUNNING, RunState.STOPPING}

    @property
    def is_finished(self) -> bool:
        """True if the source has been read to its end."""
        return self in {RunState.FINISHED, RunState.INCOMPLETE}

    @property
    def outcome(self) -> str:
        """The word for a past run in this state: a resumable run was "stopped"."""
        return "stopped" if self is RunState.RESUMABLE else self.value


_ENDS = frozenset({RunState.FAILED, RunState.FINISHED, RunState.INCOMPLETE})
_STARTS = frozenset({RunState.RUNNING})

TRANSITIONS = {
    RunState.IDLE: _STARTS,
    RunState.RESUMABLE: _STARTS,
    RunState.FAILED: _STARTS,
    RunState.FINISHED: _STARTS,
    RunState.INCOMPLETE: _STARTS,
    RunState.CRASHED: _STARTS,
    RunState.RUNNING: _ENDS | {RunState.STOPPING},
    RunState.STOPPING: _ENDS | {RunState.RESUMABLE},
}
"""The states that may follow each state."""


def transition(before: RunState, after: RunState) -> RunState:
    """Return `after`. Raises `IllegalTransition` unless it may follow `before`.

    >>> transition(RunState.RUNNING, RunState.FAILED).value
    'failed'
    """
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"a run that is {before} can't become {after}")
    return after
