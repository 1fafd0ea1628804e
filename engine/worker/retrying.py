"""One call with retries, as its policy says; a stop ends the wait for the next try."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import tenacity

from engine.errors import PipelineError, describe
from engine.events import AttemptFailed
from engine.worker.signals import Abandoned

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.events import Listener
    from engine.policy import RetryPolicy
    from engine.worker.signals import StopSignal

T = TypeVar("T")


def call_with_retries(
    function: Callable[[], T],
    policy: RetryPolicy,
    *,
    stop: StopSignal,
    emit: Listener,
    batch_id: int,
    step: str | None,
    failed: Callable[[BaseException, int], PipelineError],
    as_it_is: type[PipelineError] = PipelineError,
) -> tuple[T, int]:
    """Return what `function` returns, and how many tries it took.

    `failed` makes the engine's error of the last try's error and the number of tries. Polars' PanicException and a
    step's SystemExit are no Exceptions, and for a user they are failures like any other.

    Raises:
        Abandoned: a stop was requested during the wait for the next try.
        PipelineError: the last try raised. An error of the class `as_it_is` is not given to `failed`.
    """
    attempts = 0

    def attempt() -> T:
        nonlocal attempts
        attempts += 1
        return function()

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Abandoned

    def announce(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        text = describe(error) if error else ""
        emit(AttemptFailed(batch_id, step, state.attempt_number, policy.max_attempts, text, wait))

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(policy.covers),
        stop=tenacity.stop_after_attempt(policy.max_attempts) | tenacity.stop_after_delay(policy.max_seconds),
        wait=tenacity.wait_random_exponential(multiplier=policy.base_seconds, max=policy.max_wait_seconds),
        sleep=sleep,
        before_sleep=announce,
        reraise=True,
    )
    try:
        return retrying(attempt) if policy.tries_again else attempt(), attempts
    except (Abandoned, as_it_is):
        raise
    except BaseException as error:
        raise failed(error, attempts) from error
