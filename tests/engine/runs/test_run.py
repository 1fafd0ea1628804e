"""One run from its start to its end: what is called when, and what is left when something goes wrong."""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl
import pytest

from engine import BatchPipeline, RunState
from engine.batch import Batch
from engine.errors import (
    FetchFailed,
    PipelineChanged,
    PipelineError,
    SchemaDrift,
    SourceNotFound,
    StepFailed,
    StepResultInvalid,
    StepSetupFailed,
    UsageError,
)
from engine.events import BatchCommitted, BatchFailed, BatchStarted, RunEnded, RunStarted, Warned
from engine.executors.threads import ThreadExecutor
from engine.progress import Progress
from engine.steps.base import BatchStep
from engine.testing import EventLog, FailingStep, NumberSource, RunningTotal, SeekableNumbers, numbers

pytestmark = pytest.mark.integration


@pytest.fixture
def log():
    return EventLog()


@pytest.fixture
def pipeline(tmp_path, log):
    def build(*steps, source=None, **options):
        options = {"batch_size": 10, "checkpoint_dir": tmp_path / "ck", "listeners": [log], "workers": 2} | options
        return BatchPipeline(steps, source or NumberSource(50), **options)

    return build


class Told(BatchStep):
    """Tells what it is called for, and raises where it should."""

    def __init__(self, name, calls, *, raises=()):
        super().__init__(name)
        self.calls = calls
        self.raises = raises

    def _tell(self, what):
        self.calls.append(f"{what} {self.name}")
        if what in self.raises:
            raise RuntimeError(f"{what} of {self.name} went wrong")

    def setup(self):
        self._tell("setup")

    def process(self, batch):
        self._tell("process")
        return batch

    def teardown(self):
        self._tell("teardown")


def temporary_files(folder):
    return [path.name for path in Path(folder).rglob("*") if ".tmp" in path.name]


# --- set-up and tear-down -------------------------------------------------------------------------------


def test_steps_are_set_up_in_order_and_torn_down_in_reverse(pipeline):
    calls = []
    pipeline(Told("a", calls), Told("b", calls), source=NumberSource(10)).run()
    assert calls == ["setup a", "setup b", "process a", "process b", "teardown b", "teardown a"]


def test_steps_are_torn_down_after_a_failure_too(pipeline):
    calls = []
    run = pipeline(Told("a", calls), Told("b", calls, raises=["process"]), source=NumberSource(10))
    with pytest.raises(StepFailed):
        run.run()
    assert calls == ["setup a", "setup b", "process a", "process b", "teardown b", "teardown a"]


def test_a_set_up_that_fails_ends_the_run_before_its_first_batch(pipeline, log):
    calls = []
    run = pipeline(Told("a", calls), Told("b", calls, raises=["setup"]), Told("c", calls))
    with pytest.raises(StepSetupFailed, match="step 'b' could not be set up: RuntimeError: setup of b went wrong"):
        run.run()
    assert "setup c" not in calls
    assert "process a" not in calls
    assert calls[-1] == "teardown a"
    assert run.history()[0].state == "failed"
    assert run.view().state is RunState.FAILED
    assert log.of(BatchFailed)[0].failure.step == "b"


def test_a_tear_down_that_fails_is_told_and_changes_nothing(pipeline, log):
    calls = []
    run = pipeline(Told("a", calls), Told("b", calls, raises=["teardown"]))
    assert run.run().last_completed_batch_id == 4
    assert calls[-1] == "teardown a"
    assert [event.message for event in log.of(Warned)] == [
        "step 'b' could not be torn down: RuntimeError: teardown of b went wrong"
    ]
    assert run.view().state is RunState.FINISHED


def test_a_tear_down_that_fails_does_not_hide_why_the_run_failed(pipeline):
    run = pipeline(Told("a", [], raises=["process", "teardown"]))
    with pytest.raises(StepFailed, match="process of a went wrong"):
        run.run()


def test_a_source_that_cannot_be_closed_is_told_and_changes_nothing(pipeline, log):
    class Stuck(SeekableNumbers):
        def close(self):
            raise OSError("will not close")

    run = pipeline(source=Stuck(50))
    assert run.run().last_completed_batch_id == 4
    assert "will not close" in log.of(Warned)[0].message
    assert run.view().state is RunState.FINISHED
    assert run.history()[0].state == "finished"


def test_the_state_is_restored_after_the_set_up(pipeline):
    class Forgetful(RunningTotal):
        def setup(self):
            self.total = 0

    run = pipeline(Forgetful("sum"), FailingStep("fail", {3: [ValueError()]}))
    with pytest.raises(StepFailed):
        run.run()
    run.run()
    assert run.collect_results()["total"].to_list() == pl.Series(range(50)).cum_sum().to_list()


def test_a_restore_that_fails_is_a_failed_set_up(pipeline):
    class Broken(RunningTotal):
        def restore(self, state):
            raise KeyError("total")

    with pytest.raises(StepSetupFailed, match="'broken' could not be set up: KeyError"):
        pipeline(Broken("broken")).run()


# --- the source -----------------------------------------------------------------------------------------


def test_a_source_is_opened_once_and_closed_once(pipeline):
    source = SeekableNumbers(50)
    pipeline(source=source).run()
    assert (len(source.opened), source.closed) == (1, 1)


def test_a_source_is_closed_after_a_failure_too(pipeline):
    source = SeekableNumbers(50)
    with pytest.raises(StepFailed):
        pipeline(FailingStep("a", {0: ValueError()}), source=source).run()
    assert source.closed == 1


def test_a_source_that_cannot_be_opened_leaves_no_trace(pipeline, log):
    class Missing(SeekableNumbers):
        def open(self, position):
            raise SourceNotFound("no file numbers.csv", hint="Look elsewhere.")

    run = pipeline(source=Missing(50))
    with pytest.raises(SourceNotFound):
        run.run()
    assert run.history() == []
    assert log.all() == []
    assert run.view().state is RunState.IDLE
    assert not run.checkpoint_dir.exists()


class Unprepared(ThreadExecutor):
    def prepare(self, steps, fetcher):
        raise UsageError("no such cluster")


class Missing(SeekableNumbers):
    def open(self, position):
        raise SourceNotFound("no file numbers.csv")


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": Missing(50)}, "no file numbers.csv"),
        ({"source": SeekableNumbers(50), "executor": Unprepared(1)}, "no such cluster"),
    ],
    ids=["source", "executor"],
)
def test_a_run_that_cannot_begin_leaves_no_folder_and_a_line_in_a_history_that_there_is(
    pipeline, options, message, resume
):
    run = pipeline(**options)
    with pytest.raises(PipelineError, match=message):
        run.run(resume)
    assert not run.checkpoint_dir.exists()
    run.checkpoint_dir.mkdir()
    (run.checkpoint_dir / "notes.txt").touch()
    with pytest.raises(PipelineError, match=message):
        run.run(resume)
    assert [path.name for path in run.checkpoint_dir.iterdir()] == ["notes.txt"]

    good = pipeline(source=SeekableNumbers(50))
    good.run()
    if "executor" in options and not resume:
        return  # the results are dropped before the cluster is looked for
    with pytest.raises(PipelineError, match=message):
        run.run(resume)
    refused, before = run.history()
    assert (refused.state, refused.message) == (RunState.FAILED, f"it did not begin: {message}")
    assert (refused.first_batch_id, refused.next_batch_id, before.state) == (5, None, RunState.FINISHED)
    assert good.status().state is RunState.FINISHED
    assert good.get_frontier().last_completed_batch_id == 4


@pytest.mark.parametrize("kind", [RunStarted, BatchStarted, BatchCommitted, RunEnded])
@pytest.mark.parametrize("in_progress", [True, False], ids=["before the view", "in a listener"])
def test_ctrl_c_while_any_event_is_handled_leaves_a_stopped_run_and_no_log(
    pipeline, caplog, monkeypatch, kind, in_progress
):
    log = EventLog()

    def interrupt(event):
        if isinstance(event, kind):
            monkeypatch.undo()
            raise KeyboardInterrupt

    run = pipeline(source=SeekableNumbers(50), listeners=[log, interrupt] if not in_progress else [log], workers=1)
    if in_progress:
        apply = Progress.__call__
        monkeypatch.setattr(Progress, "__call__", lambda self, event: (interrupt(event), apply(self, event)))
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert caplog.records == []
    assert run.history()[0].state in {RunState.RESUMABLE, RunState.FINISHED}
    assert len(log.of(RunStarted)) == len(log.of(RunEnded)) == 1
    assert pipeline(source=SeekableNumbers(50)).run().last_completed_batch_id == 4


def test_a_change_that_is_refused_is_in_the_history_and_is_not_recorded_as_the_pipeline(pipeline):
    pipeline(source=SeekableNumbers(50)).run()
    changed = pipeline(RunningTotal("other"), source=SeekableNumbers(50))
    for _ in range(2):
        with pytest.raises(PipelineChanged):
            changed.run()
    assert [run.state for run in changed.history()] == [RunState.FAILED, RunState.FAILED, RunState.FINISHED]
    assert pipeline(source=SeekableNumbers(70)).run().last_completed_batch_id == 6


@pytest.mark.parametrize("where", ["open", "size", "identity"])
def test_a_source_that_raises_before_the_run_begins_leaves_no_run_behind(pipeline, log, where):
    class Odd(SeekableNumbers):
        pass

    def fail(*_):
        raise OSError(f"{where} went wrong")

    setattr(Odd, where, fail)
    source = Odd(50)
    try:
        run = pipeline(source=source)
        run.run()
    except Exception as error:  # noqa: BLE001 (which kind is not the matter here)
        assert f"{where} went wrong" in str(error)  # noqa: PT017 (which kind is not the matter here)
    assert log.all() == []
    Odd.open, Odd.size, Odd.identity = SeekableNumbers.open, SeekableNumbers.size, SeekableNumbers.identity
    assert pipeline(source=SeekableNumbers(50)).history() == []


def test_an_empty_source_is_done_at_once(pipeline, log):
    run = pipeline(source=NumberSource(0))
    frontier = run.run()
    assert (frontier.last_completed_batch_id, frontier.total_rows_processed) == (-1, 0)
    assert run.history()[0].state == "finished"
    assert run.collect_results().shape == (0, 0)
    assert run.view().state is RunState.FINISHED


def test_batches_without_rows_are_batches(pipeline):
    sizes = [0, 10, 0, 0, 5, 0]
    starts = [0, 0, 10, 10, 10, 15]

    def fetch(batch_id, batch_size):
        if batch_id >= len(sizes):
            return None
        start, size = starts[batch_id], sizes[batch_id]
        return Batch(batch_id, start, start + size - 1, numbers(start, start + size))

    run = pipeline(source=fetch)
    frontier = run.run()
    assert (frontier.last_completed_batch_id, frontier.last_completed_row, frontier.total_rows_processed) == (5, 14, 15)
    assert run.collect_results()["id"].to_list() == list(range(15))
    assert run.run() == frontier


# --- failures -------------------------------------------------------------------------------------------


def test_a_failure_is_recorded_and_told(pipeline, log):
    run = pipeline(FailingStep("speed", {3: ValueError("703 mph, password=hunter2")}))
    with pytest.raises(StepFailed):
        run.run()
    (record,) = run.failures()
    (told,) = log.of(BatchFailed)
    assert told.failure == record
    assert (record.run_id, record.batch_id, record.start_row, record.end_row) == (1, 3, 30, 39)
    assert (record.step, record.attempts, record.error_type) == ("speed", 1, "ValueError")
    assert record.message.startswith("step 'speed' failed at batch 3 (rows 30 to 39): ValueError: 703 mph")
    assert "it continues at batch 3" in record.hint
    assert "Traceback (most recent call last)" in record.traceback
    assert "hunter2" not in record.message + record.traceback
    (run_record,) = run.history()
    assert (run_record.state, run_record.next_batch_id, run_record.rows_done) == ("failed", 3, 30)
    assert run_record.message == record.message
    ended = log.of(RunEnded)[0]
    assert (ended.state, ended.message) == (RunState.FAILED, record.message)


def test_the_error_that_is_raised_is_the_one_of_the_worker(pipeline):
    cause = ValueError("703 mph")
    with pytest.raises(StepFailed) as caught:
        pipeline(FailingStep("speed", {3: cause})).run()
    assert caught.value.__cause__ is cause
    assert caught.value.hint


@pytest.mark.parametrize(
    "error", [pl.exceptions.PanicException("index out of bounds"), SystemExit(3)], ids=["PanicException", "SystemExit"]
)
def test_what_is_no_exception_ends_the_run_like_any_other(pipeline, error):
    run = pipeline(FailingStep("odd", {2: error}))
    with pytest.raises(StepFailed):
        run.run()
    assert run.collect_results().height == 20
    assert run.failures()[0].error_type == type(error).__name__
    assert run.history()[0].state == "failed"


def test_a_real_panic_of_polars_ends_the_run_like_any_other(pipeline):
    class Panics(BatchStep):
        def process(self, batch):
            def boom(_):
                raise pl.exceptions.PanicException("from Rust")

            return batch.with_data(batch.data.with_columns(pl.col("id").map_batches(boom)))

    run = pipeline(Panics("panics"))
    with pytest.raises(StepFailed, match="step 'panics' failed at batch 0"):
        run.run()
    assert run.view().state is RunState.FAILED


def test_any_text_in_an_error_can_be_recorded(pipeline):
    run = pipeline(FailingStep("odd", {0: ValueError("caf\udce9 \x00 \x1b[31m \u202e")}))
    with pytest.raises(StepFailed):
        run.run()
    assert "caf" in run.failures()[0].message
    assert run.history()[0].state == "failed"


def test_an_error_that_cannot_be_shown_is_recorded_all_the_same(pipeline):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    run = pipeline(FailingStep("odd", {0: Mute()}))
    with pytest.raises(StepFailed, match="Mute: no message"):
        run.run()
    assert run.failures()[0].error_type == "Mute"


def test_columns_that_change_name_their_batch_and_are_not_committed(pipeline):
    class Drifts(BatchStep):
        def process(self, batch):
            return batch if batch.batch_id < 3 else batch.with_data(batch.data.rename({"id": "ID"}))

    run = pipeline(Drifts("drifts"))
    with pytest.raises(SchemaDrift, match="the results of batch 3 differ from the pinned schema") as caught:
        run.run()
    assert caught.value.differences == ("column 'id' (Int64) is missing", "column 'ID' (Int64) is new")
    assert run.collect_results().height == 30


def test_columns_stay_pinned_from_one_run_to_the_next(pipeline):
    run = pipeline(FailingStep("a", {2: [ValueError()]}))
    with pytest.raises(StepFailed):
        run.run()

    class Text(BatchStep):
        def process(self, batch):
            return batch.with_data(batch.data.cast(pl.String))

    with pytest.raises(SchemaDrift, match="column 'id' is String instead of Int64"):
        pipeline(Text("a")).run(accept_changes=True)
    assert run.collect_results().height == 20


def test_values_that_cannot_be_stored_are_the_steps_fault(pipeline):
    class Objects(BatchStep):
        def process(self, batch):
            things = pl.Series("thing", [object()] * batch.data.height, dtype=pl.Object)
            return batch.with_data(batch.data.with_columns(things))

    run = pipeline(Objects("objects"))
    with pytest.raises(StepResultInvalid, match="step 'objects' returned columns that can't be stored") as caught:
        run.run()
    assert caught.value.batch_id == 0
    assert run.failures()[0].step == "objects"
    assert temporary_files(run.checkpoint_dir) == []


def test_a_fetch_that_fails_is_recorded_without_a_step(pipeline):
    run = pipeline(source=NumberSource(50, errors={2: [ConnectionError("pg://ann:hunter2@db gone")]}))
    with pytest.raises(FetchFailed):
        run.run()
    (failure,) = run.failures()
    assert (failure.step, failure.batch_id, failure.start_row, failure.error_type) == (None, 2, None, "ConnectionError")
    assert "hunter2" not in failure.message + failure.traceback


def test_a_failure_that_cannot_be_recorded_does_not_hide_itself(pipeline, log, monkeypatch):
    from engine.checkpoint.catalog.catalog import Catalog

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    run = pipeline(FailingStep("a", {1: ValueError("703 mph")}))
    monkeypatch.setattr(Catalog, "add_failure", full)
    monkeypatch.setattr(Catalog, "end_run", full)
    with pytest.raises(StepFailed, match="703 mph"):
        run.run()
    assert "could not be recorded" in log.of(Warned)[-1].message
    assert log.of(RunEnded)[0].state is RunState.FAILED


# --- listeners ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("screen gone"), SystemExit(1), GeneratorExit()])
def test_a_listener_that_raises_changes_nothing(pipeline, error, caplog):
    def raises(event):
        raise error

    run = pipeline(RunningTotal("sum"), listeners=[raises])
    assert run.run().last_completed_batch_id == 4
    assert run.history()[0].state == "finished"


def test_a_listener_may_look_at_the_pipeline_from_within(pipeline):
    run = pipeline()
    seen = []

    def look(event):
        seen.append((run.view().state, run.get_frontier().last_completed_batch_id))

    run.add_listener(look)
    run.run()
    assert {state for state, _ in seen} == {RunState.RUNNING, RunState.FINISHED}
    assert [frontier for _, frontier in seen] == sorted(frontier for _, frontier in seen)


def test_events_of_a_run_stand_between_its_start_and_its_end(pipeline, log):
    pipeline(FailingStep("a", {})).run()
    kinds = [type(event) for event in log.all()]
    assert kinds[0] is RunStarted
    assert kinds[-1] is RunEnded
    assert (kinds.count(RunStarted), kinds.count(RunEnded)) == (1, 1)
    started = log.of(RunStarted)[0]
    assert (started.info.steps, started.info.batch_size, started.next_batch_id, started.next_row) == (("a",), 10, 0, 0)


# --- keys -----------------------------------------------------------------------------------------------


class KeepsKeys(BatchStep):
    def __init__(self, name, fail_at=None):
        super().__init__(name)
        self.keys = []
        self.fail_at = fail_at

    def process(self, batch):
        self.keys.append((batch.batch_id, batch.key))
        if batch.batch_id == self.fail_at:
            self.fail_at = None
            raise ValueError
        return batch


def test_a_batch_has_the_same_key_in_every_attempt_and_another_than_every_other_batch(pipeline):
    step = KeepsKeys("a", fail_at=2)
    run = pipeline(step)
    with pytest.raises(StepFailed):
        run.run()
    run.run()
    keys = dict(step.keys)
    assert len(set(keys.values())) == 5
    assert all(key.endswith(f":{batch_id}") for batch_id, key in step.keys)
    assert {key for batch_id, key in step.keys if batch_id == 2} == {keys[2]}


def test_after_a_rewind_a_batch_has_a_new_key(pipeline):
    step = KeepsKeys("a")
    run = pipeline(step)
    run.run()
    before = dict(step.keys)
    run.rewind(1)
    step.keys.clear()
    run.run()
    assert [batch_id for batch_id, _ in step.keys] == [2, 3, 4]
    assert not {key for _, key in step.keys} & set(before.values())


# --- nothing leaks --------------------------------------------------------------------------------------


def test_failing_runs_leave_no_thread_descriptor_or_file_behind(pipeline):
    def used():
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    run = pipeline(RunningTotal("sum"), FailingStep("a", {1: ValueError()}), source=NumberSource(20))
    for _ in range(3):
        with pytest.raises(StepFailed):
            run.run()
    threads, descriptors = used()
    for _ in range(12):
        with pytest.raises(StepFailed):
            run.run()
    assert used() <= (threads, descriptors + 1)
    assert temporary_files(run.checkpoint_dir) == []
    assert len(run.history()) == 15


def test_a_refused_call_leaves_no_descriptor_behind(pipeline):
    class Odd(FailingStep):
        def settings(self):
            return {"at": object()}

    run = pipeline(Odd("a", {}))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(UsageError):
            run.run()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
