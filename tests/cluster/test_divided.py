"""A pipeline with a step that keeps the order is divided: the steps before run on the cluster, the others here."""

from __future__ import annotations

import os
import threading

import cluster_target
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import BatchPipeline, BatchStep, CsvFetcher, FunctionBatchStep, Quarantine, RunState
from engine.errors import StepFailed, WorkerFailed
from engine.events import BatchStarted, StepFinished

SOURCE = cluster_target.source()


def where(name, *, concurrent):
    return FunctionBatchStep(
        name, lambda frame: frame.with_columns(pl.lit(os.getpid()).alias(name)), concurrent=concurrent
    )


def numbers(tmp_path, executor, steps, **more):
    source = cluster_target.pipeline(tmp_path).batch_fetcher
    return BatchPipeline(steps, source, 50, tmp_path / "ck", executor=executor, **more)


def test_the_leading_steps_run_on_workers_and_the_rest_here(tmp_path, executor):
    steps = [where("one", concurrent=True), where("two", concurrent=True), where("three", concurrent=False)]
    steps.append(where("four", concurrent=True))
    run = numbers(tmp_path, executor, steps)
    run.run()
    results = run.collect_results()
    assert_frame_equal(results.select(SOURCE.columns), SOURCE)
    assert os.getpid() not in {*results["one"], *results["two"]}
    assert {*results["three"], *results["four"]} == {os.getpid()}
    (warning,) = [warning for warning in run.view().warnings if "on this machine" in warning]
    assert "in order: three, four, since three takes one batch at a time" in warning
    assert "the rows come back" in warning


def test_a_source_that_is_read_in_order_is_read_here_and_its_rows_come_back(tmp_path, executor):
    SOURCE.write_csv(tmp_path / "rows.csv")
    steps = cluster_target.pipeline(tmp_path, total=True).steps
    run = BatchPipeline(steps, CsvFetcher(tmp_path / "rows.csv"), 50, tmp_path / "checkpoint", executor=executor)
    run.run()
    assert_frame_equal(run.collect_results(), cluster_target.expected(total=True))


def test_no_more_batches_are_under_way_than_workers_and_two(tmp_path, executor):
    most, lock = [0], threading.Lock()
    begun, through = set(), set()

    def watch(event):
        with lock:
            if isinstance(event, BatchStarted) and event.batch_id < 40:  # those behind find out that it is the end
                begun.add(event.batch_id)
            elif isinstance(event, StepFinished) and event.step == "total":
                through.add(event.batch_id)
            most[0] = max(most[0], len(begun - through))

    run = cluster_target.pipeline(tmp_path, executor, total=True)
    run.add_listener(watch)
    run.run()
    assert executor.window > executor.workers + 2  # it isn't the window that holds them back
    assert most[0] == executor.workers + 2


class OddError(Exception):
    """Can't be unpickled: it wants two arguments and hands on one."""

    def __init__(self, text, number):
        super().__init__(text)
        self.number = number


class Odd(BatchStep):
    concurrent = True

    def __init__(self, name, bad):
        super().__init__(name)
        self.bad = bad

    def process(self, batch):
        for number in batch.data["id"]:
            if number in self.bad:
                raise OddError(f"bad {number}", number)
        return batch.with_data(batch.data.with_columns(double=pl.col("id") * 2))


def test_an_error_of_a_step_on_a_worker_arrives_as_it_was_raised(tmp_path, executor):
    run = numbers(tmp_path, executor, [Odd("odd", {170}), cluster_target.Total("total")])
    with pytest.raises(StepFailed, match=r"step 'odd' failed at batch 3 \(rows 150 to 199\): OddError: bad 170"):
        run.run()
    (failure,) = run.failures()
    assert (failure.step, failure.error_type, failure.batch_id) == ("odd", "OddError", 3)
    assert "in process" in failure.traceback
    assert run.get_frontier().last_completed_batch_id == 2


@pytest.mark.parametrize("whole", [True, False])
def test_bad_rows_of_a_step_on_a_worker_are_set_aside_with_their_error(tmp_path, executor, whole):
    """With a step of whole batches behind it the worker finds them itself, else it leaves them to the driver."""
    bad = {7, 8, 199, 1_999}

    class Looks(BatchStep):
        concurrent = True
        row_wise = not whole

        def process(self, batch):
            return batch

    class Keeps(BatchStep):
        def process(self, batch):
            return batch

    run = numbers(tmp_path, executor, [Odd("odd", bad), Looks("looks"), Keeps("keeps")], on_error=Quarantine(10))
    run.run()
    assert run.view().state is RunState.INCOMPLETE
    told = [(row.source_row, row.step, row.error_type, row.error, bool(row.obstacle)) for row in run.quarantine.rows()]
    assert told == [(number, "odd", "OddError", f"OddError: bad {number}", whole) for number in sorted(bad)]
    assert run.collect_results()["id"].to_list() == [number for number in range(2_000) if number not in bad]


def test_what_can_not_come_back_from_a_worker_is_said_at_once(tmp_path, executor):
    class Odder(BatchStep):
        concurrent = True

        def process(self, batch):
            return batch.with_data(batch.data.with_columns(pl.Series("lock", [threading.Lock()] * 50, dtype=pl.Object)))

    run = numbers(tmp_path, executor, [Odder("odder"), cluster_target.Total("total")])
    with pytest.raises(WorkerFailed, match="batch 0"):
        run.run()
