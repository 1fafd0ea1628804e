from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.checkpoint.lock import CheckpointLock
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointLocked, CheckpointUnlockable, LockLost

HOLDER = """
import sys
from pathlib import Path
from engine.checkpoint.lock import CheckpointLock
lock = CheckpointLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.lock"


@pytest.fixture
def other_process(path):
    """Another process that holds the lock until it is told to go, or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), "--password=hunter2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def is_held(path):
    try:
        CheckpointLock(path).release()
    except CheckpointLocked:
        return True
    return False


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.integration
def test_a_second_process_is_told_who_holds_it(path, other_process):
    with pytest.raises(CheckpointLocked) as caught:
        CheckpointLock(path)
    assert f"process {other_process.pid} on {os.uname().nodename} since 20" in str(caught.value)
    assert caught.value.path == path.parent
    assert caught.value.hint


@pytest.mark.integration
def test_secrets_on_the_holders_command_line_are_masked(path, other_process):
    with pytest.raises(CheckpointLocked) as caught:
        CheckpointLock(path)
    assert "password=***" in caught.value.holder
    assert "hunter2" not in path.read_text()


@pytest.mark.integration
def test_the_kernel_releases_it_when_its_holder_is_killed(path, other_process):
    assert is_held(path)
    other_process.kill()
    other_process.wait()
    CheckpointLock(path).release()


def test_a_second_lock_in_the_same_process_is_refused_as_well(path):
    held = CheckpointLock(path)
    with pytest.raises(CheckpointLocked, match=f"process {os.getpid()}"):
        CheckpointLock(path)
    held.release()
    CheckpointLock(path).release()


def test_reading_and_copying_the_file_does_not_release_it(path):
    held = CheckpointLock(path)
    path.read_text()
    with path.open("rb+"):
        pass
    assert is_held(path)
    held.release()


@pytest.mark.integration
def test_reading_the_catalog_in_this_process_does_not_release_the_store(committed):
    with CheckpointStore(committed):
        (committed / "checkpoint.duckdb").read_bytes()
        with pytest.raises(CheckpointLocked):
            CheckpointStore(committed)
        code = (
            "import sys; from pathlib import Path; from engine.checkpoint.store import CheckpointStore;"
            "CheckpointStore(Path(sys.argv[1]))"
        )
        command = [sys.executable, "-c", code, str(committed)]
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "CheckpointLocked" in other.stderr


def test_the_file_stays_so_that_two_never_lock_two_files(path):
    CheckpointLock(path).release()
    inode = path.stat().st_ino
    CheckpointLock(path).release()
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b"{}", b"\xff", b'{"pid": 1}'])
def test_a_holder_that_did_not_say_who_it_is_is_another_process(path, content):
    held = CheckpointLock(path)
    path.write_bytes(content)
    with pytest.raises(CheckpointLocked, match="another process"):
        CheckpointLock(path)
    held.release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_refused_by_its_name(path, monkeypatch, number):
    def unsupported(*_):
        raise OSError(number, os.strerror(number))

    before = open_descriptors()
    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(CheckpointUnlockable, match=os.strerror(number)) as caught:
        CheckpointLock(path)
    assert "share" in caught.value.hint
    assert open_descriptors() == before


def test_locks_that_keep_nobody_out_are_found_out(path, monkeypatch):
    before = open_descriptors()
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)  # as on a share that is mounted with "nolock"
    with pytest.raises(CheckpointUnlockable, match="no effect"):
        CheckpointLock(path)
    assert open_descriptors() == before


@pytest.mark.parametrize("times", [1, 2])
def test_a_file_that_is_replaced_before_it_is_locked_is_not_taken_for_the_lock(path, monkeypatch, times):
    flock, left = fcntl.flock, [None] * times

    def replaced_before(*arguments):
        if left:
            left.pop()
            path.unlink()
        return flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", replaced_before)
    held = CheckpointLock(path)
    held.check()
    assert is_held(path)
    held.release()


def replaced(path):
    path.unlink()
    path.write_bytes(b"")


def hidden_behind_a_link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("change", [Path.unlink, replaced, hidden_behind_a_link])
def test_a_lock_whose_file_is_not_at_its_path_any_more_is_lost(path, change):
    held = CheckpointLock(path)
    held.check()
    change(path)
    with pytest.raises(LockLost, match=r"checkpoint\.lock was deleted or replaced") as caught:
        held.check()
    assert "run again" in caught.value.hint
    held.release()


@pytest.mark.parametrize("call", ["ftruncate", "pwrite"])
def test_a_disk_too_full_for_the_holders_name_still_gives_the_lock(path, monkeypatch, call):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    held = CheckpointLock(path)
    with pytest.raises(CheckpointLocked):
        CheckpointLock(path)
    held.release()


def test_no_descriptor_is_left_open(path):
    before = open_descriptors()
    held = CheckpointLock(path)
    for _ in range(3):
        with pytest.raises(CheckpointLocked):
            CheckpointLock(path)
    held.release()
    assert open_descriptors() == before


def test_a_refused_store_leaves_no_descriptor_open(committed):
    with CheckpointStore(committed):
        before = open_descriptors()
        with pytest.raises(CheckpointLocked):
            CheckpointStore(committed)
        assert open_descriptors() == before


@pytest.mark.integration
def test_a_child_that_outlives_its_parent_does_not_hold_it(path):
    code = """
import os, sys, time
from pathlib import Path
from engine.checkpoint.lock import CheckpointLock
lock = CheckpointLock(Path(sys.argv[1]))
if os.fork() == 0:
    print("forked", flush=True)
    sys.stdin.read()  # lives until the test lets it go
    os._exit(0)
os.kill(os.getpid(), 9)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "forked\n"
    parent.wait()
    assert not is_held(path)
    parent.communicate()


@pytest.mark.integration
def test_a_child_that_releases_it_takes_nothing_from_its_parent(path):
    code = """
import os, sys
from pathlib import Path
from engine.checkpoint.lock import CheckpointLock
held = CheckpointLock(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    held.release()
    os._exit(0)
os.waitpid(child, 0)
print("child gone", flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "child gone\n"
    assert is_held(path)
    parent.communicate()
    assert not is_held(path)
