"""What a job on the pipeline returns: plain values that are safe to keep and to show.

An exception never leaves the worker thread: its traceback would keep frames alive, and their locals may hold a
password. `ErrorReport` has what a person needs of it, with secrets masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from engine.errors import PipelineChanged, PipelineError, describe
from engine.text.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import ResultsPage

_LONGEST_TEXT = 300
"""Characters of a value that are kept: a page must stay small, whatever the data is."""


class Job(StrEnum):
    """The jobs of the bridge; each value is what the screen calls it."""

    LOAD = "loading the pipeline"
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
    """An error as a value. `differences` is empty unless the pipeline is not the one of the checkpoint any more."""

    kind: str
    message: str
    hint: str = ""
    exit_code: ExitCode = ExitCode.FAILED
    differences: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: BaseException) -> ErrorReport:
        """Return the error as a value."""
        known = error if isinstance(error, PipelineError) else None
        return cls(
            kind=type(error).__name__,
            message=describe(error),
            hint=known.hint if known else "",
            exit_code=known.exit_code if known else ExitCode.FAILED,
            differences=error.differences if isinstance(error, PipelineChanged) else (),
        )


@dataclass(frozen=True, slots=True)
class JobResult:
    """A job has ended: with a `value`, whose type depends on the job, or with an error."""

    job: Job
    value: Any = None
    error: ErrorReport | None = None
    asked: Any = None
    """What the job was asked for: the batch id, the first row of a page, the path of an export; of a run whether it
    takes bad rows out.
    """


@dataclass(frozen=True, slots=True)
class TextPage:
    """Rows of the results as texts, which may be foreign; None is a null. Columns are (name, dtype)."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str | None, ...], ...]
    first_row: int
    total_rows: int

    @property
    def end_row(self) -> int:
        """The row after the last one."""
        return self.first_row + len(self.rows)

    @classmethod
    def of(cls, page: ResultsPage) -> TextPage:
        """Return a page of the results as texts, long ones cut, and dtypes without their parameters."""
        columns = tuple((name, str(dtype).partition("(")[0]) for name, dtype in page.frame.schema.items())
        return cls(columns, tuple(map(_texts, page.frame.iter_rows())), page.first_row, page.total_rows)


def _texts(row: Sequence[object]) -> tuple[str | None, ...]:
    return tuple(None if value is None else str(value)[:_LONGEST_TEXT] for value in row)
