"""What comes back from a job on the pipeline: plain values, safe to keep and to show.

An exception never leaves the worker thread: its traceback would keep frames alive, and their locals may
hold a password. `ErrorReport` holds what a person needs of it, secrets masked.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from engine.errors import PipelineChanged, PipelineError, describe
from engine.text.exit_codes import ExitCode
from engine.text.masking import mask_secrets

if TYPE_CHECKING:
    from engine.checkpoint.loss import Loss


class Job(StrEnum):
    """What can be asked of the bridge; the value says it in the words of the screen."""

    LOAD = "loading the pipeline"
    REFRESH = "reading the checkpoint"
    RUN = "starting"
    REWIND = "rewinding"
    RESET = "resetting"
    LOSS = "adding up what would be lost"
    BATCH = "reading the batch"
    PAGE = "reading the results"
    EXPORT = "exporting"
    REPLAY = "replaying the quarantine"
    QUARANTINE = "reading the quarantine"
    EXPORT_QUARANTINE = "exporting the quarantine"


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """An error as a value. `differences` is empty unless the pipeline isn't the checkpoint's any more.

    `expected` is True for errors that the engine raises on purpose, False for anything else.
    """

    kind: str
    message: str
    hint: str = ""
    traceback: str = ""
    exit_code: ExitCode = ExitCode.FAILED
    differences: tuple[str, ...] = ()
    expected: bool = True

    @classmethod
    def of(cls, error: BaseException) -> ErrorReport:
        """Return the error as a value."""
        known = isinstance(error, PipelineError)
        return cls(
            kind=type(error).__name__,
            message=describe(error),
            hint=error.hint if isinstance(error, PipelineError) else "",
            traceback=mask_secrets("".join(traceback.format_exception(error))),
            exit_code=error.exit_code if isinstance(error, PipelineError) else ExitCode.FAILED,
            differences=error.differences if isinstance(error, PipelineChanged) else (),
            expected=known,
        )


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a rewind would drop: batches with their rows, and how many rows of the quarantine."""

    loss: Loss
    rows_quarantined: int = 0


@dataclass(frozen=True, slots=True)
class JobResult:
    """A job is over: with a `value`, whose type depends on the job, or with an error."""

    job: Job
    value: Any = None
    error: ErrorReport | None = None
    asked: Any = None
    """What the job was asked about: the batch id, the first row of a page, the path of an export; of a run whether it
    takes bad rows out.
    """
