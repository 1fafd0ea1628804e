"""What every executor must do when some steps may have any batch at any time, and the ones behind keep the order.

On a cluster such a pipeline is divided: the leading steps, the *head*, run on the workers, and from the first step
that keeps the order on, the *tail* runs with the driver. Nobody may see that in the results.
"""

from __future__ import annotations

import polars as pl
import pytest
from contract_target import (
    ON_CLUSTERS,
    QUICK,
    Noted,
    Refuses,
    Total,
    executors,
    ids,
    in_background,
    leftovers,
    made,
    pipeline,
)
from polars.testing import assert_frame_equal

from engine import BatchPipeline, Frontier, FunctionBatchStep, Quarantine, RunState
from engine.errors import QuarantineFull, StepFailed
from engine.events import AttemptFailed, BatchCommitted, BatchFetched, BatchStarted, StepFinished
from engine.steps.base import BatchStep
from engine.testing import EventLog, InlineExecutor, NumberSource, SeekableNumbers

pytestmark = pytest.mark.integration


@pytest.fixture(params=executors("inline", "three threads", *ON_CLUSTERS))
def executor(request):
    return made(request)


@pytest.fixture(params=executors("three threads", *ON_CLUSTERS))
def side_by_side(request):
    return made(request)


class Thins(BatchStep):
    """Drops every third row."""

    concurrent = True

    def process(self, batch):
        return batch.with_data(batch.data.filter(pl.col("id") % 3 != 0))


class Whole(BatchStep):
    """Looks at all rows of its batch together, and refuses one batch."""

    concurrent = True
    row_wise = False

    def __init__(self, name, refuses=None):
        super().__init__(name)
        self.refuses = refuses

    def process(self, batch):
        if batch.batch_id == self.refuses:
            raise ValueError("not this one")
        return batch.with_data(batch.data.with_columns(together=pl.len().cast(pl.Int64)))


class Fussy(Total):
    """A memory that refuses one batch."""

    def __init__(self, name, batch_id):
        super().__init__(name)
        self.batch_id = batch_id

    def process(self, batch):
        if batch.batch_id == self.batch_id:
            raise ValueError("not this one")
        return super().process(batch)


def totals(run):
    return run.collect_results()["total"].unique(maintain_order=True).to_list()


# --- results --------------------------------------------------------------------------------------------


def test_a_step_in_the_middle_that_keeps_the_order_sees_it(tmp_path, executor):
    steps = [Noted("a", tmp_path, concurrent=True), Noted("b", tmp_path), Noted("c", tmp_path, concurrent=True)]
    run = pipeline(tmp_path / "ck", executor, *steps)
    assert run.run() == Frontier(9, 99, 100, {"a": 9, "b": 9, "c": 9})
    assert ids(run) == list(range(100))
    assert steps[1].calls() == list(range(10))
    assert sorted(steps[0].calls()) == sorted(steps[2].calls()) == list(range(10))


@pytest.mark.parametrize("source", [NumberSource, SeekableNumbers])
def test_a_step_with_a_memory_at_the_end_gets_what_the_others_made(tmp_path, executor, source):
    run = pipeline(tmp_path / "ck", executor, Thins("thin"), Whole("whole"), Total("sum"), source=source(95))
    run.run()
    reference = pipeline(
        tmp_path / "inline", InlineExecutor(), Thins("thin"), Whole("whole"), Total("sum"), source=source(95)
    )
    reference.run()
    assert_frame_equal(run.collect_results(), reference.collect_results())
    assert [run.batch(number).states for number in range(10)] == [
        reference.batch(number).states for number in range(10)
    ]
    assert [run.batch(number).cursor for number in range(10)] == [
        reference.batch(number).cursor for number in range(10)
    ]
    timings = run.batch(3).timings
    assert [timing.steps for timing in timings] == [("thin",), ("whole",), ("sum",)]
    assert [(timing.rows_in, timing.rows_out) for timing in timings] == [(10, 6), (6, 6), (6, 6)]


@pytest.mark.parametrize("rows", [0, 1, 10])
def test_every_size_of_source_is_done_to_the_end(tmp_path, executor, rows):
    run = pipeline(tmp_path / "ck", executor, Thins("thin"), Total("sum"), source=NumberSource(rows))
    assert run.run().total_rows_processed == rows
    assert run.view().state is RunState.FINISHED


def test_each_event_of_a_batch_comes_once_and_in_order(tmp_path, executor):
    log = EventLog()
    pipeline(tmp_path / "ck", executor, Noted("a", tmp_path, concurrent=True), Total("sum"), log=log).run()
    kinds = (BatchStarted, BatchFetched, StepFinished, BatchCommitted)
    told = [event for event in log.all() if isinstance(event, kinds) and event.batch_id == 3]
    assert [type(event) for event in told] == [BatchStarted, BatchFetched, StepFinished, StepFinished, BatchCommitted]
    assert [event.step for event in told[2:4]] == ["a", "sum"]


# --- failure, retry, stop -------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["head", "tail"])
@pytest.mark.parametrize("batch_id", [0, 4])
def test_after_a_failure_the_next_run_goes_on_at_that_batch(tmp_path, executor, failing, batch_id):
    head = Noted("head", tmp_path, concurrent=True, transient=False, fails={batch_id: 1} if failing == "head" else {})
    tail = Noted("tail", tmp_path, transient=False, fails={batch_id: 1} if failing == "tail" else {})
    run = pipeline(tmp_path / "ck", executor, head, Total("sum"), tail)
    with pytest.raises(StepFailed, match=rf"step '{failing}' failed at batch {batch_id} .*: ValueError: a bad row"):
        run.run()
    assert run.get_frontier().last_completed_batch_id == batch_id - 1
    assert leftovers(tmp_path / "ck") == []
    (failure,) = run.failures()
    assert (failure.step, failure.error_type, failure.batch_id) == (failing, "ValueError", batch_id)
    run.run()
    assert ids(run) == list(range(100))
    assert totals(run) == list(range(10, 101, 10))


def test_transient_errors_of_both_parts_are_tried_again_and_told(tmp_path, executor):
    log = EventLog()
    head, tail = Noted("head", tmp_path, fails={2: 2}, concurrent=True), Noted("tail", tmp_path, fails={2: 1, 7: 1})
    run = pipeline(tmp_path / "ck", executor, head, tail, log=log, retry=QUICK)
    run.run()
    told = sorted((event.batch_id, event.step, event.attempt) for event in log.of(AttemptFailed))
    assert told == [(2, "head", 1), (2, "head", 2), (2, "tail", 1), (7, "tail", 1)]
    assert [run.batch(batch_id).attempts for batch_id in (1, 2, 7)] == [1, 3, 2]


def test_a_graceful_stop_commits_what_is_in_flight_and_the_next_run_goes_on(tmp_path, side_by_side):
    tail = Noted("tail", tmp_path, waits_at=[2])
    log = EventLog()
    steps = (Noted("head", tmp_path, concurrent=True), Total("sum"), tail)
    run = pipeline(tmp_path / "ck", side_by_side, *steps, log=log, source=NumberSource(600))
    with in_background(run) as result:
        with tail.closed():
            log.wait_for(BatchStarted, 3)
            log.wait_for(BatchCommitted, 2)
            run.request_stop()
        frontier = result()
    assert 2 <= frontier.last_completed_batch_id <= 2 + side_by_side.window
    assert run.view().state is RunState.RESUMABLE
    assert leftovers(tmp_path / "ck") == []
    run.run()
    assert ids(run) == list(range(600))
    assert totals(run) == list(range(10, 601, 10))


def test_a_stop_now_gives_up_what_is_in_flight(tmp_path, side_by_side, monkeypatch):
    monkeypatch.setattr("engine.executors.threads._GRACE_SECONDS", 0.1)
    tail = Noted("tail", tmp_path, waits_at=[2])
    log = EventLog()
    run = pipeline(tmp_path / "ck", side_by_side, Noted("head", tmp_path, concurrent=True), tail, log=log)
    with in_background(run) as result, tail.closed():
        log.wait_for(BatchCommitted, 2)
        run.request_stop(now=True)
        assert result().last_completed_batch_id == 1
    assert run.view().state is RunState.RESUMABLE
    assert ids(run) == list(range(20))


# --- quarantine -----------------------------------------------------------------------------------------

PIPELINES = {
    "rows that fail before and at a step that keeps the order": lambda bad: [
        Refuses("one", bad[0], concurrent=True),
        Thins("thin"),
        Refuses("two", bad[1], concurrent=True),
        Refuses("three", bad[2], concurrent=False),
        FunctionBatchStep("last", lambda frame: frame.with_columns(twice=pl.col("id") * 2), concurrent=True),
    ],
    "rows that fail before a memory": lambda bad: [Refuses("one", [*bad[0], *bad[1]], concurrent=True), Total("sum")],
    "rows that fail on both sides of a step that looks at whole batches": lambda bad: [
        Refuses("one", bad[0], concurrent=True),
        Whole("whole"),
        Refuses("two", bad[1], concurrent=True),
        Refuses("three", bad[2], concurrent=False),
    ],
    "a whole batch in the head": lambda bad: [
        Thins("thin"),
        Whole("whole", 1 if bad[0] else None),
        Refuses("three", bad[2], concurrent=False),
    ],
    "a batch of which nothing is left in the head": lambda bad: [
        Refuses("one", range(10, 20) if bad[0] else [], concurrent=True),
        Whole("whole"),
        Refuses("two", range(20, 30) if bad[0] else [], concurrent=True),
        Keeps("keeps"),
    ],
    "a whole batch that a memory refuses": lambda bad: [
        Refuses("one", bad[0], concurrent=True),
        Thins("thin"),
        Fussy("sum", 2 if bad[0] else -1),
    ],
}
BAD = ((4, 13), (5, 25), (7, 25, 31))


class Keeps(BatchStep):
    """Keeps the order, and does nothing else."""

    def process(self, batch):
        return batch


def quarantined(run):
    about = [(manifest.batch_id, manifest.rows_out, manifest.quarantine) for manifest in map(run.batch, range(4))]
    told = [
        (number, rows, [(one.rows, one.step, one.error, one.from_step, one.whole, one.obstacle) for one in files])
        for number, rows, files in about
    ]
    return list(run.quarantine.rows()), told


@pytest.mark.parametrize("name", PIPELINES)
def test_rows_are_set_aside_and_replayed_as_in_one_piece(tmp_path, side_by_side, name):
    def made(folder, executor, bad):
        limits = Quarantine(40, None)
        return BatchPipeline(PIPELINES[name](bad), NumberSource(40), 10, folder, executor=executor, on_error=limits)

    run, reference = made(tmp_path / "ck", side_by_side, BAD), made(tmp_path / "inline", InlineExecutor(), BAD)
    assert run.run().last_completed_batch_id == reference.run().last_completed_batch_id == 3
    assert_frame_equal(run.collect_results(), reference.collect_results())
    assert quarantined(run) == quarantined(reference)
    assert run.view().state is RunState.INCOMPLETE
    whole = ((), (), ())
    again, reference = made(tmp_path / "ck", side_by_side, whole), made(tmp_path / "inline", InlineExecutor(), whole)
    assert again.quarantine.replay() == reference.quarantine.replay()
    assert_frame_equal(again.collect_results(), reference.collect_results())


@pytest.mark.parametrize("concurrent", [True, False])
def test_more_bad_rows_than_are_allowed_end_the_run_before_their_batch(tmp_path, executor, concurrent):
    steps = [Refuses("picky", [3, 4, 57, 99], concurrent=concurrent), Total("sum")]
    if not concurrent:
        steps.insert(0, Whole("whole"))
    run = BatchPipeline(steps, NumberSource(100), 10, tmp_path / "ck", executor=executor, on_error=Quarantine(2, None))
    with pytest.raises(QuarantineFull, match="batch 5"):
        run.run()
    assert run.get_frontier().last_completed_batch_id == 4
    assert [row.source_row for row in run.quarantine.rows()] == ([3, 4] if concurrent else [None, None])
    assert leftovers(tmp_path / "ck") == []
