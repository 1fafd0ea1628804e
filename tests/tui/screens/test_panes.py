from dataclasses import replace

import pytest
import views

from tui import actions
from tui.actions import key_hints
from tui.screens.dashboard.dashboard import Dashboard
from tui.screens.dashboard.quarantine_rule import why_no_quarantine
from tui.screens.dashboard.status_line import status_line
from tui.screens.panes import PANES, tab_title, tabs


def test_every_pane_has_a_digit_and_an_id_of_its_own():
    assert len({pane.digit for pane in PANES}) == len({pane.id for pane in PANES}) == len(PANES)


def test_every_digit_goes_to_its_pane():
    bound = {binding.key: binding.action for binding in Dashboard.BINDINGS}
    assert {pane.digit: f"go('{pane.id}')" for pane in PANES}.items() <= bound.items()


def test_a_compact_dashboard_has_more_tabs_and_loses_none():
    assert set(tabs(compact=False)) < set(tabs(compact=True))


def test_the_tab_in_front_is_named_and_is_no_link():
    title = tab_title("log", compact=True, width=200)
    assert "[b]8 Log[/b]" in title
    assert "go('log')" not in title


@pytest.mark.parametrize(
    ("action_id", "text"),
    [
        ("run", lambda: status_line(views.idle()).words),
        ("stop_now", lambda: status_line(views.stopping()).hint),
        ("replay", lambda: status_line(views.incomplete()).hint),
        ("retry", lambda: why_no_quarantine(views.sink_failed())),
        ("copy", lambda: key_hints("copy", "retry")),
    ],
)
def test_a_key_that_is_changed_in_the_registry_changes_in_every_text(action_id, text, monkeypatch):
    monkeypatch.setitem(actions.ACTION, action_id, replace(actions.ACTION[action_id], key="f12"))
    assert "f12 " in text()
