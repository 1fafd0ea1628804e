"""What to do when something fails: try again, and for how long; stop, or quarantine the rows that fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Try again after errors of the types in `transient`, and those for which `is_transient` returns True.

    The wait before retry n is random, from 0 to `base_seconds` · 2ⁿ⁻¹, but at most `max_wait_seconds` (full
    jitter: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015). Retries end after
    `max_attempts` tries or after `max_seconds` in all, and at once when the run is stopped.
    """

    transient: tuple[type[Exception], ...] = ()
    max_attempts: int = 5
    base_seconds: float = 0.5
    max_wait_seconds: float = 30.0
    max_seconds: float = 300.0
    is_transient: Callable[[BaseException], bool] | None = None

    def __post_init__(self) -> None:
        types: object = self.transient
        if not isinstance(types, tuple) or not all(
            isinstance(one, type) and issubclass(one, Exception) for one in types
        ):
            raise UsageError(
                f"transient must be a tuple of exception types, not {types!r}",
                hint="Write transient=(ConnectionError, TimeoutError); with one type, transient=(TimeoutError,).",
            )
        if self.max_attempts < 1:
            raise UsageError(f"max_attempts must be at least 1, not {self.max_attempts}")
        if min(self.base_seconds, self.max_wait_seconds, self.max_seconds) < 0:
            raise UsageError("the times of a retry policy can't be negative")
        if self.is_transient is not None and not callable(self.is_transient):
            raise UsageError(f"is_transient must be a function of an error, not {self.is_transient!r}")

    @property
    def tries_again(self) -> bool:
        """True if it tries again after some errors."""
        return self.max_attempts > 1 and (bool(self.transient) or self.is_transient is not None)

    def covers(self, error: BaseException) -> bool:
        """Return whether another try may help after this error."""
        if isinstance(error, self.transient):
            return True
        return isinstance(error, Exception) and self.is_transient is not None and bool(self.is_transient(error))


NEVER = RetryPolicy(max_attempts=1)

OnError = Literal["stop", "quarantine"]
"""What to do with rows that a step can't process: stop the run before their batch, or quarantine them and continue."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Quarantine rows that a step can't process, within limits.

    The run stops before a batch after which more than `max_rows` rows, or more than `max_fraction` of all source rows
    so far, would be in quarantine. None is no limit.
    """

    max_rows: int | None = 1_000
    max_fraction: float | None = 0.05

    def __post_init__(self) -> None:
        if self.max_rows is not None and self.max_rows < 0:
            raise UsageError(f"max_rows must be at least 0, not {self.max_rows}")
        if self.max_fraction is not None and not 0 <= self.max_fraction <= 1:
            raise UsageError(f"max_fraction must be from 0 to 1, not {self.max_fraction}")

    def excess(self, quarantined: int, rows: int) -> str:
        """Return which limit `quarantined` rows of `rows` source rows exceed, empty if none.

        >>> Quarantine(max_rows=10).excess(11, 1_000_000)
        '11 rows, where 10 may be in quarantine'
        >>> Quarantine(max_fraction=0.01).excess(11, 1_000)
        '11 of 1,000 rows (1.10 %), where 1.00 % may be in quarantine'
        """
        if self.max_rows is not None and quarantined > self.max_rows:
            return f"{quarantined:,} rows, where {self.max_rows:,} may be in quarantine"
        if self.max_fraction is not None and quarantined > self.max_fraction * rows:
            share = quarantined / rows if rows else 1.0
            return (
                f"{quarantined:,} of {rows:,} rows ({share:.2%}), where {self.max_fraction:.2%} may be in quarantine"
            ).replace("%", " %")
        return ""
