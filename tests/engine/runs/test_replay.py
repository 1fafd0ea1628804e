"""Rows out of quarantine, through mended steps, into the places where their results belong."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import BatchPipeline, FilterBatchStep, FunctionBatchStep, Quarantine, RunState
from engine.errors import CheckpointCorrupt, PipelineChanged, SchemaDrift, StepSetupFailed
from engine.events import RowsReplayed, Warned
from engine.policy import RetryPolicy
from engine.runs.replay import Replayed
from engine.steps.base import BatchStep
from engine.testing import EventLog, InlineExecutor, NumberSource, PickyStep, RunningTotal, TransientError

pytestmark = pytest.mark.integration

UNLIMITED = Quarantine(max_rows=None, max_fraction=None)


@pytest.fixture
def log():
    return EventLog()


@pytest.fixture
def pipeline(tmp_path, log):
    def build(*steps, rows=30, **options):
        fixed = {"batch_size": 10, "checkpoint_dir": tmp_path / "ck", "listeners": [log], "workers": 2}
        return BatchPipeline(steps, NumberSource(rows), **(fixed | {"on_error": UNLIMITED} | options))

    return build


class Copies(PickyStep):
    """Makes of row n as many rows as `copies` says, one unless it is named there."""

    def __init__(self, name, bad=(), copies=None):
        super().__init__(name, bad)
        self.copies = copies or {}

    def process(self, batch):
        data = super().process(batch).data
        numbers = [self.copies.get(number, 1) for number in data["id"]]
        return batch.with_data(
            data.select(pl.all().repeat_by(pl.Series(numbers, dtype=pl.UInt32)).explode()).drop_nulls()
        )


class WholeBatches(BatchStep):
    row_wise = False

    def __init__(self, name, bad=()):
        super().__init__(name)
        self.bad = set(bad)

    def process(self, batch):
        if self.bad & set(batch.data["id"]):
            raise ValueError("a bad batch")
        return batch


def ids(one):
    return one.collect_results()["id"].to_list()


def left(one):
    return [row.source_row for row in one.quarantine.rows()]


def files(one):
    folder = one.checkpoint_dir / "quarantine"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def temporary(one):
    return [path.name for path in one.checkpoint_dir.rglob("*") if ".tmp" in path.name]


# --- into their places ----------------------------------------------------------------------------------


def test_rows_go_to_their_places_and_leave_the_quarantine(pipeline, log):
    step = PickyStep("a", {0, 3, 4, 9, 15, 29})
    run = pipeline(step)
    run.run()
    step.bad = set()
    assert run.quarantine.replay() == Replayed(rows=6, still=0)
    assert ids(run) == list(range(30))
    assert (left(run), files(run), temporary(run)) == ([], [], [])
    assert log.of(RowsReplayed) == [RowsReplayed(0, 4, 0), RowsReplayed(1, 1, 0), RowsReplayed(2, 1, 0)]


def test_a_full_replay_makes_an_incomplete_run_a_finished_one(pipeline):
    step = PickyStep("a", {3})
    run = pipeline(step)
    run.run()
    assert run.view().state is RunState.INCOMPLETE
    run.quarantine.replay()
    assert run.view().state is RunState.INCOMPLETE
    step.bad = set()
    run.quarantine.replay()
    assert (run.view().state, run.view().rows_quarantined) == (RunState.FINISHED, 0)
    assert run.refresh().state is RunState.FINISHED


def test_the_frontier_stays_and_the_replay_is_in_the_history(pipeline):
    step = PickyStep("a", {3, 4})
    run = pipeline(step)
    before = run.run()
    step.bad = {4}
    run.quarantine.replay()
    assert run.get_frontier() == before
    newest, first = run.history()
    assert (newest.state, newest.message) == ("incomplete", "replayed 1 rows, 1 still in quarantine")
    assert first.rows_done == 30


def test_rows_that_fail_again_keep_their_places_and_are_replayed_later(pipeline):
    step = PickyStep("a", {2, 3, 5, 8})
    run = pipeline(step)
    run.run()
    for bad, remaining in [({2, 5}, [2, 5]), ({5}, [5]), (set(), [])]:
        step.bad = bad
        run.quarantine.replay()
        assert left(run) == remaining
        assert ids(run) == [number for number in range(30) if number not in bad]


def test_a_row_that_fails_again_has_its_new_error(pipeline):
    step = PickyStep("a", {3})
    run = pipeline(step)
    run.run()
    step.process = lambda batch: {}["other"]
    run.quarantine.replay()
    (row,) = run.quarantine.rows()
    assert (row.error_type, row.error, row.input) == ("KeyError", "KeyError: 'other'", '{"id": 3}')


def test_when_no_row_gets_through_nothing_is_written(pipeline):
    run = pipeline(PickyStep("a", {3, 15}))
    run.run()
    before = files(run), run.batch(0), run.batch(1)
    assert run.quarantine.replay() == Replayed(rows=0, still=2)
    assert (files(run), run.batch(0), run.batch(1)) == before


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sets(st.integers(0, 19)), min_size=1, max_size=4),
    st.dictionaries(st.integers(0, 19), st.integers(0, 2), max_size=8),
)
def test_however_often_it_is_tried_each_row_ends_where_it_belongs(tmp_path_factory, bad_at_each_try, copies):
    step = Copies("a", bad_at_each_try[0], copies)
    run = BatchPipeline(
        [step], NumberSource(20), 7, tmp_path_factory.mktemp("replay"), executor=InlineExecutor(), on_error=UNLIMITED
    )
    run.run()
    waiting = set(bad_at_each_try[0])
    for bad in [*bad_at_each_try[1:], set()]:
        step.bad = bad
        run.quarantine.replay()
        waiting &= bad
        assert ids(run) == [n for n in range(20) if n not in waiting for _ in range(copies.get(n, 1))]
        assert left(run) == sorted(waiting)
    assert run.refresh().state is RunState.FINISHED


def test_steps_behind_and_filters_are_gone_through_as_well(pipeline):
    step = PickyStep("a", {4, 6, 9})
    run = pipeline(FilterBatchStep("even", pl.col("id") % 2 == 0), step, FilterBatchStep("not six", pl.col("id") != 6))
    run.run()
    assert left(run) == [4, 6]
    step.bad = set()
    assert run.quarantine.replay().rows == 2
    assert ids(run) == [n for n in range(0, 30, 2) if n != 6]


def test_a_batch_that_was_taken_out_whole_is_replayed_whole(pipeline):
    step = WholeBatches("w", {15})
    run = pipeline(step, PickyStep("a"))
    run.run()
    assert run.quarantine.replay() == Replayed(rows=0, still=10)
    step.bad = set()
    assert run.quarantine.replay() == Replayed(rows=10, still=0)
    assert ids(run) == list(range(30))


def test_plans_of_whole_batches_that_were_fused_begin_at_the_first_of_them(pipeline):
    from engine import DeduplicateBatchStep, WithColumnsBatchStep

    bad = pl.when(pl.col("id") == 15).then(pl.lit("x")).otherwise(pl.lit("1")).cast(pl.Int64)
    steps = [
        DeduplicateBatchStep("once", ["id"]),
        WithColumnsBatchStep("share", next=pl.col("id") + bad, row_wise=False),
    ]
    run = pipeline(*steps)
    run.run()
    assert left(run) == list(range(10, 20))
    assert {about.from_step for about in run.batch(1).quarantine} == {"once"}


def test_rows_before_the_first_result_with_columns_are_replayed(pipeline):
    step = PickyStep("a", range(10))
    run = pipeline(step)
    run.run()
    step.bad = set()
    run.quarantine.replay()
    assert ids(run) == list(range(30))


def test_nothing_in_quarantine_is_nothing_to_do(pipeline):
    run = pipeline(PickyStep("a"))
    assert run.quarantine.replay() == Replayed()
    run.run()
    assert run.quarantine.replay() == Replayed()
    assert len(run.history()) == 1


def test_a_run_after_a_replay_goes_on_at_the_frontier(pipeline):
    step = PickyStep("a", {3})
    run = pipeline(step, rows=30)
    run.run()
    step.bad = set()
    run.quarantine.replay()
    run.batch_fetcher.rows = 50
    run.run()
    assert ids(run) == list(range(50))
    assert run.refresh().state is RunState.FINISHED


# --- what can't be tried --------------------------------------------------------------------------------


def test_rows_with_an_obstacle_stay_and_it_is_told(pipeline):
    step = PickyStep("a", {3})
    run = pipeline(step, RunningTotal("sum"))
    run.run()
    step.bad = set()
    assert run.quarantine.replay() == Replayed(0, 1, ("step 'sum' after it works on whole batches",))
    assert left(run) == [3]


def test_a_step_that_came_since_may_be_an_obstacle(pipeline):
    pipeline(PickyStep("a", {3})).run()
    mended = pipeline(PickyStep("a"), RunningTotal("sum"))
    done = mended.quarantine.replay(accept_changes=True)
    assert done == Replayed(0, 1, ("step 'sum' has a memory of the batches before",))
    mended = pipeline(PickyStep("a"), WholeBatches("w"))
    assert mended.quarantine.replay(accept_changes=True).obstacles == ("step 'w' works on whole batches",)


def test_a_step_that_was_renamed_is_told_and_its_rows_stay(pipeline):
    pipeline(PickyStep("a", {3})).run()
    done = pipeline(PickyStep("b")).quarantine.replay(accept_changes=True)
    assert done == Replayed(0, 1, ("they continue at step 'a', which is no longer in the pipeline",))


def test_a_changed_pipeline_is_refused_until_it_is_accepted(pipeline):
    pipeline(PickyStep("a", {3})).run()
    mended = PickyStep("a")
    mended.version = "2"
    run = pipeline(mended)
    with pytest.raises(PipelineChanged):
        run.quarantine.replay()
    assert left(run) == [3]
    assert len(run.history()) == 1
    assert run.quarantine.replay(accept_changes=True).rows == 1
    assert ids(run) == list(range(30))
    run.run()


# --- what breaks it off ---------------------------------------------------------------------------------


def test_results_with_other_columns_break_it_off_and_change_nothing(pipeline):
    pipeline(PickyStep("a", {3})).run()
    other = FunctionBatchStep("a", lambda frame: frame.with_columns(other=1))
    run = pipeline(other)
    with pytest.raises(SchemaDrift):
        run.quarantine.replay(accept_changes=True)
    assert (left(run), len(files(run)), temporary(run)) == ([3], 1, [])
    assert run.history()[0].message == "ended early"


def test_a_missing_file_is_named(pipeline):
    step = PickyStep("a", {3})
    run = pipeline(step)
    run.run()
    (run.checkpoint_dir / "quarantine" / files(run)[0]).unlink()
    with pytest.raises(CheckpointCorrupt, match=r"quarantine of batch 0 can't be read: .* is missing"):
        run.quarantine.replay()


def test_steps_are_set_up_and_torn_down(pipeline):
    calls = []

    class Told(PickyStep):
        def setup(self):
            calls.append("setup")

        def teardown(self):
            calls.append("teardown")

    run = pipeline(Told("a", {3}))
    run.run()
    run.quarantine.replay()
    assert calls == ["setup", "teardown"] * 2
    run.steps[0].setup = lambda: {}["x"]
    with pytest.raises(StepSetupFailed):
        run.quarantine.replay()


def test_a_stop_ends_it_between_two_batches(pipeline):
    step = PickyStep("a", {3, 15, 25})
    run = pipeline(step)
    run.run()
    step.bad = set()
    run.add_listener(lambda event: run.request_stop() if isinstance(event, RowsReplayed) else None)
    assert run.quarantine.replay() == Replayed(rows=1, still=2)
    assert left(run) == [15, 25]
    assert ids(run) == [n for n in range(30) if n not in {15, 25}]


def test_a_stop_while_it_waits_for_another_try_leaves_the_batch_as_it_was(pipeline, log):
    step = PickyStep("a", {3})
    run = pipeline(step, retry=RetryPolicy(transient=(TransientError,), base_seconds=600))
    run.run()

    def process(batch):
        run.request_stop()
        raise TransientError("gone")

    step.process = process
    assert run.quarantine.replay() == Replayed(rows=0, still=1)


def test_ctrl_c_is_no_failure_of_a_row(pipeline):
    step = PickyStep("a", {3})
    run = pipeline(step)
    run.run()

    def interrupted(batch):
        raise KeyboardInterrupt

    step.process = interrupted
    with pytest.raises(KeyboardInterrupt):
        run.quarantine.replay()
    assert run.quarantine.rows()[0].error == "ValueError: 3 is bad"


def test_what_had_to_be_mended_is_told(pipeline, log):
    step = PickyStep("a", {3})
    run = pipeline(step)
    run.run()
    step.bad = set()
    (run.checkpoint_dir / "results" / "part-000000000003.parquet").write_bytes(b"nothing of ours")
    run.quarantine.replay()
    assert any("beyond the frontier" in event.message for event in log.of(Warned))
