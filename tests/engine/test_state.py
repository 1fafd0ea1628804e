from __future__ import annotations

import pytest

from engine.errors import IllegalTransition
from engine.state import TRANSITIONS, RunEvent, RunState, after

S, E = RunState, RunEvent

TABLE = {
    #               started    stop_requested  stopped      failed    finished    with quarantine rewound     reset
    S.IDLE:       (S.RUNNING,  None,           None,        None,     None,       None,         None,         S.IDLE),
    S.RESUMABLE:  (S.RUNNING,  None,           None,        None,     None,       None,         S.RESUMABLE,  S.IDLE),
    S.RUNNING:    (None,       S.STOPPING,     None,        S.FAILED, S.FINISHED, S.INCOMPLETE, None,         None),
    S.STOPPING:   (None,       S.STOPPING,     S.RESUMABLE, S.FAILED, S.FINISHED, S.INCOMPLETE, None,         None),
    S.FAILED:     (S.RUNNING,  None,           None,        None,     None,       None,         S.RESUMABLE,  S.IDLE),
    S.FINISHED:   (S.RUNNING,  None,           None,        None,     None,       None,         S.RESUMABLE,  S.IDLE),
    S.INCOMPLETE: (S.RUNNING,  None,           None,        None,     None,       None,         S.RESUMABLE,  S.IDLE),
}  # fmt: skip


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("event", E)
def test_each_cell_of_the_table(state, event):
    expected = TABLE[state][list(E).index(event)]
    if expected is None:
        with pytest.raises(IllegalTransition, match=f"a run that is {state} can't be"):
            after(state, event)
    else:
        assert after(state, event) is expected


def test_the_table_names_every_state_and_event():
    assert {state for state, _ in TRANSITIONS} == set(S)
    assert {event for _, event in TRANSITIONS} == set(E)


def test_nothing_is_moved_back_or_dropped_while_something_runs():
    for state in (S.RUNNING, S.STOPPING):
        assert (state, E.REWOUND) not in TRANSITIONS
        assert (state, E.RESET) not in TRANSITIONS


def test_every_state_can_be_left_towards_running():
    assert {state for state, event in TRANSITIONS if event is E.STARTED} == set(S) - {S.RUNNING, S.STOPPING}


def test_two_states_are_those_of_a_source_that_was_read_to_its_end():
    assert {state for state in S if state.is_finished} == {S.FINISHED, S.INCOMPLETE}
