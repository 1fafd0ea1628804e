"""When to try again, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import UsageError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Try again after errors of the types in `transient`, and after no others.

    The wait before retry n is drawn from 0 … `base_seconds` · 2ⁿ⁻¹, at most `max_wait_seconds` (full
    jitter: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015). It ends after
    `max_attempts` tries or `max_seconds` in all, whichever comes first, and at once when the run is stopped.
    """

    transient: tuple[type[Exception], ...] = ()
    max_attempts: int = 5
    base_seconds: float = 0.5
    max_wait_seconds: float = 30.0
    max_seconds: float = 300.0

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


NEVER = RetryPolicy(max_attempts=1)
