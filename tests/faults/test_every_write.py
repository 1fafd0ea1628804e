"""Each change of a file in the checkpoint goes wrong once: it fails, the disk is full from then on, the process dies.

The calls of a whole run are counted first, Python's, Polars' and DuckDB's own among them, compactions included.
"""

from __future__ import annotations

import os
import signal

import fault_run
import pytest

KINDS = ("ENOSPC", "EIO", "full", "kill", "torn")
SPREAD = 15
MOST_CALLS = 170
"""A whole run makes about 160: how the commits group decides. A number beyond the last call strikes nothing."""
TRIALS = int(os.environ.get("FAULT_TRIALS", "1"))


@pytest.fixture(scope="module")
def made(shim, tmp_path_factory):
    """What a whole run of the pipeline calls, in order."""
    folder = tmp_path_factory.mktemp("counted") / "checkpoint"
    log = folder.with_name("calls")
    end = fault_run.run(folder, environment=fault_run.injected(shim, folder, "", 0, log))
    assert end.code == 0, end.talk
    return fault_run.calls(log)


def strike(shim, folder, kind, call, *, twice=False):
    """Let the fault strike at that call of a run, and of its resume as well; then nothing may be lost."""
    folder.parent.mkdir(exist_ok=True)
    log = folder.with_name("calls")
    for _ in range(1 + twice):
        log.unlink(missing_ok=True)
        end = fault_run.run(folder, environment=fault_run.injected(shim, folder, kind, call, log))
        if kind in {"kill", "torn"}:
            struck = len(fault_run.calls(log)) >= call  # two threads may die before the log has their lines
            assert end.code == -signal.SIGKILL or (end.code == 0 and not struck), end.talk
        elif end.code:
            fault_run.assert_told(end)
    fault_run.assert_resumes(folder)


def test_a_run_is_counted_with_the_writes_of_all_its_libraries(made):
    names = {call.split(" ")[0] for call in made}
    assert {"write", "pwrite", "fsync", "fdatasync", "rename"} <= names
    assert any("checkpoint.duckdb.wal" in call for call in made)
    assert any("/results/.part-" in call for call in made)
    assert any("checkpoint.guard" in call for call in made), "nothing was compacted"
    assert len(made) < MOST_CALLS


@pytest.mark.parametrize("place", range(SPREAD))
def test_a_fault_at_one_of_some_calls_costs_nothing(shim, made, tmp_path, place):
    call = 1 + place * len(made) // SPREAD + place % 3
    strike(shim, tmp_path / "checkpoint", KINDS[place % len(KINDS)], call)


@pytest.mark.long
@pytest.mark.parametrize("call", range(1, MOST_CALLS))
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_any_call_costs_nothing(shim, tmp_path, kind, call):
    for trial in range(TRIALS):
        strike(shim, tmp_path / str(trial) / "checkpoint", kind, call)


@pytest.mark.long
@pytest.mark.parametrize("call", range(1, MOST_CALLS, 7))
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_the_same_call_of_the_resume_costs_nothing(shim, tmp_path, kind, call):
    strike(shim, tmp_path / "checkpoint", kind, call, twice=True)
