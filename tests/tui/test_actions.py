from itertools import combinations, product
from typing import get_args

import pytest

from engine.state import RunState
from tui.actions import ACTIONS, Need, Scope, Situation, bindings, footer_actions, in_palette, possible
from tui.app import BatchPipeApp
from tui.screens.dashboard.dashboard import Dashboard

SITUATIONS = [
    Situation(state, working, committed, failure, can_quarantine, quarantined)
    for state, working, committed, failure, can_quarantine, quarantined in product(
        [None, *RunState], *[[False, True]] * 5
    )
]
SITUATIONS += [Situation(state, working=True, quarantined=True, replaying=True) for state in RunState]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_has_a_method_where_it_is_at_home(action):
    home = BatchPipeApp if action.scope is Scope.APP else Dashboard
    assert hasattr(home, f"action_{action.id}")


def test_no_key_means_two_things_at_once():
    for situation in SITUATIONS:
        possible_now = [action for action in ACTIONS if action.possible(situation)]
        assert not [
            (situation, one.id, other.id) for one, other in combinations(possible_now, 2) if one.key == other.key
        ]  # fmt: skip


@pytest.mark.parametrize("state", RunState)
def test_a_run_can_be_begun_in_every_state_in_which_nothing_runs(state):
    begins = [action.id for action in ACTIONS if action.key == "r" and action.possible(Situation(state))]
    assert len(begins) == (0 if state in {RunState.RUNNING, RunState.STOPPING} else 1)


def test_nothing_destructive_is_possible_during_a_run_or_another_job():
    for situation in SITUATIONS:
        if situation.working or situation.state in {None, RunState.RUNNING, RunState.STOPPING}:
            assert not any(action.destructive and action.possible(situation) for action in ACTIONS)


def test_rewind_needs_something_committed():
    assert not possible("rewind", Situation(RunState.FAILED))
    assert possible("rewind", Situation(RunState.FAILED, committed=True))


def test_rows_can_be_taken_out_of_a_failed_batch_alone():
    for situation in SITUATIONS:
        is_failed = situation.state is RunState.FAILED and not situation.working
        assert possible("quarantine", situation) == (is_failed and situation.can_quarantine)
        assert possible("why_no_quarantine", situation) == (is_failed and not situation.can_quarantine)


def test_what_says_why_not_is_offered_nowhere():
    situation = Situation(RunState.FAILED, committed=True)
    assert "why_no_quarantine" not in {
        action.id for action in [*footer_actions(situation, 400), *in_palette(situation)]
    }


def test_replay_and_export_need_rows_in_quarantine():
    for state in RunState:
        rests = state not in {RunState.IDLE, RunState.RUNNING, RunState.STOPPING}
        for action in ("replay", "export_quarantine"):
            assert not possible(action, Situation(state))
            assert possible(action, Situation(state, quarantined=True)) == rests


def test_a_replay_can_be_stopped_and_nothing_else_be_begun():
    situation = Situation(RunState.INCOMPLETE, working=True, committed=True, quarantined=True, replaying=True)
    assert [action.id for action in ACTIONS if action.key in {"s", "S", "r", "k", "p", "w", "R"}
            and action.possible(situation)] == ["stop_replay"]  # fmt: skip


def test_what_is_not_in_the_registry_is_not_its_business():
    assert possible("focus_next", Situation())


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_footer_fits_and_keeps_quit(width):
    for situation in SITUATIONS:
        shown = footer_actions(situation, width)
        assert sum(len(action.key_words) + len(action.words) + 3 for action in shown) <= max(width, 20)
        assert "leave" in [action.id for action in shown]


def test_bindings_cover_the_registry_once():
    keys = [(binding.key, binding.action) for scope in Scope for binding in bindings(scope)]
    assert sorted(keys) == sorted((action.key, action.id) for action in ACTIONS)


def test_palette_offers_what_is_possible():
    offered = {action.id for action in in_palette(Situation(RunState.RUNNING))}
    assert "stop" in offered
    assert not offered & {"run", "reset", "interrupt", "command_palette"}


def test_every_need_is_a_fact_of_a_situation():
    assert all(isinstance(getattr(Situation(), need), bool) for need in get_args(Need))
