"""Two runs on one checkpoint: one works, the other is told who holds it and leaves it, whatever reads meanwhile."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import threading
import time

import fault_run
import fault_target
import mishaps
import pytest

from engine.cli import main as run_app
from engine.errors import CheckpointLocked
from engine.results.view import CheckpointView

ROUNDS = 5
LONG_ROUNDS = int(os.environ.get("FAULT_ROUNDS", "100"))


def race(folder, *, runners=2):
    """Start runs at the same moment, the one that works being held up until the others have ended."""
    folder.parent.mkdir(exist_ok=True)
    children = [
        fault_run.start(
            "run",
            fault_run.TARGET,
            "--checkpoint-dir",
            folder,
            environment=mishaps.at(folder, "held up"),
        )
        for _ in range(runners)
    ]
    deadline = time.monotonic() + fault_run.PATIENCE_SECONDS
    while sum(child.poll() is None for child in children) > 1 and time.monotonic() < deadline:
        time.sleep(0.005)
    (winner,) = (child for child in children if child.poll() is None)
    assert CheckpointView(folder).get_frontier().next_batch_id <= mishaps.AT_BATCH
    refusals = [fault_run.ended(child) for child in children if child is not winner]
    mishaps.released(folder).touch()
    end = fault_run.ended(winner)
    mishaps.released(folder).unlink()
    assert end.code == 0, end.talk
    fault_run.assert_finished(folder)
    return winner.pid, refusals


def leave_a_name(folder):
    """Leave a checkpoint to go on from, with the name of a holder that is gone in its lock file."""
    pipeline = fault_target.pipeline(folder)
    pipeline.run()
    pipeline.rewind(mishaps.COMMITTED_BY_THEN)


def assert_refused(end, pid):
    fault_run.assert_told(end, "is in use by", "Wait for that run, or stop it")
    holder = re.search(r"in use by (process (\d+) on|another process)", end.stderr)
    assert holder, end.talk
    # Between taking the lock and writing itself into it the holder has no name: never a wrong one, though.
    assert holder[2] in {None, str(pid)}, end.talk
    return holder[2] is not None


@pytest.mark.parametrize("runners", [2] * (ROUNDS - 1) + [3])
def test_of_runs_that_start_at_once_exactly_one_runs(tmp_path, runners):
    folder = tmp_path / "checkpoint"
    leave_a_name(folder)
    pid, refusals = race(folder, runners=runners)
    for end in refusals:
        assert_refused(end, pid)


def test_a_run_that_starts_while_another_is_at_work_says_who_it_is(tmp_path):
    folder = tmp_path / "checkpoint"
    with held(folder):
        for arguments in (("run", fault_run.TARGET), ("reset", "--yes")):
            end = fault_run.ended(fault_run.start(*arguments, "--checkpoint-dir", folder))
            assert assert_refused(end, os.getpid())


@contextlib.contextmanager
def held(folder):
    """A run in this process, held up at batch 9 for the block, and then let go to its end."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in mishaps.at(folder, "held up").items():
            patch.setenv(name, value)
        pipeline = fault_target.pipeline(folder)
        ended = []
        thread = threading.Thread(target=lambda: ended.append(pipeline.run()), daemon=True)
        thread.start()
        while thread.is_alive() and pipeline.view().frontier < mishaps.AT_BATCH - 1:
            time.sleep(0.01)
        try:
            yield pipeline
        finally:
            mishaps.released(folder).touch()
            thread.join()
    assert ended[0].next_batch_id == fault_target.BATCHES
    fault_run.assert_finished(folder)


def look(pipeline, folder, scratch):
    """Everything that reads a checkpoint, in the process that holds it."""
    seen = mishaps.AT_BATCH
    assert pipeline.get_frontier().next_batch_id == seen
    assert fault_target.pipeline(folder).get_frontier().next_batch_id == seen
    rows = fault_target.expected().filter(fault_target.pl.col("id") < seen * fault_target.kill_target.BATCH_SIZE)
    assert pipeline.collect_results().equals(rows)
    assert pipeline.query_results("SELECT count(*) AS n FROM results")["n"][0] == rows.height
    pipeline.export(scratch / "copy.parquet")
    CheckpointView(folder).status()
    assert (pipeline.history()[0].state, pipeline.failures()) == ("running", [])
    for refused in (fault_target.pipeline(folder).run, pipeline.reset_frontier):
        with pytest.raises(CheckpointLocked):
            refused()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as talk:
        assert run_app(["status", "--checkpoint-dir", str(folder)]) == 0
        assert run_app(["verify", "--checkpoint-dir", str(folder)]) == 0
    assert "Traceback" not in talk.getvalue()
    # Copying a file opens and closes it, which drops every POSIX record lock on it, DuckDB's own among them.
    shutil.copytree(folder, scratch / "backup")


def test_the_lock_survives_whatever_reads_in_the_same_process(tmp_path):
    folder = tmp_path / "checkpoint"
    with held(folder) as pipeline:
        look(pipeline, folder, tmp_path)
        assert assert_refused(fault_run.run(folder), os.getpid())


def test_a_copy_of_a_running_checkpoint_can_be_gone_on_from(tmp_path):
    folder = tmp_path / "checkpoint"
    with held(folder):
        copy = shutil.copytree(folder, tmp_path / "copy")
    assert fault_run.assert_resumes(copy) == mishaps.AT_BATCH


def test_a_child_that_a_step_leaves_behind_does_not_keep_the_lock(tmp_path):
    folder = tmp_path / "checkpoint"
    end = fault_run.run(folder, environment=mishaps.at(folder, "process forked"))
    assert end.code == 0, end.talk
    fault_target.pipeline(folder).run()
    fault_run.assert_finished(folder)


@pytest.mark.long
@pytest.mark.parametrize("number", range(LONG_ROUNDS))
def test_of_runs_that_start_at_once_exactly_one_runs_every_time(tmp_path, number):
    folder = tmp_path / "checkpoint"
    if number % 2:
        leave_a_name(folder)
    pid, refusals = race(folder, runners=2 + number % 3)
    for end in refusals:
        assert_refused(end, pid)
