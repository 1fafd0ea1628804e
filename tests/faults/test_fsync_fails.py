"""fsync says EIO, as a disk does that is failing: injected into the system calls themselves, whoever makes them."""

from __future__ import annotations

import shutil
import subprocess

import fault_run
import pytest

CALLS = "fsync,fdatasync"


@pytest.fixture(scope="module", autouse=True)
def strace():
    """Skips where strace isn't there or may not trace."""
    if not shutil.which("strace"):
        pytest.skip("there is no strace")
    tried = subprocess.run(_strace("1+"), check=False, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"strace can't be used here: {tried.stderr}")


def _strace(when, what=("true",)):
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={CALLS}:error=EIO:when={when}", *what]


def fail(folder, when):
    """Run while the fsyncs fail that strace counts so in each thread; then without."""
    end = fault_run.run(folder, before=_strace(when, ()))
    if end.code:
        fault_run.assert_told(end)
    fault_run.assert_resumes(folder)
    return end


@pytest.mark.parametrize("when", ["12", "3+4"])
def test_an_fsync_that_fails_costs_nothing(tmp_path, when):
    fail(tmp_path / "checkpoint", when)


def test_fsyncs_that_all_fail_are_told_in_words(tmp_path):
    folder = tmp_path / "checkpoint"
    end = fault_run.run(folder, before=_strace("1+", ()))
    fault_run.assert_told(end, "cannot write the checkpoint", "Input/output error")
    assert fault_run.assert_resumes(folder) == 0


@pytest.mark.long
@pytest.mark.parametrize("every", ["", "+", "+2", "+7"])
@pytest.mark.parametrize("first", range(1, 61))
def test_any_fsync_that_fails_costs_nothing(tmp_path, first, every):
    fail(tmp_path / "checkpoint", f"{first}{every}")
