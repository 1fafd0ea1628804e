from dataclasses import replace

import pytest
import views

from engine.state import RunState
from tui.screens.dashboard.quarantine_rule import why_no_quarantine

FAILURE = views.flight_failure()


def failed_with(**changes):
    return replace(views.failed(), failures=(replace(FAILURE, **changes),))


def test_a_step_that_failed_at_rows_may_go_on_without_them():
    assert why_no_quarantine(views.failed()) == ""


def test_rows_that_the_source_cannot_read_may_be_taken_out_too():
    assert why_no_quarantine(failed_with(step=None, error_type="RowsUnreadable")) == ""


def test_too_many_rows_that_the_source_cannot_read_are_no_fault_of_a_step():
    full = failed_with(step="source", start_row=None, error_type="QuarantineFull")
    assert "Otherwise fix the source;" in why_no_quarantine(full)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": None}, "No step failed"),
        ({"start_row": None, "error_type": "SchemaDrift"}, "failed as a whole"),
        ({"start_row": None, "error_type": "QuarantineFull"}, "on_error=Quarantine(max_rows=…, max_fraction=…)"),
    ],
)
def test_other_failures_say_why_not(changes, words):
    assert words in why_no_quarantine(failed_with(**changes))


def test_a_full_quarantine_says_which_limit_it_was():
    message = "too many rows can't be processed: with batch 21 it would be at least 1,001 rows, where 1,000 may be"

    assert why_no_quarantine(failed_with(error_type="QuarantineFull", message=message)).startswith(message)


def test_a_step_that_wants_to_stop_is_named():
    assert "check_speed has on_error='stop'" in why_no_quarantine(views.failed(), {"check_speed"})


def test_results_that_a_sink_does_not_take_are_delivered_again_by_r():
    assert why_no_quarantine(views.sink_failed()).endswith("r delivers it again.")


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.FAILED])
def test_where_nothing_failed_there_is_nothing_to_take_out(state):
    assert why_no_quarantine(replace(views.failed(), state=state)).startswith("No batch has failed")
