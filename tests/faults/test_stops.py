"""A stop comes in every state, at every kind of moment: what is committed stays, the next run goes on from there."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import fault_run
import fault_target
import mishaps
import pytest

from engine import events
from engine.state import RunState

TRIALS = int(os.environ.get("FAULT_TRIALS", "10"))
RESUMABLE, INTERRUPTED = 4, 130
LOG = "checkpoint.duckdb.wal"
WRITE, FSYNC = 3, 4
"""Which changes of the log the first commit of batches makes; the first two record that a run begins."""
MOMENTS = (
    events.RunStarted,
    events.BatchStarted,
    events.BatchFetched,
    events.StepFinished,
    events.BatchCommitted,
    events.GroupCommitted,
    events.RunEnded,
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoint"


def stop_at(folder, moment, *, now, times=1):
    """Run and ask for a stop at the first event of that kind, from the thread that it comes from."""
    pipeline = fault_target.pipeline(folder)
    asked = []

    def listen(event):
        if isinstance(event, moment) and not asked:
            asked.append(event)
            for _ in range(times):
                pipeline.request_stop(now=now)

    pipeline.add_listener(listen)
    pipeline.run()
    assert asked
    return pipeline.view()


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_a_double_stop_at_every_kind_of_event_leaves_a_checkpoint_to_go_on_from(folder, moment):
    view = stop_at(folder, moment, now=moment in MOMENTS[::2], times=2)
    assert view.state is (RunState.FINISHED if moment is events.RunEnded else RunState.RESUMABLE)
    assert fault_run.assert_resumes(folder) == view.frontier + 1


@pytest.mark.long
@pytest.mark.parametrize("trial", range(TRIALS))
@pytest.mark.parametrize("now", [False, True], ids=["gracefully", "now"])
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_a_stop_at_every_kind_of_event_and_of_either_kind_loses_nothing(folder, moment, now, trial):
    view = stop_at(folder, moment, now=now)
    assert fault_run.assert_resumes(folder) == view.frontier + 1


def test_a_graceful_stop_commits_what_is_in_flight(folder):
    assert stop_at(folder, events.BatchCommitted, now=False).frontier > 0


def test_a_stop_before_a_run_and_after_it_is_forgotten(folder):
    pipeline = fault_target.pipeline(folder)
    pipeline.request_stop(now=True)
    assert pipeline.view().state is RunState.IDLE
    assert pipeline.run().next_batch_id == fault_target.BATCHES
    pipeline.request_stop()
    pipeline.request_stop(now=True)
    assert pipeline.view().state is RunState.FINISHED
    pipeline.rewind(4)
    pipeline.request_stop()
    assert pipeline.view().state is RunState.RESUMABLE
    assert pipeline.run().next_batch_id == fault_target.BATCHES
    fault_run.assert_finished(folder)


def test_a_stop_after_a_failure_is_forgotten(folder, monkeypatch):
    pipeline = fault_target.pipeline(folder)
    for name, value in mishaps.at(folder, "system exit").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Exception, match="SystemExit"):
        pipeline.run()
    pipeline.request_stop(now=True)
    assert pipeline.view().state is RunState.FAILED
    monkeypatch.undo()
    assert pipeline.run().next_batch_id == fault_target.BATCHES
    fault_run.assert_finished(folder)


def signalled(shim, folder, kind, call, name=LOG):
    """Run the command; the signal arrives inside of the n-th change of that file."""
    environment = fault_run.injected(shim, folder, kind, call, folder.with_name("calls"), name=name)
    end = fault_run.run(folder, environment=environment)
    expected = {0, INTERRUPTED if kind == "SIGINT again" else RESUMABLE}
    assert end.code in expected, end.talk
    assert "Traceback" not in end.stderr, end.talk
    return end, fault_run.assert_resumes(folder)


@pytest.mark.parametrize(("kind", "call"), [("SIGTERM", WRITE), ("SIGINT", FSYNC), ("SIGINT again", FSYNC)])
def test_a_signal_in_the_middle_of_a_commit_stops_the_run_behind_it(shim, folder, kind, call):
    end, committed = signalled(shim, folder, kind, call)
    assert end.code
    assert committed > 0 or "again" in kind, "what is in flight should be committed"


def interrupted(shim, folder, call, name=""):
    """Run without the command, in the main thread: there SIGINT is a KeyboardInterrupt, at any moment."""
    environment = fault_run.injected(shim, folder, "SIGINT", call, folder.with_name("calls"), name=name)
    script = "import sys, fault_target; fault_target.pipeline(sys.argv[1]).run()"
    end = fault_run.ended(
        fault_run.spawn(
            [sys.executable, "-c", script, folder], environment=environment | {"PYTHONPATH": _with_this_folder()}
        )
    )
    assert end.code in {0, -signal.SIGINT}, end.talk
    return fault_run.assert_resumes(folder)


def _with_this_folder():
    return os.pathsep.join([str(fault_run.HERE), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.mark.parametrize("call", [WRITE, FSYNC])
def test_a_ctrl_c_in_the_middle_of_a_commit_of_ones_own_program_loses_nothing(shim, folder, call):
    interrupted(shim, folder, call, LOG)


@pytest.mark.parametrize("name", ["SIGHUP", pytest.param("SIGINT twice", marks=pytest.mark.long)])
def test_a_signal_while_a_step_works_stops_the_run(folder, name):
    end = fault_run.run(folder, environment=mishaps.at(folder, name))
    assert end.code == (INTERRUPTED if name == "SIGINT twice" else RESUMABLE), end.talk
    assert "Traceback" not in end.stderr
    assert fault_run.assert_resumes(folder) >= mishaps.COMMITTED_BY_THEN


def test_a_listener_that_hangs_holds_up_the_run_until_the_third_interrupt_and_costs_nothing(folder):
    """Listeners are called in the threads of the run, the one that commits among them: it waits for them."""
    child = fault_run.start(
        "run",
        fault_run.TARGET,
        "--checkpoint-dir",
        folder,
        environment=mishaps.at(folder, "listener hangs"),
    )
    deadline = time.monotonic() + fault_run.PATIENCE_SECONDS
    while _mirrored(folder) < mishaps.COMMITTED_BY_THEN and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    for answer in ("stopping after the batches in flight", "stopping now", ""):
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        while answer and answer not in child.stderr.readline():  # two that wait for their handler are one
            assert child.poll() is None
    end = fault_run.ended(child)
    assert end.code == INTERRUPTED, end.talk
    assert "Everything up to the frontier is safe" in end.stderr
    assert fault_run.assert_resumes(folder) > mishaps.COMMITTED_BY_THEN


def _mirrored(folder):
    mirror = folder / "frontier.json"
    return json.loads(mirror.read_text())["last_completed_batch_id"] if mirror.exists() else -1


@pytest.mark.long
@pytest.mark.parametrize("call", range(1, 170, 3))
@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM", "SIGINT again", "SIGTERM again"])
def test_a_signal_inside_of_any_call_loses_nothing(shim, folder, kind, call):
    signalled(shim, folder, kind, call, "")


@pytest.mark.long
@pytest.mark.parametrize("call", range(1, 170))
def test_a_ctrl_c_inside_of_any_call_of_ones_own_program_loses_nothing(shim, folder, call):
    interrupted(shim, folder, call)
