"""What every executor must do, wherever it runs the steps. A new one joins by one more entry in `EXECUTORS`.

An executor may run steps in other processes, so nothing here looks into a step.
"""

from __future__ import annotations

import json
import os
import threading

import polars as pl
import pytest
from contract_target import QUICK, Noted, Refuses, Total, ids, in_background, leftovers, pipeline
from line_source import LineSource, lines

from engine import BatchPipeline, Frontier, Quarantine, RetryPolicy, RunState
from engine.errors import (
    FetchFailed,
    QuarantineFull,
    RowsNotContiguous,
    RowsUnreadable,
    SourceContractBroken,
    StepFailed,
)
from engine.events import AttemptFailed, BatchCommitted, BatchStarted, RunEnded, StopWasRequested
from engine.testing import EventLog, NumberSource, SeekableNumbers, TransientError, numbers

pytestmark = pytest.mark.integration

# --- order ----------------------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_source(tmp_path, executor):
    run = pipeline(tmp_path / "ck", executor, Noted("a", tmp_path, concurrent=True))
    assert run.run() == Frontier(9, 99, 100, {"a": 9})
    assert ids(run) == list(range(100))
    assert run.collect_results()["double"].to_list() == [2 * row for row in range(100)]


def test_commits_come_in_the_order_of_the_batches(tmp_path, executor):
    log = EventLog()
    pipeline(tmp_path / "ck", executor, Noted("a", tmp_path, concurrent=True), log=log).run()
    assert [event.batch_id for event in log.of(BatchCommitted)] == list(range(10))
    assert [(event.start_row, event.end_row) for event in log.of(BatchCommitted)][3] == (30, 39)


def test_a_step_that_is_not_concurrent_sees_the_batches_in_order(tmp_path, executor):
    steps = [Noted("a", tmp_path), Noted("b", tmp_path, concurrent=True), Noted("c", tmp_path)]
    pipeline(tmp_path / "ck", executor, *steps).run()
    assert steps[0].calls() == steps[2].calls() == list(range(10))
    assert sorted(steps[1].calls()) == list(range(10))


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11, 100])
def test_every_size_of_source_is_done_to_the_end(tmp_path, executor, rows):
    run = pipeline(tmp_path / "ck", executor, source=NumberSource(rows))
    assert run.run().total_rows_processed == rows
    assert run.view().state is RunState.FINISHED
    assert (ids(run) if rows else []) == list(range(rows))


@pytest.mark.parametrize("concurrent", [False, True])
def test_a_seekable_source_is_read_to_the_end_and_closed(tmp_path, executor, concurrent):
    source = SeekableNumbers(95, concurrent=concurrent)
    run = pipeline(tmp_path / "ck", executor, source=source)
    run.run()
    assert ids(run) == list(range(95))
    assert (len(source.opened), source.closed) == (1, 1)
    assert run.batch(9).cursor == {"next_row": 95}


def test_an_executor_can_be_used_again(tmp_path, executor):
    for name in ("one", "two", "three"):
        run = pipeline(tmp_path / name, executor, Noted(name, tmp_path))
        run.run()
        assert ids(run) == list(range(100))


@pytest.mark.parametrize("way", ["in order", "concurrent", "planned"])
@pytest.mark.parametrize("concurrent", [True, False])
def test_rows_that_the_source_cannot_read_go_into_quarantine_in_their_places(tmp_path, executor, way, concurrent):
    source = LineSource(lines(60, {3, 27, 28, *range(40, 50)}), way=way)
    steps = [Refuses("refuses", {5, 26}, concurrent=True), Refuses("last", {29}, concurrent=concurrent)]
    run = pipeline(tmp_path / "ck", executor, *steps, source=source)
    run.run(on_error=Quarantine(max_rows=None, max_fraction=None))
    missing = {3, 5, 26, 27, 28, 29, *range(40, 50)}
    assert ids(run) == [row for row in range(60) if row not in missing]
    assert [row.source_row for row in run.quarantine.rows()] == sorted(missing)
    source.lines = lines(60)
    run.quarantine.replay()
    assert ids(run) == [row for row in range(60) if row not in {5, 26, 29}]


@pytest.mark.parametrize("way", ["in order", "concurrent", "planned"])
def test_rows_that_the_source_cannot_read_stop_the_run_and_are_named(tmp_path, executor, way):
    run = pipeline(tmp_path / "ck", executor, source=LineSource(lines(60, {27, 28}), way=way))
    with pytest.raises(
        RowsUnreadable, match=r"2 rows of batch 2 .* line 28: it is no number: x27; numbers.txt, line 29"
    ):
        run.run()
    assert ids(run) == list(range(20))
    assert run.failures()[0].row_numbers == (27, 28)


# --- back-pressure --------------------------------------------------------------------------------------


def test_no_more_batches_are_in_flight_than_the_window_holds(tmp_path, executor):
    most, started, committed = [0], set(), set()
    lock = threading.Lock()

    def watch(event):
        with lock:
            if isinstance(event, BatchStarted):
                started.add(event.batch_id)
            elif isinstance(event, BatchCommitted):
                committed.add(event.batch_id)
            most[0] = max(most[0], len(started - committed))

    run = pipeline(tmp_path / "ck", executor, Noted("a", tmp_path), source=NumberSource(600))
    run.add_listener(watch)
    run.run()
    # The batches behind the end of the source are started too, to find out that it is the end.
    assert most[0] <= executor.window


def test_while_the_oldest_batch_waits_no_batch_beyond_the_window_is_begun(tmp_path, side_by_side):
    source = SeekableNumbers(10_000, concurrent=True)
    step = Noted("a", tmp_path, waits_at=[1], concurrent=True)
    log = EventLog()
    run = pipeline(tmp_path / "ck", side_by_side, step, source=source, log=log)
    with in_background(run) as result:
        with step.closed():
            log.wait_for(BatchCommitted)  # batch 0
            # With one worker only the batch that waits is begun, with more all that the window holds.
            log.wait_for(BatchStarted, 2 if side_by_side.workers == 1 else 1 + side_by_side.window)
            assert max(event.batch_id for event in log.of(BatchStarted)) <= side_by_side.window
            assert len(log.of(BatchCommitted)) == 1
            run.request_stop()
        result()


# --- failure --------------------------------------------------------------------------------------------


def test_a_failing_batch_lets_those_before_it_commit_and_throws_away_those_behind(tmp_path, executor):
    step = Noted("a", tmp_path, fails={4: -1}, transient=False, concurrent=True)
    run = pipeline(tmp_path / "ck", executor, step)
    with pytest.raises(StepFailed, match=r"step 'a' failed at batch 4 \(rows 40 to 49\): ValueError: a bad row"):
        run.run()
    assert run.get_frontier() == Frontier(3, 39, 40, {"a": 3})
    assert ids(run) == list(range(40))
    assert leftovers(tmp_path / "ck") == []
    assert run.view().state is RunState.FAILED


def test_the_failure_of_the_first_batch_lets_nobody_wait_for_its_columns(tmp_path, executor):
    step = Noted("a", tmp_path, fails={0: -1}, transient=False, concurrent=True)
    run = pipeline(tmp_path / "ck", executor, step)
    with pytest.raises(StepFailed):
        run.run()
    assert run.get_frontier().last_completed_batch_id == -1
    assert leftovers(tmp_path / "ck") == []


def test_of_several_failures_the_earliest_is_raised(tmp_path, executor):
    step = Noted("a", tmp_path, fails={5: -1, 6: -1, 4: -1}, transient=False, concurrent=True)
    with pytest.raises(StepFailed) as caught:
        pipeline(tmp_path / "ck", executor, step).run()
    assert caught.value.batch_id == 4


@pytest.mark.parametrize("batch_id", [0, 1, 9])
def test_after_a_failure_the_next_run_goes_on_at_that_batch(tmp_path, executor, batch_id):
    step = Noted("a", tmp_path, fails={batch_id: 1}, transient=False)
    run = pipeline(tmp_path / "ck", executor, step)
    with pytest.raises(StepFailed):
        run.run()
    assert run.run() == Frontier(9, 99, 100, {"a": 9})
    assert ids(run) == list(range(100))
    assert step.calls().count(batch_id) == 2
    assert all(step.calls().count(done) == 1 for done in range(batch_id))


def test_a_source_that_fails_ends_the_run_there(tmp_path, executor):
    marker = tmp_path / "has failed"

    def fetch(batch_id, batch_size):
        if batch_id == 3 and not marker.exists():
            marker.touch()
            raise ConnectionError("gone")
        return NumberSource(100)(batch_id, batch_size)

    run = pipeline(tmp_path / "ck", executor, source=fetch)
    with pytest.raises(FetchFailed, match="fetching batch 3 failed: ConnectionError: gone"):
        run.run()
    assert ids(run) == list(range(30))
    run.run()
    assert ids(run) == list(range(100))


@pytest.mark.parametrize(
    ("odd", "kind"),
    [
        ((3, 35, 44), RowsNotContiguous),
        ((3, 25, 34), RowsNotContiguous),
        ((4, 40, 49), SourceContractBroken),
        ((3, 30, 49), SourceContractBroken),
    ],
    ids=["a gap", "an overlap", "another batch", "fewer rows than it says"],
)
def test_a_source_that_breaks_its_contract_ends_the_run_there(tmp_path, executor, odd, kind):
    from engine.batch import Batch

    def fetch(batch_id, batch_size):
        if batch_id == 3:
            return Batch(*odd, numbers(odd[1], odd[1] + 10))
        return NumberSource(100)(batch_id, batch_size)

    run = pipeline(tmp_path / "ck", executor, source=fetch)
    with pytest.raises(kind):
        run.run()
    assert ids(run) == list(range(30))
    assert leftovers(tmp_path / "ck") == []


# --- retry ----------------------------------------------------------------------------------------------


def test_a_transient_error_is_tried_again_and_told(tmp_path, executor):
    log = EventLog()
    step = Noted("a", tmp_path, fails={2: 2, 7: 1})
    run = pipeline(tmp_path / "ck", executor, step, log=log, retry=QUICK)
    run.run()
    assert ids(run) == list(range(100))
    told = sorted((event.batch_id, event.attempt, event.max_attempts) for event in log.of(AttemptFailed))
    assert told == [(2, 1, 3), (2, 2, 3), (7, 1, 3)]
    assert [run.batch(batch_id).attempts for batch_id in (1, 2, 7)] == [1, 3, 2]


def test_when_attempts_run_out_the_run_ends_there(tmp_path, executor):
    run = pipeline(tmp_path / "ck", executor, Noted("a", tmp_path, fails={2: -1}), retry=QUICK)
    with pytest.raises(StepFailed, match="after 3 attempts"):
        run.run()
    assert ids(run) == list(range(20))
    (failure,) = run.failures()
    assert (failure.batch_id, failure.step, failure.attempts) == (2, "a", 3)


def test_a_stop_does_not_wait_for_the_next_attempt(tmp_path, side_by_side):
    slow = RetryPolicy(transient=(TransientError,), base_seconds=1e6, max_wait_seconds=1e6, max_seconds=1e9)
    log = EventLog()
    run = pipeline(tmp_path / "ck", side_by_side, Noted("a", tmp_path, fails={2: 1}), log=log, retry=slow)
    with in_background(run) as result:
        log.wait_for(AttemptFailed)
        run.request_stop()
        assert isinstance(result(), Frontier)
    assert ids(run) == list(range(20))
    assert run.run().last_completed_batch_id == 9
    assert ids(run) == list(range(100))


# --- stop -----------------------------------------------------------------------------------------------


def test_a_graceful_stop_commits_what_is_in_flight(tmp_path, side_by_side):
    step = Noted("a", tmp_path, waits_at=[2])
    log = EventLog()
    run = pipeline(tmp_path / "ck", side_by_side, step, log=log, source=NumberSource(10_000))
    with in_background(run) as result:
        with step.closed():
            log.wait_for(BatchStarted, 3)
            run.request_stop()
        frontier = result()
    assert 2 <= frontier.last_completed_batch_id <= 2 + side_by_side.window
    assert run.view().state is RunState.RESUMABLE
    assert ids(run) == list(range(frontier.total_rows_processed))
    assert leftovers(tmp_path / "ck") == []
    assert log.of(StopWasRequested) == [StopWasRequested(now=False)]
    assert log.all()[-1] == log.of(RunEnded)[0]


def test_a_stop_now_gives_up_what_is_in_flight(tmp_path, side_by_side, monkeypatch):
    monkeypatch.setattr("engine.executors.threads._GRACE_SECONDS", 0.1)
    step = Noted("a", tmp_path, waits_at=[2])
    log = EventLog()
    run = pipeline(tmp_path / "ck", side_by_side, step, log=log)
    with in_background(run) as result, step.closed():
        log.wait_for(BatchCommitted, 2)
        run.request_stop()
        run.request_stop(now=True)
        # The step still hangs; the run ends all the same, a while later.
        assert result().last_completed_batch_id == 1
    assert run.view().state is RunState.RESUMABLE
    assert ids(run) == list(range(20))


def test_after_a_stop_the_next_run_goes_on(tmp_path, executor):
    run = pipeline(tmp_path / "ck", executor, source=NumberSource(600))

    def stop_at_batch_3(event):
        if isinstance(event, BatchCommitted) and event.batch_id == 3:
            run.request_stop()

    run.add_listener(stop_at_batch_3)
    assert 3 <= run.run().last_completed_batch_id < 59
    assert run.run().last_completed_batch_id == 59
    assert ids(run) == list(range(600))


# --- state ----------------------------------------------------------------------------------------------


def test_state_goes_from_batch_to_batch_in_order(tmp_path, executor):
    run = pipeline(tmp_path / "ck", executor, Total("sum"))
    run.run()
    assert run.collect_results()["total"].unique(maintain_order=True).to_list() == list(range(10, 101, 10))
    assert [run.batch(batch_id).states for batch_id in (0, 9)] == [{"sum": {"total": 10}}, {"sum": {"total": 100}}]


def test_state_comes_back_after_a_failure(tmp_path, executor):
    run = pipeline(tmp_path / "ck", executor, Total("sum"), Noted("a", tmp_path, fails={4: 1}, transient=False))
    with pytest.raises(StepFailed):
        run.run()
    run.run()
    assert run.collect_results()["total"].unique(maintain_order=True).to_list() == list(range(10, 101, 10))


def test_state_comes_back_after_a_rewind(tmp_path, executor):
    run = pipeline(tmp_path / "ck", executor, Total("sum"))
    run.run()
    assert run.rewind(4) == 5
    run.run()
    assert run.collect_results()["total"].unique(maintain_order=True).to_list() == list(range(10, 101, 10))


def test_state_does_not_count_a_failed_attempt(tmp_path, executor):
    run = pipeline(tmp_path / "ck", executor, Total("sum", fails_once_at=3, folder=tmp_path), retry=QUICK)
    run.run()
    assert run.collect_results()["total"].unique(maintain_order=True).to_list() == list(range(10, 101, 10))


# --- what the protocol itself promises ------------------------------------------------------------------


def test_it_says_how_much_it_does_at_once(executor):
    assert 1 <= executor.workers <= executor.window


def test_the_part_of_each_batch_says_who_made_it(tmp_path, executor):
    run = pipeline(tmp_path / "ck", executor, Noted("a", tmp_path))
    run.run()
    manifest = run.batch(3)
    assert (manifest.batch_id, manifest.start_row, manifest.end_row, manifest.rows_out) == (3, 30, 39, 10)
    assert (manifest.run_id, manifest.epoch, manifest.attempts) == (1, 0, 1)
    assert manifest.bytes_written == os.stat(tmp_path / "ck" / "results" / "part-000000000003.parquet").st_size  # noqa: PTH116 (one number)
    metadata = pl.read_parquet_metadata(tmp_path / "ck" / "results" / "part-000000000003.parquet")
    assert json.loads(metadata["batchpipe.manifest"])["batch_id"] == 3


# --- quarantine -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrent", [False, True])
def test_bad_rows_are_set_aside_and_the_others_stay_in_their_order(tmp_path, executor, concurrent):
    step = Refuses("picky", [3, 4, 57, 99], concurrent=concurrent)
    run = BatchPipeline([step], NumberSource(100), 10, tmp_path / "ck", executor=executor, on_error=Quarantine(4, None))
    assert run.run().total_rows_processed == 100
    assert run.view().state is RunState.INCOMPLETE
    assert [(row.batch_id, row.source_row) for row in run.quarantine.rows()] == [(0, 3), (0, 4), (5, 57), (9, 99)]
    assert ids(run) == [row for row in range(100) if row not in {3, 4, 57, 99}]


def test_more_bad_rows_than_are_allowed_end_the_run_before_their_batch(tmp_path, executor):
    step = Refuses("picky", [3, 4, 57, 99], concurrent=True)
    run = BatchPipeline([step], NumberSource(100), 10, tmp_path / "ck", executor=executor, on_error=Quarantine(2, None))
    with pytest.raises(QuarantineFull, match="batch 5"):
        run.run()
    assert run.get_frontier().last_completed_batch_id == 4
    assert [row.source_row for row in run.quarantine.rows()] == [3, 4]
    assert leftovers(tmp_path / "ck") == []
