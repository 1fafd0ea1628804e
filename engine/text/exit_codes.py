"""What the exit code of a process says, the same for `batch-pipeline` and `batchpipe-tui`."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """An exit code with its `meaning` in words."""

    meaning: str

    DONE = 0, "done"
    FAILED = 1, "failed"
    USAGE = 2, "usage"
    CHECKPOINT = 3, "checkpoint locked or corrupt"
    RESUMABLE = 4, "stopped and resumable"
    QUARANTINED = 5, "finished with rows in quarantine (run --fail-on-quarantine, quarantine replay)"
    INTERRUPTED = 130, "interrupted"

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make the code an int that carries its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


def in_words(codes: Iterable[ExitCode] = ExitCode) -> str:
    """Return the codes with their meanings, for a help text.

    >>> in_words([ExitCode.DONE, ExitCode.RESUMABLE])
    '0 done, 4 stopped and resumable'
    """
    return ", ".join(f"{code.value} {code.meaning}" for code in codes)
