from itertools import combinations, product

import pytest

from engine.state import RunState
from tui.actions import ACTIONS, Need, Scope, Situation, bindings, footer, in_palette, possible
from tui.app import BatchPipeApp
from tui.screens.dashboard import Dashboard

SITUATIONS = [
    Situation(state, working, committed, failure)
    for state, working, committed, failure in product([None, *RunState], *[[False, True]] * 3)
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_has_a_method_where_it_is_at_home(action):
    home = BatchPipeApp if action.scope is Scope.APP else Dashboard
    assert hasattr(home, f"action_{action.id}")


@pytest.mark.parametrize("situation", SITUATIONS, ids=repr)
def test_no_key_means_two_things_at_once(situation):
    possible_now = [action for action in ACTIONS if action.possible(situation)]
    assert not [
        (one.id, other.id) for one, other in combinations(possible_now, 2) if one.key == other.key
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


def test_what_is_not_in_the_registry_is_not_its_business():
    assert possible("focus_next", Situation())


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_footer_fits_and_keeps_quit(width):
    for situation in SITUATIONS:
        shown = footer(situation, width)
        assert sum(len(action.key_words) + len(action.words) + 3 for action in shown) <= max(width, 20)
        assert "leave" in [action.id for action in shown]


def test_bindings_cover_the_registry_once():
    keys = [(binding.key, binding.action) for scope in Scope for binding in bindings(scope)]
    assert keys.sort() == [(action.key, action.id) for action in ACTIONS].sort()


def test_palette_offers_what_is_possible():
    offered = {action.id for action in in_palette(Situation(RunState.RUNNING))}
    assert "stop" in offered
    assert not offered & {"run", "reset", "interrupt", "command_palette"}


def test_needs_are_all_answered():
    assert all(isinstance(Situation().has(need), bool) for need in Need)
