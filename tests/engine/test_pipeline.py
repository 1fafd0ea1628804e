"""The public face: what may be built, where a run goes on, and who may do what at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import polars as pl
import pytest

from engine import BatchPipeline, FrameFetcher, Frontier, RetryPolicy, RunState
from engine.checkpoint.store import CheckpointStore
from engine.errors import (
    CheckpointLocked,
    NothingToRewind,
    PipelineChanged,
    SourceChanged,
    SourceNotFound,
    StepFailed,
    UsageError,
)
from engine.events import BatchCommitted, BatchStarted, RunEnded, RunStarted
from engine.testing import (
    TIMEOUT_SECONDS,
    EventLog,
    FailingStep,
    GateStep,
    NumberSource,
    RunningTotal,
    SeekableNumbers,
    numbers,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "ck"


@pytest.fixture
def pipeline(folder):
    def build(*steps, source=None, batch_size=10, **options):
        return BatchPipeline(steps, source or NumberSource(50), batch_size, folder, **({"workers": 2} | options))

    return build


def ids(run):
    return run.collect_results()["id"].to_list()


@contextmanager
def running(run, **options):
    """The pipeline running in a thread; the block gets a function that waits for what it returned or raised."""
    outcome = []

    def target():
        try:
            outcome.append(run.run(**options))
        except BaseException as error:  # noqa: BLE001 (handed on)
            outcome.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()

    def result():
        thread.join(TIMEOUT_SECONDS)
        assert outcome, "the run hangs"
        return outcome[0]

    yield result
    result()


# --- what may be built ----------------------------------------------------------------------------------


def test_building_a_pipeline_reads_and_writes_nothing(pipeline, folder):
    source = NumberSource(50)
    run = pipeline(FailingStep("a", {}), source=source)
    assert (source.calls, folder.exists()) == ([], False)
    assert run.view().state is RunState.IDLE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
        ({"batch_size": -5}, "not -5"),
        ({"batch_size": 2.5}, "not 2.5"),
        ({"batch_size": "10"}, "not '10'"),
        ({"batch_size": True}, "not True"),
        ({"batch_size": None}, "not None"),
        ({"workers": 0}, "workers must be a whole number of at least 1, not 0"),
        ({"workers": -1}, "not -1"),
        ({"workers": 1.5}, "not 1.5"),
        ({"workers": "2"}, "not '2'"),
        ({"batch_fetcher": None}, "batch_fetcher is a NoneType, which can't be called"),
        ({"batch_fetcher": numbers(0, 3)}, "batch_fetcher is a DataFrame, which can't be called"),
        ({"steps": [lambda batch: batch]}, "is not a step"),
        ({"steps": [FailingStep]}, "is not a step"),
        ({"steps": None}, "steps"),
        ({"steps": FailingStep("a", {})}, "steps"),
        ({"steps": [FailingStep("a", {}), FailingStep("a", {})]}, "two steps are called 'a'"),
        ({"part_compression": "gzip"}, "part_compression must be one of"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused_at_once(folder, arguments, message):
    fitting = {"steps": [], "batch_fetcher": NumberSource(5), "batch_size": 10, "checkpoint_dir": folder}
    with pytest.raises(UsageError) as caught:
        BatchPipeline(**(fitting | arguments))
    assert message in str(caught.value)
    assert not folder.exists()


def test_a_step_that_forgot_its_name_is_refused(folder):
    class Nameless(FailingStep):
        def __init__(self):
            pass

    with pytest.raises(UsageError, match="a step of class Nameless has no name") as caught:
        BatchPipeline([Nameless()], NumberSource(5), 10, folder)
    assert "super().__init__(name)" in caught.value.hint


def test_steps_may_come_from_a_generator(folder):
    run = BatchPipeline((FailingStep(name, {}) for name in "ab"), NumberSource(5), 10, folder)
    assert run.run().step_states == {"a": 0, "b": 0}


def test_a_pipeline_without_steps_copies(pipeline):
    run = pipeline()
    run.run()
    assert ids(run) == list(range(50))


@pytest.mark.parametrize("compression", ["zstd", "snappy", "lz4", "uncompressed"])
def test_parts_are_compressed_as_asked(pipeline, compression):
    run = pipeline(part_compression=compression)
    run.run()
    assert ids(run) == list(range(50))


# --- where a run goes on --------------------------------------------------------------------------------


def test_nothing_changed(pipeline):
    with pytest.raises(StepFailed):
        pipeline(FailingStep("a", {2: ValueError()})).run()
    source = NumberSource(50)
    run = pipeline(FailingStep("a", {}), source=source)
    assert run.run() == Frontier(4, 49, 50, {"a": 4})
    assert source.calls[:2] == [1, 2]  # 1 only to see whether it is still the source that was committed
    assert ids(run) == list(range(50))


def test_another_process_would_find_the_same_place(pipeline):
    with pytest.raises(StepFailed):
        pipeline(FailingStep("a", {2: ValueError()})).run()
    run = pipeline(FailingStep("a", {}))
    assert run.get_frontier() == Frontier(1, 19, 20, {"a": 1})
    view = run.refresh()
    assert (view.state, view.frontier, view.rows_committed) == (RunState.FAILED, 1, 20)


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("batch_size", [3, 7, 10, 1000])
def test_another_batch_size_with_a_seekable_source(pipeline, concurrent, batch_size):
    with pytest.raises(StepFailed):
        pipeline(FailingStep("a", {2: ValueError()}), source=SeekableNumbers(50, concurrent=concurrent)).run()
    source = SeekableNumbers(50, concurrent=concurrent)
    run = pipeline(FailingStep("a", {}), source=source, batch_size=batch_size)
    frontier = run.run()
    assert source.opened[-1].cursor == {"next_row": 20}
    assert frontier.last_completed_batch_id == 1 + -(-30 // batch_size)
    assert ids(run) == list(range(50))


def test_another_batch_size_with_a_plain_callable_is_refused_and_nothing_touched(pipeline):
    pipeline(source=NumberSource(20)).run()
    run = pipeline(source=NumberSource(50), batch_size=7)
    with pytest.raises(PipelineChanged, match="the batch size is 7, was 10") as caught:
        run.run()
    assert "batch_size=10" in caught.value.hint
    assert ids(run) == list(range(20))
    assert [one.next_batch_id for one in run.history()] == [None, 2]


def test_other_steps_are_refused_and_nothing_touched(pipeline):
    pipeline(FailingStep("a", {}), source=NumberSource(20)).run()
    run = pipeline(FailingStep("a", {}), FailingStep("b", {}), source=NumberSource(50))
    with pytest.raises(PipelineChanged, match="step 'b' is new") as caught:
        run.run()
    assert "accept" in caught.value.hint
    assert run.get_frontier().last_completed_batch_id == 1
    assert [one.next_batch_id for one in run.history()] == [None, 2]


def test_other_steps_go_on_when_they_are_accepted_and_are_the_pipeline_from_then_on(pipeline):
    pipeline(FailingStep("a", {}), source=NumberSource(20)).run()
    changed = [FailingStep("b", {}), FailingStep("a", {})]
    run = pipeline(*changed, source=NumberSource(50))
    assert run.run(accept_changes=True) == Frontier(4, 49, 50, {"b": 4, "a": 4})
    assert ids(run) == list(range(50))
    pipeline(*changed, source=NumberSource(50)).run()
    with pytest.raises(PipelineChanged, match="step 'b' is gone"):
        pipeline(FailingStep("a", {}), source=NumberSource(50)).run()


def test_other_steps_are_fine_after_a_reset(pipeline):
    pipeline(FailingStep("a", {})).run()
    run = pipeline(FailingStep("b", {}))
    run.reset_frontier()
    assert run.run().step_states == {"b": 4}


def test_a_new_stateful_step_that_is_accepted_starts_at_its_start(pipeline):
    pipeline(FailingStep("a", {}), source=NumberSource(20)).run()

    class Quiet(RunningTotal):
        def process(self, batch):
            super().process(batch)
            return batch

    step = Quiet("sum")
    pipeline(FailingStep("a", {}), step, source=NumberSource(50)).run(accept_changes=True)
    assert step.restored[0] is None


def test_a_seekable_source_that_has_grown_goes_on_from_its_cursor(pipeline):
    pipeline(source=SeekableNumbers(25)).run()
    run = pipeline(source=SeekableNumbers(48))
    assert run.run() == Frontier(5, 47, 48, {})  # batches 0 to 2, the third of 5 rows, then 25-34, 35-44, 45-47
    assert ids(run) == list(range(48))


def test_a_plain_callable_that_has_grown_behind_a_full_batch_goes_on(pipeline):
    pipeline(source=NumberSource(20)).run()
    run = pipeline(source=NumberSource(48))
    run.run()
    assert ids(run) == list(range(48))


@pytest.mark.parametrize("rows", [26, 29, 30, 31, 48, 50])
def test_a_plain_callable_that_has_grown_has_its_short_last_batch_done_again(pipeline, rows):
    pipeline(RunningTotal("sum"), source=NumberSource(25)).run()
    run = pipeline(RunningTotal("sum"), source=NumberSource(rows))
    assert run.run().total_rows_processed == rows
    assert ids(run) == list(range(rows))
    assert run.collect_results()["total"].to_list() == pl.Series(range(rows)).cum_sum().to_list()
    with CheckpointStore(run.checkpoint_dir) as store:
        assert store.result_row_count() == rows
        assert [m.batch_id for m in store.batches(0, 99)] == list(range(-(-rows // 10)))


def test_the_only_batch_may_be_done_again_too(pipeline):
    pipeline(source=NumberSource(5)).run()
    run = pipeline(source=NumberSource(8))
    run.run()
    assert ids(run) == list(range(8))
    assert run.get_frontier() == Frontier(0, 7, 8, {})


def test_a_batch_that_is_done_again_and_fails_leaves_the_old_one(pipeline):
    pipeline(FailingStep("a", {}), source=NumberSource(25)).run()
    run = pipeline(FailingStep("a", {2: ValueError()}), source=NumberSource(28))
    with pytest.raises(StepFailed):
        run.run()
    assert ids(run) == list(range(25))
    assert run.get_frontier() == Frontier(2, 24, 25, {"a": 2})
    run = pipeline(FailingStep("a", {}), source=NumberSource(28))
    run.run()
    assert ids(run) == list(range(28))


def test_a_source_that_has_grown_batch_by_batch_is_never_doubled(pipeline):
    run = None
    for rows in range(1, 35, 3):
        run = pipeline(source=NumberSource(rows))
        run.run()
        assert ids(run) == list(range(rows)), rows
    assert run.get_frontier().total_rows_processed == 34


@pytest.mark.parametrize(
    ("rows", "now"), [(50, 49), (50, 40), (50, 30), (50, 0), (45, 44), (45, 40), (45, 39), (45, 0)]
)
def test_a_plain_callable_that_has_shrunk_is_refused_and_nothing_touched(pipeline, rows, now):
    pipeline(source=NumberSource(rows)).run()
    run = pipeline(source=NumberSource(now))
    with pytest.raises(SourceChanged) as caught:
        run.run()
    assert "reset" in caught.value.hint
    assert run.get_frontier().total_rows_processed == rows
    assert [one.next_batch_id for one in run.history()] == [None, 5]


def test_a_seekable_source_that_has_shrunk_is_refused_and_nothing_touched(pipeline):
    pipeline(source=SeekableNumbers(50)).run()
    run = pipeline(source=SeekableNumbers(45))
    with pytest.raises(SourceChanged):
        run.run()
    assert ids(run) == list(range(50))
    assert [one.next_batch_id for one in run.history()] == [None, 5]


def test_a_frame_of_another_shape_is_another_source(pipeline):
    pipeline(source=FrameFetcher(numbers(0, 50))).run()
    with pytest.raises(PipelineChanged, match="source: schema is"):
        pipeline(source=FrameFetcher(numbers(0, 60).cast(pl.Int32))).run()


def test_a_finished_pipeline_run_again_stays_finished(pipeline):
    run = pipeline()
    run.run()
    assert run.run() == Frontier(4, 49, 50, {})
    assert [record.state for record in run.history()] == ["finished", "finished"]
    assert run.view().state is RunState.FINISHED


def test_the_state_of_a_step_goes_on_over_many_short_runs(pipeline, folder):
    for failing in (1, 2, 4):
        with pytest.raises(StepFailed):
            pipeline(RunningTotal("sum"), FailingStep("a", {failing: ValueError()})).run()
    step = RunningTotal("sum")
    run = pipeline(step, FailingStep("a", {}))
    run.run()
    assert step.restored == [{"total": sum(range(40))}]
    assert run.collect_results()["total"].to_list() == pl.Series(range(50)).cum_sum().to_list()


# --- fresh ----------------------------------------------------------------------------------------------


def test_a_fresh_run_starts_at_the_start_and_keeps_the_history(pipeline):
    pipeline(RunningTotal("sum")).run()
    source = NumberSource(30)
    run = pipeline(RunningTotal("sum"), source=source)
    run.run(resume=False)
    assert source.calls[0] == 0
    assert ids(run) == list(range(30))
    assert [(record.run_id, record.state) for record in run.history()] == [(2, "finished"), (1, "finished")]


def test_a_fresh_run_is_seen_by_the_view(pipeline):
    run = pipeline()
    run.run()
    run.run(resume=False)
    view = run.view()
    assert (view.state, view.frontier, view.rows_committed_before, view.rows_committed) == (RunState.FINISHED, 4, 0, 50)


def test_a_fresh_run_without_anything_before_is_a_run(pipeline):
    assert pipeline().run(resume=False).last_completed_batch_id == 4


def test_a_fresh_run_over_a_source_that_is_not_there_costs_nothing(pipeline):
    class Missing(SeekableNumbers):
        def open(self, position):
            raise SourceNotFound("no such file")

    pipeline(source=SeekableNumbers(50)).run()
    run = pipeline(source=Missing(50))
    with pytest.raises(SourceNotFound):
        run.run(resume=False)
    assert ids(run) == list(range(50))


def test_a_fresh_run_that_would_be_refused_costs_nothing(pipeline):
    class Odd(FailingStep):
        def settings(self):
            return {"at": object()}

    pipeline().run()
    run = pipeline(Odd("odd", {}))
    with pytest.raises(UsageError, match="settings of step 'odd'"):
        run.run(resume=False)
    assert ids(run) == list(range(50))


# --- back -----------------------------------------------------------------------------------------------


def test_a_rewind_is_gone_on_from(pipeline):
    run = pipeline(RunningTotal("sum"))
    run.run()
    assert run.rewind(1) == 3
    assert run.get_frontier() == Frontier(1, 19, 20, {"sum": 1})
    view = run.view()
    assert (view.state, view.frontier, view.rows_committed, view.rows_to_go) == (RunState.RESUMABLE, 1, 20, 30)
    assert (view.total_batches, view.fraction, view.run_id, view.elapsed_seconds) == (5, 0.4, None, 0.0)
    assert ids(run) == list(range(20))
    run.run()
    assert run.collect_results()["total"].to_list() == pl.Series(range(50)).cum_sum().to_list()


def test_a_reset_starts_over_with_another_batch_size(pipeline):
    pipeline().run()
    run = pipeline(batch_size=7)
    run.reset_frontier()
    view = run.view()
    assert (view.state, view.frontier, view.rows_committed, view.batch_states) == (RunState.IDLE, -1, 0, b"")
    run.run()
    assert ids(run) == list(range(50))


def test_resetting_what_was_never_run_does_nothing(pipeline, folder):
    run = pipeline()
    run.reset_frontier()
    assert run.rewind(-1) == 0
    assert not folder.exists()


@pytest.mark.parametrize("batch_id", [5, 99, -2])
def test_a_rewind_to_nowhere_is_refused(pipeline, batch_id):
    run = pipeline()
    run.run()
    with pytest.raises(NothingToRewind):
        run.rewind(batch_id)
    assert ids(run) == list(range(50))


def test_what_is_known_of_a_batch(pipeline):
    run = pipeline(source=SeekableNumbers(45))
    run.run()
    manifest = run.batch(4)
    assert (manifest.batch_id, manifest.start_row, manifest.end_row, manifest.rows_out) == (4, 40, 44, 5)
    assert manifest.cursor == {"next_row": 45}


@pytest.mark.parametrize("batch_id", [-1, 5, 10**15])
def test_a_batch_that_is_not_committed_is_said_so(pipeline, batch_id):
    run = pipeline()
    with pytest.raises(UsageError, match=f"no committed batch {batch_id}"):
        run.batch(batch_id)
    run.run()
    with pytest.raises(UsageError, match=f"no committed batch {batch_id}"):
        run.batch(batch_id)


# --- history --------------------------------------------------------------------------------------------


def test_history_and_failures_of_what_was_never_run_are_empty(pipeline, folder):
    assert (pipeline().history(), pipeline().failures()) == ([], [])
    assert not folder.exists()


def test_each_run_is_in_the_history_with_how_it_ended(pipeline):
    with pytest.raises(StepFailed):
        pipeline(FailingStep("a", {2: ValueError()})).run()
    stopped = pipeline(FailingStep("a", {}), source=NumberSource(500))
    stopped.add_listener(lambda event: stopped.request_stop() if isinstance(event, BatchCommitted) else None)
    stopped.run()
    run = pipeline(FailingStep("a", {}), source=NumberSource(500))
    run.run()
    assert [record.state for record in run.history()] == ["finished", "resumable", "failed"]
    assert sum(record.rows_done for record in run.history()) == 500
    assert [record.state for record in run.history(limit=1)] == ["finished"]


def test_a_run_that_was_killed_is_in_the_history_as_crashed(pipeline, folder):
    code = f"""
import os
from engine import BatchPipeline
from engine.events import BatchCommitted
from engine.testing import NumberSource
def die(event):
    if isinstance(event, BatchCommitted) and event.batch_id == 2:
        os.kill(os.getpid(), 9)
BatchPipeline([], NumberSource(50), 10, {str(folder)!r}, workers=1, listeners=[die]).run()
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    run = pipeline()
    assert run.history()[0].state == "crashed"
    assert run.get_frontier().last_completed_batch_id >= 2
    run.run()
    assert ids(run) == list(range(50))
    assert [record.state for record in run.history()] == ["finished", "crashed"]


# --- one at a time --------------------------------------------------------------------------------------


def test_a_second_run_of_another_pipeline_is_told_who_is_at_it(pipeline):
    gate = GateStep("gate", 1)
    first, second = pipeline(gate), pipeline(GateStep("gate"))
    with running(first) as result:
        gate.wait_for(1)
        assert ([run.state for run in second.history()], second.failures()) == (["running"], [])
        for call in (second.run, second.reset_frontier, lambda: second.rewind(0)):
            with pytest.raises(CheckpointLocked, match=f"process {os.getpid()}"):
                call()
        gate.let_go()
        assert result() == Frontier(4, 49, 50, {"gate": 4})
    second.run()
    assert ids(second) == list(range(50))


def test_a_second_run_of_the_same_object_is_refused(pipeline):
    gate = GateStep("gate", 1)
    run = pipeline(gate)
    with running(run):
        gate.wait_for(1)
        for call in (run.run, run.refresh, run.reset_frontier, lambda: run.rewind(0)):
            with pytest.raises(CheckpointLocked, match="this pipeline object, which is running"):
                call()
        gate.let_go()


def test_a_second_process_is_told_who_is_at_it_and_leaves_it_alone(pipeline, folder):
    gate = GateStep("gate", 1)
    run = pipeline(gate)
    with running(run) as result:
        gate.wait_for(1)
        code = (
            "from engine import BatchPipeline; from engine.testing import GateStep, NumberSource\n"
            f"BatchPipeline([GateStep('gate')], NumberSource(50), 10, {str(folder)!r}).run()"
        )
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert f"is in use by process {os.getpid()}" in other.stderr
        gate.let_go()
        assert result().last_completed_batch_id == 4
    assert len(run.history()) == 1


def test_during_a_run_others_see_frontier_batches_and_results(pipeline):
    gate, log = GateStep("gate", 3), EventLog()
    run = pipeline(gate, listeners=[log])
    other = pipeline(GateStep("gate"))
    with running(run):
        gate.wait_for(3)
        log.wait_for(BatchCommitted, 3)
        for one in (run, other):
            assert one.get_frontier() == Frontier(2, 29, 30, {"gate": 2})
            assert ids(one) == list(range(30))
            assert [frame.height for frame in one.iter_results()] == [10, 10, 10]
            assert one.query_results("SELECT count(*) FROM results").item() == 30
            assert one.batch(2).end_row == 29
        assert run.view().state is RunState.RUNNING
        gate.let_go()


# --- stop -----------------------------------------------------------------------------------------------


def test_a_stop_before_anything_runs_stops_nothing(pipeline):
    run = pipeline()
    run.request_stop()
    run.request_stop(now=True)
    assert run.view().state is RunState.IDLE
    assert run.run().last_completed_batch_id == 4


def test_a_stop_from_a_signal_handler(pipeline):
    gate = GateStep("gate", 1)
    run = pipeline(gate, source=NumberSource(1_000_000))
    run.add_listener(lambda event: os.kill(os.getpid(), signal.SIGUSR1) if event == BatchStarted(1) else None)

    def handler(*_):
        run.request_stop()
        gate.let_go()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        frontier = run.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert 0 <= frontier.last_completed_batch_id <= 20
    assert run.view().state is RunState.RESUMABLE


def test_a_hanging_step_does_not_keep_a_stop_now_waiting_for_ever(pipeline, monkeypatch):
    monkeypatch.setattr("engine.executors.threads._GRACE_SECONDS", 0.1)
    gate, log = GateStep("gate", 1), EventLog()
    run = pipeline(gate, listeners=[log])
    with running(run) as result:
        gate.wait_for(1)
        log.wait_for(BatchCommitted)
        run.request_stop(now=True)
        assert result() == Frontier(0, 9, 10, {"gate": 0})
    assert run.view().state is RunState.RESUMABLE
    gate.let_go()
    assert run.run().last_completed_batch_id == 4
    assert ids(run) == list(range(50))


def test_a_batch_left_hanging_by_one_run_does_no_harm_to_the_next(pipeline, monkeypatch):
    monkeypatch.setattr("engine.executors.threads._GRACE_SECONDS", 0.1)

    class Hangs(RunningTotal):
        def __init__(self, name):
            super().__init__(name)
            self.go_on = threading.Event()
            self.inside = threading.Event()
            self.hung = False

        def process(self, batch):
            if batch.batch_id == 1 and not self.hung:
                self.hung = True
                self.inside.set()
                self.go_on.wait(TIMEOUT_SECONDS)
            return super().process(batch)

    step = Hangs("sum")
    run = pipeline(step)
    with running(run) as result:
        assert step.inside.wait(TIMEOUT_SECONDS)
        run.request_stop(now=True)
        result()
    with pytest.raises(UsageError, match="a batch of the last run is still running"):
        run.run()
    assert run.get_frontier().last_completed_batch_id == 0
    step.go_on.set()
    monkeypatch.undo()
    run.run()
    assert run.collect_results()["total"].to_list() == pl.Series(range(50)).cum_sum().to_list()


def test_a_thread_left_hanging_by_one_run_takes_no_batch_of_the_next(pipeline, monkeypatch):
    monkeypatch.setattr("engine.executors.threads._GRACE_SECONDS", 0.1)
    gate, log = GateStep("gate", 1), EventLog()
    run = pipeline(gate, source=SeekableNumbers(3000, concurrent=True), listeners=[log])
    with running(run) as result:
        gate.wait_for(1)
        log.wait_for(BatchCommitted)
        run.request_stop(now=True)
        result()
    run.add_listener(lambda event: gate.let_go() if event == BatchStarted(2) else None)
    assert run.run().last_completed_batch_id == 299
    assert ids(run) == list(range(3000))


def test_ctrl_c_is_raised_and_leaves_the_run_resumable(pipeline):
    log = EventLog()
    run = pipeline(source=NumberSource(1_000_000), listeners=[log])
    main = threading.main_thread().ident

    def interrupt(event):
        if isinstance(event, BatchStarted) and event.batch_id == 5:
            signal.pthread_kill(main, signal.SIGINT)

    run.add_listener(interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert run.view().state is RunState.RESUMABLE
    assert log.of(RunEnded)[0].state is RunState.RESUMABLE
    assert run.history()[0].state == "resumable"
    frontier = run.get_frontier()
    assert run.collect_results().height == frontier.total_rows_processed


def test_interrupted_at_any_moment_the_next_run_goes_on(tmp_path):
    """Ctrl-C strikes the runner's thread wherever it is: between commit and rename, in DuckDB, in a wait."""
    code = """
import random, signal, sys
from engine import BatchPipeline, PipelineError
from engine.testing import NumberSource, RunningTotal
run = BatchPipeline([RunningTotal("sum")], NumberSource(400), 10, sys.argv[1], workers=2)
run.get_frontier()
chance = random.Random(int(sys.argv[2]))
kinds = []
signal.signal(signal.SIGALRM, signal.default_int_handler)
while True:
    try:
        # The longer it takes, the more time there is: under load nothing might be done in 0.15 s.
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.001, 0.15 * 1.1 ** len(kinds)))
        run.run()
        signal.setitimer(signal.ITIMER_REAL, 0)
        break
    except KeyboardInterrupt:
        kinds.append("interrupted")
    except PipelineError as error:
        kinds.append(error)  # Polars makes a TypeError of a Ctrl-C that comes while it asks Python something
run.run()
results = run.collect_results()
assert results["id"].to_list() == list(range(400))
assert results["total"].to_list() == results["id"].cum_sum().to_list()
print(len(kinds))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "ck"), "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# --- the view -------------------------------------------------------------------------------------------


def test_before_the_first_run_the_view_knows_the_source(pipeline, folder):
    view = pipeline(source=SeekableNumbers(50)).refresh()
    assert (view.state, view.info.source_rows, view.frontier) == (RunState.IDLE, 50, -1)
    assert not folder.exists()


def test_after_a_stop_the_view_of_another_process_is_resumable(pipeline):
    run = pipeline(source=NumberSource(500))
    run.add_listener(lambda event: run.request_stop() if isinstance(event, BatchCommitted) else None)
    frontier = run.run()
    view = pipeline(source=NumberSource(500)).refresh()
    assert (view.state, view.frontier) == (RunState.RESUMABLE, frontier.last_completed_batch_id)


def test_options_make_another_pipeline_of_the_same_steps(pipeline, tmp_path):
    run = pipeline(FailingStep("a", {}), retry=RetryPolicy())
    other = run.with_options(batch_size=7, checkpoint_dir=tmp_path / "other", workers=1)
    assert (other.batch_size, other.checkpoint_dir, other.workers) == (7, tmp_path / "other", 1)
    other.run()
    assert ids(other) == list(range(50))
    assert run.get_frontier().last_completed_batch_id == -1


def test_a_listener_added_later_hears_the_runs_to_come(pipeline):
    run, log = pipeline(), EventLog()
    run.run()
    run.add_listener(log)
    run.run()
    assert [event.run_id for event in log.of(RunStarted)] == [2]
