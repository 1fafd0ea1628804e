from __future__ import annotations

import pytest

from engine.checkpoint.parts.manifest import Manifest
from engine.errors import FetchFailed, PipelineChanged, SourceChanged, SourceContractBroken
from engine.runs.fingerprint import description
from engine.runs.resume_rules import ResumePoint, refuse_changes, resume_point
from engine.sources.base import Position
from engine.testing import FailingStep, NumberSource, SeekableNumbers, numbers


def committed(batch_id, start_row, end_row, cursor=None):
    return Manifest(batch_id, start_row, end_row, end_row - start_row + 1, 1, 0, "t", cursor=cursor)


def described(*names, batch_size=10, source=None):
    return description([FailingStep(name, {}) for name in names], source or NumberSource(100), batch_size)


def refuse(recorded, current, *, seekable=False, accept=False, started=True):
    return refuse_changes(recorded, current, seekable=seekable, accept=accept, started=started)


# --- what has changed -----------------------------------------------------------------------------------


def test_a_first_run_is_new():
    assert refuse(None, described("a")) is True


def test_the_same_pipeline_is_not():
    assert refuse(described("a"), described("a")) is False


def test_other_steps_are_refused_with_what_is_different():
    with pytest.raises(PipelineChanged, match="step 'b' is new") as caught:
        refuse(described("a"), described("a", "b"))
    assert caught.value.differences == ("step 'b' is new",)
    assert "rewind" in caught.value.hint


def test_other_steps_go_on_when_the_caller_accepts_them():
    assert refuse(described("a"), described("a", "b"), accept=True) is True


def test_other_steps_are_fine_while_nothing_is_committed():
    assert refuse(described("a"), described("b"), started=False) is True
    assert refuse(described("a"), described("a"), started=False) is False


def test_another_batch_size_is_fine_for_a_seekable_source():
    assert refuse(described("a"), described("a", batch_size=7), seekable=True) is True


def test_another_batch_size_is_refused_for_a_plain_callable_with_the_recorded_one():
    with pytest.raises(PipelineChanged, match="the batch size is 7, was 10") as caught:
        refuse(described("a"), described("a", batch_size=7))
    assert "batch_size=10" in caught.value.hint


def test_accepting_changes_does_not_make_another_batch_size_right():
    with pytest.raises(PipelineChanged):
        refuse(described("a"), described("a", batch_size=7), accept=True)


def test_another_batch_size_is_fine_while_nothing_is_committed():
    assert refuse(described("a"), described("a", batch_size=7), started=False) is True


# --- where to go on -------------------------------------------------------------------------------------


def test_without_a_checkpoint_a_run_starts_at_the_start():
    assert resume_point(NumberSource(30), 10, None) == ResumePoint(Position(0, 0, None))


def test_a_seekable_source_goes_on_from_its_cursor():
    source = SeekableNumbers(30)
    point = resume_point(source, 10, committed(1, 10, 14, {"next_row": 15}))
    assert point == ResumePoint(Position(2, 15, {"next_row": 15}))
    assert source.calls == []


def test_a_plain_callable_goes_on_behind_a_full_batch():
    assert resume_point(NumberSource(30), 10, committed(1, 10, 19)) == ResumePoint(Position(2, 20))


def test_a_short_last_batch_that_is_still_the_same_stays():
    assert resume_point(NumberSource(25), 10, committed(2, 20, 24)) == ResumePoint(Position(3, 25))


def test_a_short_last_batch_that_has_grown_is_done_again():
    point = resume_point(NumberSource(28), 10, committed(2, 20, 24))
    assert point == ResumePoint(Position(2, 20), replaces_last=True)


@pytest.mark.parametrize(("rows", "found"), [(23, "3 from row 20 on"), (20, "none"), (0, "none")])
def test_a_short_last_batch_that_has_shrunk_is_refused(rows, found):
    message = f"batch 2 was committed with 5 rows from row 20 on, and the source now gives {found}"
    with pytest.raises(SourceChanged, match=message):
        resume_point(NumberSource(rows), 10, committed(2, 20, 24))


@pytest.mark.parametrize("rows", [19, 10, 0])
def test_a_full_last_batch_that_is_no_longer_there_is_refused(rows):
    with pytest.raises(SourceChanged):
        resume_point(NumberSource(rows), 10, committed(1, 10, 19))


def test_an_empty_last_batch_may_be_followed_by_the_end():
    assert resume_point(NumberSource(20), 10, committed(2, 20, 19)) == ResumePoint(Position(3, 20))


def test_a_last_batch_that_comes_back_with_other_rows_is_refused():
    def fetch(batch_id, batch_size):
        return NumberSource(100)(1, 9)  # rows 9 to 17, as batch 1

    with pytest.raises(SourceChanged):
        resume_point(fetch, 10, committed(1, 10, 14))


@pytest.mark.parametrize("answer", ["batch 1", numbers(10, 50), 5])
def test_a_last_batch_that_comes_back_as_something_else_is_refused(answer):
    with pytest.raises(SourceContractBroken):
        resume_point(lambda batch_id, batch_size: answer, 10, committed(1, 10, 14))


def test_a_source_that_fails_when_it_is_looked_at_again_says_so():
    with pytest.raises(FetchFailed, match="fetching batch 1 failed: ConnectionError: gone") as caught:
        resume_point(NumberSource(30, errors={1: [ConnectionError("gone")]}), 10, committed(1, 10, 14))
    assert isinstance(caught.value.__cause__, ConnectionError)


class Continued(SeekableNumbers):
    """Says that a row, which was read before it was complete, has been continued."""

    def __init__(self, row):
        super().__init__(30)
        self.row = row

    def continued_from(self, cursor):
        return self.row


def test_the_last_batch_is_done_again_if_a_row_of_it_was_continued():
    before = committed(0, 0, 9, {"next_row": 10})
    last = committed(1, 10, 14, {"next_row": 15})
    again = ResumePoint(Position(1, 10, {"next_row": 10}), replaces_last=True)
    assert resume_point(Continued(14), 10, last, before=before) == again
    assert resume_point(Continued(4), 10, committed(0, 0, 4, {"next_row": 5})) == ResumePoint(Position(), True)


def test_a_row_that_was_continued_before_the_last_batch_is_refused_with_the_way_out():
    with pytest.raises(SourceChanged, match="rows from 9 on were read before they were complete") as caught:
        resume_point(Continued(9), 10, committed(1, 10, 14, {"next_row": 15}), before=committed(0, 0, 9))
    assert "Rewind" in caught.value.hint
