"""Rows that the source can't read: they stop the run by name, or go into quarantine beside those that steps refuse."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from line_source import LineSource, lines

from engine import Batch, BatchPipeline, FilterBatchStep, Quarantine, RunState, SourceRow
from engine.errors import QuarantineFull, RowsUnreadable, SourceContractBroken
from engine.events import BatchFailed, RowsQuarantined
from engine.steps.base import BatchStep
from engine.testing import EventLog, InlineExecutor, PickyStep, RunningTotal, numbers

pytestmark = pytest.mark.integration

UNLIMITED = Quarantine(max_rows=None, max_fraction=None)
WAYS = ("in order", "concurrent")


@pytest.fixture
def log():
    return EventLog()


@pytest.fixture
def pipeline(tmp_path, log):
    def build(*steps, bad=(), rows=50, way="in order", **options):
        fixed = {"batch_size": 10, "checkpoint_dir": tmp_path / "ck", "listeners": [log], "workers": 2}
        source = options.pop("source", None) or LineSource(lines(rows, bad), way=way)
        return BatchPipeline(steps, source, **(fixed | {"on_error": UNLIMITED} | options))

    return build


def where(one):
    """Source row, batch and step of each row in quarantine."""
    return [(row.source_row, row.batch_id, row.step) for row in one.quarantine.rows()]


def ids(one):
    return one.collect_results()["id"].to_list()


def without(rows, *bad):
    return [number for number in range(rows) if number not in bad]


class WholeBatches(BatchStep):
    row_wise = False

    def __init__(self, name, bad=()):
        super().__init__(name)
        self.bad = set(bad)

    def process(self, batch):
        if self.bad & set(batch.data["id"]):
            raise ValueError("a bad batch")
        return batch


# --- stop -----------------------------------------------------------------------------------------------


def test_by_default_the_run_stops_before_the_batch_and_names_the_first_rows(pipeline, log):
    run = pipeline(bad={23, 24, 25, 26, 28}, on_error="stop")
    with pytest.raises(RowsUnreadable) as caught:
        run.run()
    assert str(caught.value) == (
        "5 rows of batch 2 can't be read: numbers.txt, line 24: it is no number: x23; "
        "numbers.txt, line 25: it is no number: x24; numbers.txt, line 26: it is no number: x25; and 2 more"
    )
    assert caught.value.hint.startswith("Use digits. ")
    assert "on_error='quarantine'" in caught.value.hint
    assert ids(run) == list(range(20))
    (event,) = log.of(BatchFailed)
    assert event.failure == run.failures()[0]
    failure = event.failure
    assert (failure.batch_id, failure.start_row, failure.end_row, failure.step) == (2, 20, 29, None)
    assert (failure.error_type, failure.row_numbers) == ("RowsUnreadable", (23, 24, 25, 26, 28))
    assert failure.examples[1][0] == ("numbers.txt, line 24", "x23", "it is no number")


def test_the_source_is_not_tried_again_for_rows_that_it_cannot_read(pipeline):
    from engine import RetryPolicy

    class Counted(LineSource):
        calls = 0

        def __call__(self, batch_id, batch_size):
            type(self).calls += 1
            return super().__call__(batch_id, batch_size)

    retry = RetryPolicy(is_transient=lambda error: True, max_attempts=5, base_seconds=0)
    with pytest.raises(RowsUnreadable):
        pipeline(source=Counted(lines(10, {3})), retry=retry, on_error="stop", workers=1).run()
    assert Counted.calls <= 2  # batch 0, and perhaps the end of the source


def test_the_text_of_a_row_is_cut_and_harmless(pipeline):
    source = LineSource(["1", "\x1b[31m[bold]" + "x" * 500])
    with pytest.raises(RowsUnreadable) as caught:
        pipeline(source=source, on_error="stop").run()
    assert "␛[31m[bold]xxx" in str(caught.value)
    assert str(caught.value).endswith("x…")
    assert len(str(caught.value)) < 250


def test_the_on_error_of_a_step_says_nothing_about_the_source(pipeline):
    step = PickyStep("a", {15})
    step.on_error = "quarantine"
    with pytest.raises(RowsUnreadable):
        pipeline(step, bad={23}, on_error="stop").run()


# --- quarantine -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_the_good_rows_are_committed_and_the_others_kept_with_their_place(pipeline, log, way):
    run = pipeline(PickyStep("a"), bad={3, 27, 28}, way=way)
    run.run()
    assert ids(run) == without(50, 3, 27, 28)
    assert where(run) == [(3, 0, "source"), (27, 2, "source"), (28, 2, "source")]
    (first, *_) = run.quarantine.rows()
    assert (first.error, first.input, first.obstacle) == ("it is no number", "x3", "")
    assert first.origin == SourceRow(3, "x3", "it is no number", "numbers.txt", 4, 21, "Use digits.")
    assert sorted((event.batch_id, event.step, event.rows) for event in log.of(RowsQuarantined)) == [
        (0, "source", 1),
        (2, "source", 2),
    ]
    assert run.view().state is RunState.INCOMPLETE
    assert run.view().rows_quarantined == 3


def test_a_pipeline_without_steps_quarantines_too(pipeline):
    run = pipeline(bad={0, 9, 49})
    run.run()
    assert ids(run) == without(50, 0, 9, 49)
    assert where(run) == [(0, 0, "source"), (9, 0, "source"), (49, 4, "source")]


def test_rows_of_the_source_and_of_steps_in_one_batch(pipeline):
    run = pipeline(PickyStep("a", {4, 6}), PickyStep("b", {8}), bad={3, 5, 7})
    run.run()
    assert where(run) == [
        (3, 0, "source"), (4, 0, "a"), (5, 0, "source"), (6, 0, "a"), (7, 0, "source"), (8, 0, "b"),
    ]  # fmt: skip
    assert ids(run) == without(50, 3, 4, 5, 6, 7, 8)


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_whose_rows_are_all_unreadable(pipeline, way):
    for bad in (range(10), range(20, 30), range(40, 50), range(50)):
        run = pipeline(PickyStep("a"), bad=bad, way=way)
        run.run(resume=False)
        assert ids(run) == without(50, *bad)
        assert run.quarantine.row_count() == len(bad)


def test_a_whole_batch_that_a_step_refuses_beside_rows_of_the_source(pipeline):
    run = pipeline(WholeBatches("w", {15}), bad={12, 33})
    run.run()
    assert ids(run) == without(50, *range(10, 20), 33)
    assert where(run) == [
        (10, 1, "w"), (11, 1, "w"), (12, 1, "source"), *((n, 1, "w") for n in range(13, 20)), (33, 3, "source"),
    ]  # fmt: skip
    assert {row.obstacle for row in run.quarantine.rows() if row.step == "source"} == {
        "step 'w' works on whole batches"
    }


def test_a_step_with_a_memory_sees_the_good_rows_only(pipeline):
    run = pipeline(RunningTotal("sum"), bad={3, 15})
    run.run()
    assert run.collect_results()["total"].to_list() == pl.Series(without(50, 3, 15)).cum_sum().to_list()
    assert {row.obstacle for row in run.quarantine.rows()} == {"step 'sum' has a memory of the batches before"}


def test_too_many_rows_name_the_source(pipeline):
    run = pipeline(bad={3, 15, 16}, on_error=Quarantine(max_rows=2, max_fraction=None))
    with pytest.raises(
        QuarantineFull,
        match=r"with batch 1 it would be 3 rows, where 2 may be .*; the source: numbers.txt, line 16: it is",
    ):
        run.run()
    assert ids(run) == without(10, 3)
    run = pipeline(bad={3, 4, 5}, on_error=Quarantine(max_rows=2, max_fraction=None))
    with pytest.raises(QuarantineFull, match=r"the source: numbers\.txt, line 4: it is no number"):
        run.run(resume=False)


def test_rows_of_the_source_and_of_steps_count_together(pipeline):
    run = pipeline(PickyStep("a", {5, 6}), bad={3, 4}, on_error=Quarantine(max_rows=3, max_fraction=None))
    with pytest.raises(QuarantineFull):
        run.run()
    assert run.get_frontier().last_completed_batch_id == -1


def test_a_run_may_be_told_otherwise_than_its_pipeline(pipeline):
    run = pipeline(bad={3}, on_error="stop")
    run.run(on_error=UNLIMITED)
    assert where(run) == [(3, 0, "source")]


def test_a_plain_function_may_name_rows_as_well(pipeline):
    def source(batch_id, size):
        unreadable = (SourceRow(1, "?", "why"),)
        return Batch(0, 0, 2, pl.DataFrame({"id": [0, 2]}), unreadable=unreadable) if batch_id == 0 else None

    run = pipeline(source=source)
    run.run()
    assert (ids(run), where(run)) == ([0, 2], [(1, 0, "source")])


@pytest.mark.parametrize(
    ("unreadable", "problem"),
    [
        ((SourceRow(5, "?", "why"),), "aren't those of this batch"),
        ((SourceRow(1, "?", "why"), SourceRow(1, "?", "why")), "aren't ascending"),
        ((SourceRow(2, "?", "why"), SourceRow(1, "?", "why")), "aren't ascending"),
        ([SourceRow(1, "?", "why")], "tuple of SourceRow"),
        (("row 1",), "tuple of SourceRow"),
        ((), "are 3, but holds 2"),
    ],
)
def test_unreadable_rows_that_do_not_fit_their_batch_break_the_contract(pipeline, unreadable, problem):
    def source(batch_id, size):
        return Batch(0, 0, 2, numbers(0, 2), unreadable=unreadable) if batch_id == 0 else None

    with pytest.raises(SourceContractBroken, match=problem):
        pipeline(source=source).run()


def test_a_batch_that_is_computed_again_has_the_same_rows_in_quarantine(pipeline):
    run = pipeline(PickyStep("a", {25}), bad={3, 27})
    run.run()
    run.recompute(2)
    assert ids(run) == without(50, 3, 25, 27)
    assert where(run) == [(3, 0, "source"), (25, 2, "a"), (27, 2, "source")]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 60).flatmap(
        lambda rows: st.tuples(
            st.just(rows),
            st.integers(1, 25),
            st.sets(st.integers(0, rows - 1), max_size=12),
            st.sets(st.integers(0, rows - 1), max_size=6),
        )
    )
)
def test_whatever_rows_are_refused_the_results_are_those_of_a_run_without_them(tmp_path_factory, case):
    rows, size, unreadable, refused = case
    steps = [
        FilterBatchStep("odd", pl.col("id") % 3 != 0),
        PickyStep("a", refused),
        FilterBatchStep("some", pl.col("next") % 4 != 0),
    ]
    run = BatchPipeline(
        steps,
        LineSource(lines(rows, unreadable)),
        size,
        tmp_path_factory.mktemp("run"),
        executor=InlineExecutor(),
        on_error=UNLIMITED,
    )
    run.run()
    bad = unreadable | refused
    assert ids(run) == [n for n in range(rows) if n not in bad and n % 3 and (n + 1) % 4]
    named = {(row.source_row, row.step) for row in run.quarantine.rows()}
    assert named == {(n, "source") for n in unreadable} | {(n, "a") for n in refused - unreadable if n % 3}


def test_numbers_of_rows_that_a_check_names_are_right_after_an_unreadable_row(pipeline):
    from engine import CheckBatchStep
    from engine.errors import StepFailed

    check = CheckBatchStep("small", pl.col("id") != 27)
    check.on_error = "stop"
    run = pipeline(check, bad={21, 23})
    with pytest.raises(StepFailed):
        run.run()
    assert run.failures()[0].row_numbers == (27,)
