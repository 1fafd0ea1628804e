"""Runs that take rows out which a step can't process: the others come through as if those had never been."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engine import BatchPipeline, FilterBatchStep, Quarantine, RunState, WithColumnsBatchStep
from engine.batch import Batch
from engine.errors import SchemaDrift, StepFailed, StepTimedOut, UsageError
from engine.events import BatchCommitted, RowsQuarantined, RunEnded, RunStarted
from engine.policy import RetryPolicy
from engine.steps.base import BatchStep
from engine.testing import EventLog, InlineExecutor, NumberSource, PickyStep, RunningTotal, TransientError, numbers

pytestmark = pytest.mark.integration

UNLIMITED = Quarantine(max_rows=None, max_fraction=None)


@pytest.fixture
def log():
    return EventLog()


@pytest.fixture
def pipeline(tmp_path, log):
    def build(*steps, rows=50, **options):
        fixed = {"batch_size": 10, "checkpoint_dir": tmp_path / "ck", "listeners": [log], "workers": 2}
        return BatchPipeline(
            steps, options.pop("source", NumberSource(rows)), **(fixed | {"on_error": UNLIMITED} | options)
        )

    return build


class WholeBatches(BatchStep):
    """Hands batches on unless one has an id that is in `bad`; isn't row-wise."""

    row_wise = False

    def __init__(self, name, bad=()):
        super().__init__(name)
        self.bad = set(bad)

    def process(self, batch):
        if self.bad & set(batch.data["id"]):
            raise ValueError("a bad batch")
        return batch


def where(one):
    """Source row, batch and step of each row in quarantine."""
    return [(row.source_row, row.batch_id, row.step) for row in one.quarantine.rows()]


def ids(one):
    return one.collect_results()["id"].to_list()


def without(rows, *bad):
    return [number for number in range(rows) if number not in bad]


# --- rows by themselves ---------------------------------------------------------------------------------


def test_good_rows_come_through_and_bad_ones_are_kept_with_their_error(pipeline):
    run = pipeline(PickyStep("a", {3, 27, 28}))
    run.run()
    assert ids(run) == without(50, 3, 27, 28)
    assert where(run) == [(3, 0, "a"), (27, 2, "a"), (28, 2, "a")]
    (first, *_) = run.quarantine.rows()
    assert (first.error_type, first.error, first.input, first.obstacle) == (
        "ValueError",
        "ValueError: 3 is bad",
        '{"id": 3}',
        "",
    )


def test_a_run_that_takes_rows_out_ends_incomplete_and_counts_them(pipeline, log):
    run = pipeline(PickyStep("a", {3, 27, 28}))
    run.run()
    assert log.of(RunEnded)[0].state is RunState.INCOMPLETE
    assert sorted((event.batch_id, event.rows, event.error) for event in log.of(RowsQuarantined)) == [
        (0, 1, "ValueError: 3 is bad"),
        (2, 2, "ValueError: 27 is bad"),
    ]
    assert [event.rows_quarantined for event in log.of(BatchCommitted)] == [1, 0, 2, 0, 0]
    view = run.view()
    assert (view.state, view.rows_quarantined) == (RunState.INCOMPLETE, 3)
    assert run.refresh().state is RunState.INCOMPLETE
    assert run.view().rows_quarantined == 3


def test_without_it_the_run_stops_as_ever(pipeline):
    run = pipeline(PickyStep("a", {3}), on_error="stop")
    with pytest.raises(StepFailed):
        run.run()
    assert run.quarantine.rows() == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 60).flatmap(
        lambda rows: st.tuples(st.just(rows), st.integers(1, 25), st.sets(st.integers(0, rows - 1), max_size=8))
    )
)
def test_whatever_rows_are_bad_the_results_are_those_of_a_run_without_them(tmp_path_factory, case):
    rows, size, bad = case

    def build(*bad_rows):
        steps = [
            FilterBatchStep("odd", pl.col("id") % 3 != 0),
            PickyStep("a", bad_rows),
            FilterBatchStep("some", pl.col("next") % 4 != 0),
        ]
        folder = tmp_path_factory.mktemp("run")
        return BatchPipeline(steps, NumberSource(rows), size, folder, executor=InlineExecutor(), on_error=UNLIMITED)

    plain, run = build(), build(*bad)
    plain.run()
    try:
        run.run()
    except StepFailed:
        pytest.fail("a bad row stopped the run")
    expected = plain.collect_results().filter(~pl.col("id").is_in(list(bad)))
    assert_frame_equal(run.collect_results(), expected)
    assert where(run) == [(n, n // size, "a") for n in sorted(bad) if n % 3 != 0]


def test_several_steps_fail_on_different_rows(pipeline):
    run = pipeline(PickyStep("a", {3}), PickyStep("b", {4, 25}))
    run.run()
    assert where(run) == [(3, 0, "a"), (4, 0, "b"), (25, 2, "b")]
    assert ids(run) == without(50, 3, 4, 25)


def test_numbers_in_the_source_hold_behind_a_filter(pipeline):
    run = pipeline(
        FilterBatchStep("even", pl.col("id") % 2 == 0), PickyStep("a", {24}), FilterBatchStep("f", pl.col("id") > 4)
    )
    run.run()
    assert where(run) == [(24, 2, "a")]
    assert ids(run) == [n for n in range(6, 50, 2) if n != 24]


def test_fused_plans_are_taken_apart(pipeline):
    steps = [
        WithColumnsBatchStep("text", text=pl.when(pl.col("id") == 13).then(pl.lit("x")).otherwise(pl.lit("7"))),
        WithColumnsBatchStep("number", number=pl.col("text").cast(pl.Int64)),
        WithColumnsBatchStep("more", more=pl.col("number") + 1),
    ]
    run = pipeline(*steps)
    run.run()
    assert where(run) == [(13, 1, "number")]
    assert '"text": "x"' in run.quarantine.rows()[0].input
    assert run.collect_results()["more"].unique().to_list() == [8]


def test_a_step_that_takes_one_batch_at_a_time_is_never_called_twice_at_once(pipeline):
    a, b = PickyStep("a", range(0, 200, 7)), PickyStep("b", range(0, 200, 11))
    run = pipeline(a, b, rows=200, workers=4)
    run.run()
    assert (a.most_at_once, b.most_at_once) == (1, 1)
    assert ids(run) == [n for n in range(200) if n % 7 and n % 11]


def test_its_own_on_error_lets_a_step_stop_the_run(pipeline):
    a, b = PickyStep("a", {3}), PickyStep("b", {24})
    b.on_error = "stop"
    run = pipeline(a, b)
    with pytest.raises(StepFailed, match="step 'b' failed at batch 2"):
        run.run()
    assert where(run) == [(3, 0, "a")]
    assert ids(run) == without(20, 3)


def test_its_own_on_error_lets_a_step_take_rows_out(pipeline):
    a, b = PickyStep("a", {24}), PickyStep("b", {33})
    a.on_error = "quarantine"
    a.bad = {45}
    run = pipeline(a, b, on_error="stop")
    with pytest.raises(StepFailed, match="step 'b' failed at batch 3"):
        run.run()
    b.bad = set()
    run.run()
    assert where(run) == [(45, 4, "a")]


def test_a_run_may_be_told_otherwise_than_its_pipeline(pipeline):
    run = pipeline(PickyStep("a", {3}), on_error="stop")
    run.run(on_error=UNLIMITED)
    assert where(run) == [(3, 0, "a")]


# --- whole batches --------------------------------------------------------------------------------------


def test_a_step_that_needs_whole_batches_has_them_taken_out_whole(pipeline):
    run = pipeline(WholeBatches("w", {15}))
    run.run()
    assert where(run) == [(n, 1, "w") for n in range(10, 20)]
    assert {row.error for row in run.quarantine.rows()} == {"ValueError: a bad batch"}
    assert ids(run) == without(50, *range(10, 20))


def test_rows_before_a_step_of_whole_batches_are_taken_out_and_cannot_be_replayed(pipeline):
    run = pipeline(PickyStep("a", {15}), WholeBatches("w"))
    run.run()
    assert ids(run) == without(50, 15)
    assert [row.obstacle for row in run.quarantine.rows()] == ["step 'w' after it works on whole batches"]


def test_behind_a_step_of_whole_batches_rows_have_no_number_in_the_source(pipeline):
    run = pipeline(WholeBatches("w"), PickyStep("a", {15}))
    run.run()
    assert where(run) == [(None, 1, "a")]
    assert ids(run) == without(50, 15)


def test_a_step_with_a_memory_sees_the_good_rows_only(pipeline):
    run = pipeline(PickyStep("a", {3, 15}), RunningTotal("sum"))
    run.run()
    good = without(50, 3, 15)
    assert run.collect_results()["total"].to_list() == pl.Series(good).cum_sum().to_list()
    assert {row.obstacle for row in run.quarantine.rows()} == {"step 'sum' after it works on whole batches"}


def test_a_step_with_a_memory_forgets_the_batch_that_it_fails_on(pipeline):
    class Fragile(RunningTotal):
        def process(self, batch):
            done = super().process(batch)
            if 15 in batch.data["id"]:
                raise ValueError("15")
            return done

    run = pipeline(Fragile("sum"))
    run.run()
    good = without(50, *range(10, 20))
    assert run.collect_results()["total"].to_list() == pl.Series(good).cum_sum().to_list()
    assert {row.obstacle for row in run.quarantine.rows()} == {"step 'sum' has a memory of the batches before"}


def test_a_batch_taken_out_whole_leaves_nothing_even_if_steps_behind_make_rows_of_none(pipeline):
    class Count(BatchStep):
        row_wise = False

        def process(self, batch):
            return batch.with_data(pl.DataFrame({"id": [batch.data.height]}))

    run = pipeline(WholeBatches("w", {15}), Count("count"))
    run.run()
    assert ids(run) == [10, 10, 10, 10]
    assert run.batch(1).rows_out == 0


# --- nothing is left ------------------------------------------------------------------------------------


class Columns(PickyStep):
    """Fails without rows as well: nobody can tell what columns it would give."""

    def process(self, batch):
        if not batch.data.height:
            raise ValueError("no rows")
        return super().process(batch)


def test_all_rows_of_a_later_batch_may_be_bad(pipeline):
    for step in (PickyStep("a", range(20, 30)), Columns("a", range(20, 30))):
        run = pipeline(step)
        run.run(resume=False)
        assert ids(run) == without(50, *range(20, 30))
        assert run.batch(2).rows_out == 0


def test_all_rows_of_the_first_batch_may_be_bad_when_the_columns_are_known(pipeline):
    run = pipeline(PickyStep("a", range(10)))
    run.run()
    assert ids(run) == list(range(10, 50))


def test_all_rows_of_the_first_batch_being_bad_stops_the_run_when_nobody_knows_the_columns(pipeline):
    run = pipeline(Columns("a", range(10)))
    with pytest.raises(StepFailed, match="0 is bad"):
        run.run()
    assert run.get_frontier().last_completed_batch_id == -1
    assert (
        not list((run.checkpoint_dir / "quarantine").iterdir())
        if (run.checkpoint_dir / "quarantine").exists()
        else True
    )


def test_steps_behind_that_fail_on_what_is_left_of_a_batch_nothing_do_not_stop_the_run(pipeline):
    run = pipeline(PickyStep("a", range(20, 30)), WholeBatches("w"), Columns("c"))
    run.run()
    assert ids(run) == without(50, *range(20, 30))


@pytest.mark.parametrize("step", [Columns("a"), type("Whole", (Columns,), {"row_wise": False})("a")])
def test_a_batch_without_rows_on_which_a_step_fails_stops_the_run(pipeline, step):
    def source(batch_id, size):
        if batch_id == 1:
            return Batch(1, 10, 9, numbers(10, 10))
        return Batch(0, 0, 9, numbers(0, 10)) if batch_id == 0 else None

    run = pipeline(step, source=source)
    with pytest.raises(StepFailed, match="no rows"):
        run.run()
    assert run.get_frontier().last_completed_batch_id == 0


def test_batches_without_rows_pass(pipeline):
    def source(batch_id, size):
        spans = [(0, 10), (10, 10), (10, 20)]
        if batch_id == len(spans):
            return None
        start, stop = spans[batch_id]
        return Batch(batch_id, start, stop - 1, numbers(start, stop))

    run = pipeline(PickyStep("a", {15}), source=source)
    run.run()
    assert ids(run) == without(20, 15)


# --- what is no row's fault -----------------------------------------------------------------------------


class Raising(BatchStep):
    """Raises `error` for the batch that has the id 15."""

    def __init__(self, error):
        super().__init__("raising")
        self.error = error

    def process(self, batch):
        if 15 in batch.data["id"]:
            raise self.error
        return batch


@pytest.mark.parametrize(
    "error", [TransientError("gone"), MemoryError(), SystemExit(3), StepTimedOut(1.0, ended=False)], ids=repr
)
def test_errors_of_the_machine_stop_the_run(pipeline, error):
    run = pipeline(Raising(error), retry=RetryPolicy(transient=(TransientError,), max_attempts=2, base_seconds=0))
    with pytest.raises(StepFailed):
        run.run()
    assert run.quarantine.rows() == []
    assert ids(run) == list(range(10))


def test_a_transient_error_in_the_middle_of_the_search_stops_the_run(pipeline):
    class Fickle(PickyStep):
        def process(self, batch):
            if batch.data.height == 1:
                raise TransientError("gone")
            return super().process(batch)

    run = pipeline(Fickle("a", {15}), retry=RetryPolicy(transient=(TransientError,), max_attempts=2, base_seconds=0))
    with pytest.raises(StepFailed, match="TransientError: gone"):
        run.run()
    assert run.quarantine.rows() == []


def test_a_row_on_which_polars_panics_is_taken_out(pipeline):
    run = pipeline(Raising(pl.exceptions.PanicException("oh")))
    run.run()
    assert where(run) == [(15, 1, "raising")]


def test_a_row_that_takes_too_long_is_taken_out(pipeline):
    class Slow(PickyStep):
        timeout_seconds = 0.2

        def process(self, batch):
            while 15 in batch.data["id"]:
                pass
            return super().process(batch)

    run = pipeline(Slow("a"), rows=30, batch_size=10)
    run.run()
    assert where(run) == [(15, 1, "a")]
    assert run.quarantine.rows()[0].error_type == "StepTimedOut"


def test_columns_that_differ_stop_the_run_although_rows_are_taken_out(pipeline):
    class Drifting(PickyStep):
        def process(self, batch):
            done = super().process(batch)
            return done.with_data(done.data.rename({"next": "other"})) if 15 in batch.data["id"] else done

    run = pipeline(Drifting("a", {3, 12}))
    with pytest.raises(SchemaDrift):
        run.run()
    assert where(run) == [(3, 0, "a")]
    assert len(list((run.checkpoint_dir / "quarantine").iterdir())) == 1


def test_values_that_no_file_takes_stop_the_run_with_the_error_of_the_row(pipeline):
    def source(batch_id, size):
        frame = pl.DataFrame({"id": [1, 2], "thing": pl.Series([object(), object()], dtype=pl.Object)})
        return Batch(0, 0, 1, frame) if batch_id == 0 else None

    class Drop(PickyStep):
        def process(self, batch):
            return super().process(batch.with_data(batch.data.select("id")))

    run = pipeline(Drop("a", {2}), source=source)
    with pytest.raises(StepFailed, match="2 is bad") as caught:
        run.run()
    assert any("can't be kept in quarantine" in note for note in caught.value.__notes__)


# --- again ----------------------------------------------------------------------------------------------


def test_a_later_run_knows_what_is_in_quarantine_already(pipeline, log):
    source = NumberSource(20)
    run = pipeline(PickyStep("a", {3, 25}), source=source)
    run.run()
    source.rows = 50
    run.run()
    assert log.of(RunStarted)[1].rows_quarantined == 1
    assert run.view().rows_quarantined == 2
    assert where(run) == [(3, 0, "a"), (25, 2, "a")]


def test_a_short_last_batch_that_is_done_again_counts_once(pipeline, log):
    source = NumberSource(25)
    run = pipeline(PickyStep("a", {3, 22, 24, 27}), source=source, on_error=Quarantine(max_rows=4, max_fraction=None))
    run.run()
    assert len(where(run)) == 3
    source.rows = 30
    run.run()
    assert log.of(RunStarted)[1].rows_quarantined == 1
    assert run.view().rows_quarantined == 4
    assert where(run) == [(3, 0, "a"), (22, 2, "a"), (24, 2, "a"), (27, 2, "a")]
    assert len(list((run.checkpoint_dir / "quarantine").iterdir())) == 2


def test_rewind_and_reset_take_the_quarantine_with_them(pipeline):
    run = pipeline(PickyStep("a", {3, 27}))
    run.run()
    run.rewind(1)
    assert where(run) == [(3, 0, "a")]
    assert (run.view().rows_quarantined, run.view().state) == (1, RunState.RESUMABLE)
    run.reset_frontier()
    assert where(run) == []
    assert not list((run.checkpoint_dir / "quarantine").iterdir())


# --- what is said of it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("on_error", "skip"),
        ("on_error", []),
        ("timeout_seconds", 0),
        ("timeout_seconds", "5"),
        ("timeout_seconds", True),
    ],
)
def test_a_step_that_says_nonsense_is_refused(pipeline, name, value):
    step = PickyStep("a")
    setattr(step, name, value)
    with pytest.raises(UsageError, match=f"step 'a': {name} must be"):
        pipeline(step)


def test_a_pipeline_that_says_nonsense_is_refused(pipeline):
    with pytest.raises(UsageError, match="on_error must be"):
        pipeline(PickyStep("a"), on_error="skip")
    with pytest.raises(UsageError, match="on_error must be"):
        pipeline(PickyStep("a")).run(on_error="skip")
