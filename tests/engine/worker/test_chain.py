from __future__ import annotations

import threading

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import AddColumnBatchStep, CastBatchStep, DropNullsBatchStep, FilterBatchStep, SelectBatchStep
from engine.batch import Batch
from engine.checkpoint.parts.manifest import StepTiming
from engine.errors import StepFailed, StepResultInvalid
from engine.events import AttemptFailed, StepFinished
from engine.policy import Quarantine, RetryPolicy
from engine.steps.base import BatchStep, LazyBatchStep, StatefulBatchStep
from engine.testing import (
    TIMEOUT_SECONDS,
    EventLog,
    FailingStep,
    GateStep,
    PickyStep,
    RunningTotal,
    TransientError,
    numbers,
)
from engine.worker.chain import StepChain
from engine.worker.signals import Abandoned, StopSignal

RETRY = RetryPolicy(transient=(TransientError,), base_seconds=0)


def chain(*steps, retry=None, stop=None, emit=None, first_batch_id=0, states=None):
    return StepChain(
        steps,
        first_batch_id=first_batch_id,
        retry=retry,
        stop=stop or StopSignal(),
        emit=emit or EventLog(),
        states=states or {},
    )


def batch(batch_id=0, rows=10):
    return Batch(batch_id, batch_id * 10, batch_id * 10 + rows - 1, numbers(batch_id * 10, batch_id * 10 + rows))


class Step(BatchStep):
    """Does what the function says."""

    def __init__(self, name, function, *, concurrent=False):
        super().__init__(name)
        self.function = function
        self.concurrent = concurrent

    def process(self, batch):
        return self.function(batch)


def in_threads(function, arguments):
    """Call the function for each argument in a thread of its own; return results and errors by argument."""
    outcomes = {}

    def run(argument):
        try:
            outcomes[argument] = function(argument)
        except BaseException as error:  # noqa: BLE001 (looked at by the test)
            outcomes[argument] = error

    threads = [threading.Thread(target=run, args=(argument,), daemon=True) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert len(outcomes) == len(arguments), "somebody still waits"
    return outcomes


# --- one batch ------------------------------------------------------------------------------------------


def test_without_steps_a_batch_stays_as_it_is():
    processed = chain().process(batch())
    assert_frame_equal(processed.frame, numbers(0, 10))
    assert (processed.timings, processed.states, processed.attempts) == ([], {}, 1)


def test_steps_are_taken_in_order():
    plus = Step("plus", lambda b: b.with_data(b.data + 1))
    times = Step("times", lambda b: b.with_data(b.data * 10))
    assert chain(plus, times).process(batch(rows=2)).frame["id"].to_list() == [10, 20]
    assert chain(times, plus).process(batch(rows=2)).frame["id"].to_list() == [1, 11]


def test_rows_are_counted_before_and_after_each_step():
    log = EventLog()
    half = Step("half", lambda b: b.with_data(b.data.head(5)))
    processed = chain(half, Step("all", lambda b: b), emit=log).process(batch())
    assert [(event.step, event.rows_in, event.rows_out) for event in log.of(StepFinished)] == [
        ("half", 10, 5),
        ("all", 5, 5),
    ]
    assert [(timing.steps, timing.rows_in, timing.rows_out) for timing in processed.timings] == [
        (("half",), 10, 5),
        (("all",), 5, 5),
    ]


def test_the_key_goes_along():
    keys = []
    step = Step("see", lambda b: keys.append(b.key) or b)
    chain(step).process(Batch(0, 0, 9, numbers(0, 10), key="abc:0"))
    assert keys == ["abc:0"]


def test_a_step_may_drop_every_row_and_keep_the_columns():
    processed = chain(Step("none", lambda b: b.with_data(b.data.clear()))).process(batch())
    assert processed.frame.shape == (0, 1)


# --- what a step may not return -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda b: None, "nothing (None)"),
        (lambda b: b.data, "a DataFrame instead of a Batch"),
        (lambda b: b.with_data(b.data.lazy()), "a batch that holds a LazyFrame instead of a Polars DataFrame"),
        (lambda b: b.with_data(None), "a batch that holds a NoneType instead of a Polars DataFrame"),
        (lambda b: b.with_data(pl.DataFrame()), "a frame without any column"),
        (lambda b: b.with_data(b.data.select([])), "a frame without any column"),
        (lambda b: Batch(1, 0, 9, b.data), "batch 1 with rows 0 to 9"),
        (lambda b: Batch(0, 0, 4, b.data.head(5)), "batch 0 with rows 0 to 4"),
        (lambda b: Batch(0, 1, 10, b.data), "batch 0 with rows 1 to 10"),
        (lambda b: Batch(0, None, None, b.data), "batch 0 with rows None to None"),
    ],
)
def test_each_wrong_answer_has_its_sentence(answer, problem):
    with pytest.raises(StepResultInvalid) as caught:
        chain(Step("odd", answer)).process(batch())
    assert str(caught.value) == f"step 'odd' returned {problem} for batch 0"
    assert (caught.value.step, caught.value.batch_id) == ("odd", 0)
    assert "batch.with_data(frame)" in caught.value.hint


# --- failures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ValueError("703 mph"),
        SystemExit(3),
        pl.exceptions.PanicException("bounds"),
        KeyboardInterrupt(),
        AssertionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_step_raises_is_the_steps_failure(error):
    with pytest.raises(StepFailed) as caught:
        chain(FailingStep("speed", {2: error}), first_batch_id=2).process(batch(2))
    assert caught.value.__cause__ is error
    assert (caught.value.step, caught.value.batch_id, caught.value.start_row, caught.value.end_row) == (
        "speed",
        2,
        20,
        29,
    )


def test_a_result_that_a_step_itself_calls_invalid_stays_that():
    def raises(b):
        raise StepResultInvalid("wrap", 0, "nothing (None)")

    with pytest.raises(StepResultInvalid, match="step 'wrap' returned nothing"):
        chain(Step("wrap", raises)).process(batch())


def test_a_failing_step_lets_nobody_wait_behind_it():
    steps = chain(FailingStep("first", {}), FailingStep("second", {1: ValueError()}))

    def process(batch_id):
        try:
            return steps.process(batch(batch_id))
        except BaseException:
            steps.cancel_from(batch_id)
            raise

    outcomes = in_threads(process, [3, 2, 1, 0])
    assert {batch_id: type(outcome).__name__ for batch_id, outcome in outcomes.items()} == {
        0: "BatchResult",
        1: "StepFailed",
        2: "Abandoned",
        3: "Abandoned",
    }


# --- order ----------------------------------------------------------------------------------------------


def test_a_step_that_is_not_concurrent_sees_batches_in_order_and_one_at_a_time():
    seen, inside = [], []

    def look(b):
        inside.append(b.batch_id)
        assert inside == [b.batch_id]
        seen.append(b.batch_id)
        inside.clear()
        return b

    steps = chain(Step("one", look), Step("two", lambda b: b))
    in_threads(lambda batch_id: steps.process(batch(batch_id)), [4, 2, 0, 3, 1])
    assert seen == [0, 1, 2, 3, 4]


def test_a_concurrent_step_sees_several_at_once():
    meeting = threading.Barrier(3, timeout=TIMEOUT_SECONDS)
    steps = chain(Step("meet", lambda b: meeting.wait() is not None and b, concurrent=True))
    outcomes = in_threads(lambda batch_id: steps.process(batch(batch_id)).frame.height, [0, 1, 2])
    assert outcomes == {0: 10, 1: 10, 2: 10}


def test_two_ordered_steps_work_on_two_batches_at_once():
    first, second = GateStep("first", concurrent=False), GateStep("second", 0, concurrent=False)
    steps = chain(first, second)
    threads = [threading.Thread(target=steps.process, args=(batch(batch_id),), daemon=True) for batch_id in (0, 1)]
    for thread in threads:
        thread.start()
    second.wait_for(0)
    first.wait_for(0, 1)  # while batch 0 is still held at the second
    second.let_go()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()


# --- retries --------------------------------------------------------------------------------------------


def test_a_transient_error_is_tried_again():
    step = FailingStep("load", {0: [TransientError(), TransientError()]})
    log = EventLog()
    assert chain(step, retry=RETRY, emit=log).process(batch()).attempts == 3
    assert step.calls == [0, 0, 0]
    assert [event.attempt for event in log.of(AttemptFailed)] == [1, 2]


def test_a_steps_own_policy_wins():
    step = FailingStep("load", {0: [TransientError()] * 5})
    step.retry = RetryPolicy(transient=(TransientError,), max_attempts=2, base_seconds=0)
    with pytest.raises(StepFailed, match="after 2 attempts") as caught:
        chain(step, retry=RETRY).process(batch())
    assert caught.value.attempts == 2


def test_a_step_that_spoils_its_frame_gets_it_whole_for_the_next_attempt():
    seen = []

    def spoil(b):
        seen.append(b.data["id"].to_list())
        b.data.insert_column(0, pl.Series("junk", [0] * 10))
        b.data[0, "id"] = 99
        if len(seen) == 1:
            raise TransientError
        return b.with_data(b.data.drop("junk"))

    given = batch()
    chain(Step("spoil", spoil), retry=RETRY).process(given)
    assert seen == [list(range(10)), list(range(10))]
    assert given.data["id"].to_list() == list(range(10))


def test_a_stop_ends_the_wait_for_the_next_attempt():
    stop = StopSignal()
    step = FailingStep("load", {0: TransientError()})
    step.retry = RetryPolicy(transient=(TransientError,), base_seconds=1e6, max_wait_seconds=1e6, max_seconds=1e9)
    stop.ask()
    with pytest.raises(Abandoned):
        chain(step, stop=stop).process(batch())
    assert step.calls == [0]


def test_a_stop_now_begins_no_further_step():
    stop = StopSignal()
    second = FailingStep("second", {})
    steps = chain(Step("first", lambda b: stop.ask(now=True) or b), second, stop=stop)
    with pytest.raises(Abandoned):
        steps.process(batch())
    assert second.calls == []


def test_a_graceful_stop_finishes_the_batch():
    stop = StopSignal()
    second = FailingStep("second", {})
    steps = chain(Step("first", lambda b: stop.ask() or b), second, stop=stop)
    assert steps.process(batch()).frame.height == 10
    assert second.calls == [0]


# --- state ----------------------------------------------------------------------------------------------


def test_the_state_after_each_batch_is_kept_with_it():
    steps = chain(RunningTotal("sum"))
    assert [steps.process(batch(batch_id)).states for batch_id in range(3)] == [
        {"sum": {"total": 45}},
        {"sum": {"total": 190}},
        {"sum": {"total": 435}},
    ]


class Live(StatefulBatchStep):
    """Hands out its state itself and not a copy, as people do."""

    def __init__(self, name, *, fail=()):
        super().__init__(name)
        self.state = {"seen": []}
        self.fail = list(fail)

    def process(self, batch):
        self.state["seen"].append(batch.batch_id)
        if self.fail and self.fail[0] == batch.batch_id:
            self.fail.pop(0)
            raise TransientError
        return batch

    def snapshot(self):
        return self.state

    def restore(self, state):
        self.state = state or {"seen": []}


def test_a_state_that_changes_later_is_kept_as_it_was():
    steps = chain(Live("live"))
    processed = [steps.process(batch(batch_id)) for batch_id in range(3)]
    assert [one.states["live"]["seen"] for one in processed] == [[0], [0, 1], [0, 1, 2]]


def test_a_failed_attempt_leaves_no_trace_in_the_state():
    steps = chain(Live("live", fail=[0, 1, 1]), retry=RETRY)
    processed = [steps.process(batch(batch_id)) for batch_id in range(3)]
    assert [one.states["live"]["seen"] for one in processed] == [[0], [0, 1], [0, 1, 2]]
    assert [one.attempts for one in processed] == [2, 3, 1]


def test_a_failed_attempt_at_the_first_batch_of_a_run_goes_back_to_the_committed_state():
    step = Live("live", fail=[5])
    step.restore({"seen": [3, 4]})
    steps = chain(step, retry=RETRY, first_batch_id=5, states={"live": {"seen": [3, 4]}})
    assert steps.process(batch(5)).states == {"live": {"seen": [3, 4, 5]}}


@pytest.mark.parametrize("state", [object(), {1, 2}, float("nan"), {"at": b"x"}])
def test_a_state_that_is_no_json_is_the_steps_fault(state):
    class Odd(RunningTotal):
        def snapshot(self):
            return state

    with pytest.raises(StepResultInvalid, match="step 'odd' returned a snapshot that can't be stored"):
        chain(Odd("odd")).process(batch())


def test_a_snapshot_that_raises_is_the_steps_failure():
    class Odd(RunningTotal):
        def snapshot(self):
            raise RuntimeError("no state")

    with pytest.raises(StepFailed, match=r"step 'odd' failed at batch 0 .*no state"):
        chain(Odd("odd")).process(batch())


# --- expressions ----------------------------------------------------------------------------------------

ROWS = pl.DataFrame({"x": ["1", "2", None, "4", "oops"], "keep": [True, True, True, False, False]})
EXPRESSIONS = [
    DropNullsBatchStep("drop"),
    FilterBatchStep("keep", pl.col("keep")),
    CastBatchStep("cast", {"x": pl.Int64}),
    AddColumnBatchStep("double", "x", multiplier=2),
    SelectBatchStep("select", "x", "x_x2"),
]


class ByItself(LazyBatchStep):
    """The same plan, behind a `process` of its own: it is never fused."""

    def __init__(self, step):
        super().__init__(step.name)
        self.step = step

    def lazy(self, frame):
        return self.step.lazy(frame)

    def process(self, batch):
        return self.step.process(batch)


def rows_batch(rows=ROWS):
    return Batch(0, 0, rows.height - 1, rows)


def test_neighbouring_expressions_run_as_one():
    processed = chain(*EXPRESSIONS).process(rows_batch())
    assert processed.timings[0].steps == ("drop", "keep", "cast", "double", "select")
    assert len(processed.timings) == 1
    assert processed.frame.rows() == [(1, 2), (2, 4)]


def test_fused_and_one_by_one_give_the_same():
    fused = chain(*EXPRESSIONS).process(rows_batch())
    single = chain(*map(ByItself, EXPRESSIONS)).process(rows_batch())
    assert len(single.timings) == 5
    assert_frame_equal(fused.frame, single.frame)


@pytest.mark.parametrize(
    "steps",
    [
        [CastBatchStep("cast", {"x": pl.Int64}), FilterBatchStep("keep", pl.col("keep"))],
        [DropNullsBatchStep("drop"), CastBatchStep("cast", {"x": pl.Int64}), SelectBatchStep("select", "keep")],
    ],
    ids=["the filter behind would hide the bad value", "the selection behind would hide it"],
)
def test_a_value_that_fails_by_itself_fails_in_a_fused_plan_too(steps):
    with pytest.raises(StepFailed) as single:
        chain(*map(ByItself, steps)).process(rows_batch())
    with pytest.raises(StepFailed) as fused:
        chain(*steps).process(rows_batch())
    assert fused.value.step == single.value.step == "cast"


def test_a_failure_in_a_fused_plan_names_its_step():
    steps = [DropNullsBatchStep("drop"), AddColumnBatchStep("wrong", "nope"), SelectBatchStep("select", "x")]
    with pytest.raises(StepFailed, match="step 'wrong' failed at batch 0"):
        chain(*steps).process(rows_batch())


def test_a_plan_without_columns_names_its_step():
    class Nothing(LazyBatchStep):
        def lazy(self, frame):
            return frame.select([])

    with pytest.raises(StepResultInvalid, match="step 'nothing' returned a frame without any column"):
        chain(DropNullsBatchStep("drop"), Nothing("nothing")).process(rows_batch())


def test_fused_steps_finish_together_and_share_the_time():
    log = EventLog()
    chain(*EXPRESSIONS, emit=log).process(rows_batch())
    finished = log.of(StepFinished)
    assert [event.step for event in finished] == ["drop", "keep", "cast", "double", "select"]
    assert [(event.rows_in, event.rows_out) for event in finished] == [
        (5, None),
        (None, None),
        (None, None),
        (None, None),
        (None, 2),
    ]
    assert len({event.seconds for event in finished}) == 1


def test_an_expression_with_its_own_process_is_not_fused():
    class Own(LazyBatchStep):
        def lazy(self, frame):
            raise AssertionError("never asked")

        def process(self, batch):
            return batch.with_data(batch.data.head(1))

    processed = chain(DropNullsBatchStep("drop"), Own("own"), SelectBatchStep("select", "x")).process(rows_batch())
    assert [timing.steps for timing in processed.timings] == [("drop",), ("own",), ("select",)]
    assert processed.frame.height == 1


def test_an_expression_with_its_own_retries_is_not_fused():
    careful = DropNullsBatchStep("careful")
    careful.retry = RETRY
    assert [timing.steps for timing in chain(SelectBatchStep("a", "x"), careful).process(rows_batch()).timings] == [
        ("a",),
        ("careful",),
    ]


def test_a_lone_expression_counts_its_rows():
    (timing,) = chain(DropNullsBatchStep("drop")).process(rows_batch()).timings
    assert timing == StepTiming(("drop",), timing.seconds, 5, 4)


# --- rows that are taken out ----------------------------------------------------------------------------


def rescuing(*steps, stop=None, emit=None):
    return StepChain(
        steps,
        first_batch_id=0,
        retry=RETRY,
        stop=stop or StopSignal(),
        emit=emit or EventLog(),
        quarantine=Quarantine(max_rows=None, max_fraction=None),
    )


def test_rows_add_up_whatever_steps_drop_add_and_cannot_process():
    double = Step("double", lambda b: b.with_data(pl.concat([b.data, b.data])))
    double.row_wise = False
    few = Step("few", lambda b: b.with_data(b.data.filter(pl.col("id") % 3 != 0)))
    processed = rescuing(PickyStep("a", {1, 2}), few, double, PickyStep("b", {4})).process(batch())
    quarantined = sum(rows.frame.height for rows in processed.quarantined)
    assert (processed.frame.height, processed.dropped, quarantined) == (6, 0, 4)
    assert processed.frame["id"].to_list() == [5, 7, 8, 5, 7, 8]


def test_batches_behind_one_that_is_searched_wait_only_at_the_step_that_failed():
    a, b = PickyStep("a"), PickyStep("b", {5, 15, 25, 35})
    one = rescuing(a, b)
    done = in_threads(lambda batch_id: one.process(batch(batch_id)), range(4))
    for batch_id in range(4):
        expected = [n for n in range(batch_id * 10, batch_id * 10 + 10) if n % 10 != 5]
        assert done[batch_id].frame["id"].to_list() == expected
    assert (a.most_at_once, b.most_at_once) == (1, 1)


def test_a_search_that_is_given_up_lets_everyone_behind_it_go():
    b = PickyStep("b", {3, 4})
    b.process = lambda one: (_ for _ in ()).throw(MemoryError()) if one.batch_id == 0 else one
    one = rescuing(PickyStep("a"), b)

    def work(batch_id):
        try:
            return one.process(batch(batch_id))
        except BaseException:
            one.cancel_from(batch_id)
            raise

    done = in_threads(work, range(3))
    assert isinstance(done[0], StepFailed)
    assert isinstance(done[1], Abandoned)
    assert isinstance(done[2], Abandoned)


def test_a_stop_ends_a_search():
    stop = StopSignal()
    step = PickyStep("a", {5})
    process = step.process

    def asked(one):
        if one.data.height < 10:
            stop.ask(now=True)
        return process(one)

    step.process = asked
    with pytest.raises(Abandoned):
        rescuing(step, stop=stop).process(batch())


def test_each_step_is_told_finished_once_although_it_ran_many_times():
    log = EventLog()
    rescuing(PickyStep("a"), PickyStep("b", {3, 7}), emit=log).process(batch())
    assert [(event.step, event.rows_out) for event in log.of(StepFinished)] == [("a", 10), ("b", 8)]
