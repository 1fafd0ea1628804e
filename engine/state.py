"""The life of a run as one table: (state, event) → state. An absent cell is an illegal transition.

idle ─ started ─▶ running ─ finished ─▶ finished
resumable ─ started ─▶ running ─ failed ─▶ failed ─ started ─▶ running
running ─ finished_with_quarantine ─▶ incomplete ─ started ─▶ running
running ─ stop_requested ─▶ stopping ─ stopped ─▶ resumable
a stop that comes when nothing is left to do still ends in finished
rewound leads back to resumable, reset to idle, from every state in which nothing is running
"""

from __future__ import annotations

from enum import StrEnum

from engine.errors import IllegalTransition


class RunState(StrEnum):
    """Where a pipeline stands; what a person may do depends on it."""

    IDLE = "idle"
    RESUMABLE = "resumable"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"
    FINISHED = "finished"
    INCOMPLETE = "incomplete"
    """Through with the source, and rows are in quarantine that no step could process."""

    @property
    def is_finished(self) -> bool:
        """Whether the source has been read to its end."""
        return self in {RunState.FINISHED, RunState.INCOMPLETE}


class RunEvent(StrEnum):
    """What can happen to a run."""

    STARTED = "started"
    STOP_REQUESTED = "stop_requested"
    STOPPED = "stopped"
    FAILED = "failed"
    FINISHED = "finished"
    FINISHED_WITH_QUARANTINE = "finished_with_quarantine"
    REWOUND = "rewound"
    RESET = "reset"


TRANSITIONS: dict[tuple[RunState, RunEvent], RunState] = {
    (RunState.IDLE, RunEvent.STARTED): RunState.RUNNING,
    (RunState.RESUMABLE, RunEvent.STARTED): RunState.RUNNING,
    (RunState.FAILED, RunEvent.STARTED): RunState.RUNNING,
    (RunState.FINISHED, RunEvent.STARTED): RunState.RUNNING,
    (RunState.INCOMPLETE, RunEvent.STARTED): RunState.RUNNING,
    (RunState.RUNNING, RunEvent.STOP_REQUESTED): RunState.STOPPING,
    (RunState.STOPPING, RunEvent.STOP_REQUESTED): RunState.STOPPING,
    (RunState.STOPPING, RunEvent.STOPPED): RunState.RESUMABLE,
    (RunState.RUNNING, RunEvent.FAILED): RunState.FAILED,
    (RunState.STOPPING, RunEvent.FAILED): RunState.FAILED,
    (RunState.RUNNING, RunEvent.FINISHED): RunState.FINISHED,
    (RunState.STOPPING, RunEvent.FINISHED): RunState.FINISHED,
    (RunState.RUNNING, RunEvent.FINISHED_WITH_QUARANTINE): RunState.INCOMPLETE,
    (RunState.STOPPING, RunEvent.FINISHED_WITH_QUARANTINE): RunState.INCOMPLETE,
    (RunState.IDLE, RunEvent.RESET): RunState.IDLE,
    (RunState.RESUMABLE, RunEvent.RESET): RunState.IDLE,
    (RunState.FAILED, RunEvent.RESET): RunState.IDLE,
    (RunState.FINISHED, RunEvent.RESET): RunState.IDLE,
    (RunState.INCOMPLETE, RunEvent.RESET): RunState.IDLE,
    (RunState.RESUMABLE, RunEvent.REWOUND): RunState.RESUMABLE,
    (RunState.FAILED, RunEvent.REWOUND): RunState.RESUMABLE,
    (RunState.FINISHED, RunEvent.REWOUND): RunState.RESUMABLE,
    (RunState.INCOMPLETE, RunEvent.REWOUND): RunState.RESUMABLE,
}


def after(state: RunState, event: RunEvent) -> RunState:
    """Return the state after `event`. Raises `IllegalTransition` where the table has no cell.

    >>> after(RunState.RUNNING, RunEvent.FAILED).value
    'failed'
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a run that is {state} can't be {event.replace('_', ' ')}") from None
