"""One writer at a time, by a lock on a separate file.

The lock of DuckDB is a POSIX record lock, which the kernel drops as soon as *any* descriptor of that
file is closed in this process, for instance after a backup or a copy. flock on a separate file doesn't have
this problem, and the kernel releases it when the process ends, for any reason.

The file is never removed: otherwise two processes could lock two files of the same name.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import CheckpointLocked
from engine.storage.durable import PRIVATE_FILE
from engine.text.masking import mask_secrets


class CheckpointLock:
    """The lock on a checkpoint, held from construction to `release`.

    Raises:
        CheckpointLocked: another process, or another pipeline in this process, holds it.
    """

    def __init__(self, path: Path) -> None:
        # A file object and not a bare descriptor: if a Ctrl-C comes here, Python closes it and the lock is free.
        self._file = open(path, "r+b", opener=_open_private)  # noqa: SIM115 (it stays open for as long as the lock is held)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise CheckpointLocked(path.parent, holder(path)) from None
        except BaseException:
            self._file.close()
            raise
        _held.add(self)
        with suppress(OSError):  # a full disk: the lock is held anyway, but its holder isn't named
            os.ftruncate(self._file.fileno(), 0)
            os.pwrite(self._file.fileno(), json.dumps(_myself()).encode(), 0)

    def release(self) -> None:
        """Release the lock."""
        self._file.close()


_held: weakref.WeakSet[CheckpointLock] = weakref.WeakSet()


def _let_go_in_child() -> None:
    """Close the lock files in a forked child: it inherits them, and would keep the locks if it lives longer."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_let_go_in_child)


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
