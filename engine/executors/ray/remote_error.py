"""What an error was chained from, as a value: a class from a pipeline's own file may not be known elsewhere."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from engine.errors import CheckFailed


class RemoteError(Exception):
    """Stands for an error of a class that stayed where it was raised; its subclasses bear that class's name."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of an error: its type's name, message and traceback."""

    type_name: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> Cause:
        """Return what can be said of an error anywhere."""
        lines = traceback.format_exception(error)
        return cls(type(error).__name__, str(error), "".join(lines))

    def as_error(self) -> RemoteError:
        """Return an error that shows itself as the one that it stands for."""
        kind: type[RemoteError] = type(self.type_name, (RemoteError,), {})
        error = kind(self.message)
        error.add_note(f"on the worker:\n{self.traceback}")
        return error


def sent(cause: BaseException | None) -> Cause | CheckFailed | None:
    """Return a cause in the form in which it travels."""
    return cause if cause is None or isinstance(cause, CheckFailed) else Cause.of(cause)


def arrived(cause: Cause | CheckFailed | None) -> BaseException | None:
    """Return the error that such a form stands for."""
    return cause.as_error() if isinstance(cause, Cause) else cause
