from __future__ import annotations

import pytest

from engine.errors import IllegalTransition
from engine.state import TRANSITIONS, RunState, transition

S = RunState

TABLE = {
    S.IDLE: {S.RUNNING},
    S.RESUMABLE: {S.RUNNING},
    S.RUNNING: {S.STOPPING, S.FAILED, S.FINISHED, S.INCOMPLETE},
    S.STOPPING: {S.RESUMABLE, S.FAILED, S.FINISHED, S.INCOMPLETE},
    S.FAILED: {S.RUNNING},
    S.FINISHED: {S.RUNNING},
    S.INCOMPLETE: {S.RUNNING},
    S.CRASHED: {S.RUNNING},
}


@pytest.mark.parametrize("before", S)
@pytest.mark.parametrize("after", S)
def test_each_move_is_legal_or_refused(before, after):
    if after in TABLE[before]:
        assert transition(before, after) is after
    else:
        with pytest.raises(IllegalTransition, match=f"a run that is {before} can't become {after}"):
            transition(before, after)


def test_the_table_names_every_state():
    assert set(TRANSITIONS) == set(S)


def test_a_run_that_is_live_moves_on_and_never_back_to_the_start():
    assert not any(S.IDLE in moves for moves in TRANSITIONS.values())


def test_every_state_in_which_nothing_runs_can_be_left_towards_running():
    assert {state for state, moves in TRANSITIONS.items() if S.RUNNING in moves} == set(S) - {
        S.RUNNING,
        S.STOPPING,
    }


def test_two_states_are_those_of_a_run_that_works():
    assert {state for state in S if state.is_live} == {S.RUNNING, S.STOPPING}


def test_two_states_are_those_of_a_source_that_was_read_to_its_end():
    assert {state for state in S if state.is_finished} == {S.FINISHED, S.INCOMPLETE}
    assert (S.at_end(0), S.at_end(3)) == (S.FINISHED, S.INCOMPLETE)


def test_a_past_run_that_can_be_resumed_was_stopped():
    assert [state.outcome for state in S] == [
        "idle", "stopped", "running", "stopping", "failed", "finished", "incomplete", "crashed",
    ]  # fmt: skip
