"""One writer at a time, by a lock on a separate file.

The lock of DuckDB is a POSIX record lock, which the kernel drops as soon as *any* descriptor of that
file is closed in this process, for instance after a backup or a copy. flock on a separate file doesn't have
this problem, and the kernel releases it when the process ends, for any reason.

The file is never removed: otherwise two processes could lock two files of the same name. A user may remove it all the
same, and some file systems accept a lock without keeping anybody out: so it is checked that the locked file is the one
at the path, and that a second lock is refused.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import sys
import time
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from engine.errors import CheckpointLocked, CheckpointUnlockable, LockLost, describe
from engine.storage.durable import PRIVATE_FILE
from engine.text.masking import mask_secrets

_TRIES, _PAUSE_SECONDS = 10, 0.02
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


class CheckpointLock:
    """The lock on a checkpoint, held from construction to `release`.

    Raises:
        CheckpointLocked: another process, or another pipeline in this process, holds it.
        CheckpointUnlockable: the file system doesn't support locks, or they have no effect.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _locked(path)
        try:
            _check_that_it_locks(path)
        except BaseException:
            self._file.close()
            raise
        _held.add(self)
        with suppress(OSError):  # a full disk: the lock is held anyway, but its holder isn't named
            os.ftruncate(self._file.fileno(), 0)
            os.pwrite(self._file.fileno(), json.dumps(_myself()).encode(), 0)

    def check(self) -> None:
        """Check that the lock is still the one at the path: only then it keeps other processes out.

        Raises:
            LockLost: the file was deleted or replaced.
            FileNotFoundError: the whole folder is gone.
        """
        if not _is_at(self._path, self._file):
            if not self._path.parent.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._path.parent))
            raise LockLost(self._path)

    def release(self) -> None:
        """Release the lock."""
        self._file.close()


_held: weakref.WeakSet[CheckpointLock] = weakref.WeakSet()


def _let_go_in_child() -> None:
    """Close the lock files in a forked child: it inherits them, and would keep the locks if it lives longer."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_let_go_in_child)


def _locked(path: Path) -> IO[bytes]:
    """Open the file at `path` and lock it; begin again if it was removed or replaced before it was locked."""
    while True:
        # A file object and not a bare descriptor: if a Ctrl-C comes here, Python closes it and the lock is free.
        file = open(path, "r+b", opener=_open_private)  # noqa: SIM115 (it stays open for as long as the lock is held)
        try:
            _patiently(path, file)
            if _is_at(path, file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _patiently(path: Path, file: IO[bytes]) -> None:
    """Lock the file; try a few times, because whoever looks whether it is locked locks it for an instant."""
    for _ in range(_TRIES - 1):
        try:
            return _flock(path, file)
        except CheckpointLocked:
            time.sleep(_PAUSE_SECONDS)
    return _flock(path, file)


def _flock(path: Path, file: IO[bytes]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CheckpointLocked(path.parent, holder(path)) from None
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            raise CheckpointUnlockable(path.parent, f"its file system answers {describe(error)}") from error
        raise


def _check_that_it_locks(path: Path) -> None:
    """Raise CheckpointUnlockable if the file, which is locked, can be locked a second time."""
    with open(path, "r+b", opener=_open_private) as second:
        try:
            _flock(path, second)
        except CheckpointLocked:
            return
    raise CheckpointUnlockable(path.parent, "locks have no effect on its file system")


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(file.fileno()))


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, PRIVATE_FILE)


def holder(path: Path) -> str:
    """Return a description of the last process that held the lock."""
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        return f"process {info['pid']} on {info['host']} since {info['since']} ({info['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _myself() -> dict[str, str | int]:
    command = mask_secrets(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]))
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command[:200],
    }
