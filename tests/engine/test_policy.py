from __future__ import annotations

import pytest

from engine.errors import FetchFailed, UsageError
from engine.events import AttemptFailed
from engine.policy import NEVER, Quarantine, RetryPolicy
from engine.testing import EventLog
from engine.worker.retrying import call_with_retries
from engine.worker.signals import StopSignal


def test_by_default_no_error_is_transient():
    assert RetryPolicy().transient == ()
    assert NEVER.max_attempts == 1


@pytest.mark.parametrize(
    "arguments",
    [{"max_attempts": 0}, {"base_seconds": -1}, {"max_wait_seconds": -0.1}, {"max_seconds": -5}],
)
def test_what_cannot_be_right_is_refused(arguments):
    with pytest.raises(UsageError):
        RetryPolicy(transient=(OSError,), **arguments)


@pytest.mark.parametrize("transient", [OSError, [OSError], (OSError, "ValueError"), (5,)])
def test_transient_is_a_tuple_of_error_types(transient):
    with pytest.raises(UsageError, match="transient"):
        RetryPolicy(transient=transient)


# --- by a predicate -------------------------------------------------------------------------------------


class HttpError(Exception):
    def __init__(self, status):
        super().__init__(f"status {status}")
        self.status = status


def test_a_predicate_says_what_is_transient_besides_the_types():
    policy = RetryPolicy(transient=(OSError,), is_transient=lambda error: getattr(error, "status", 0) == 503)
    assert policy.covers(OSError())
    assert policy.covers(HttpError(503))
    assert not policy.covers(HttpError(404))


def test_a_predicate_alone_is_enough_to_try_again():
    assert RetryPolicy(is_transient=lambda error: True).tries_again
    assert not RetryPolicy(is_transient=lambda error: True, max_attempts=1).tries_again
    assert not RetryPolicy().tries_again


def test_a_predicate_is_not_asked_of_what_ends_a_process():
    policy = RetryPolicy(is_transient=lambda error: True)
    assert not policy.covers(KeyboardInterrupt())
    assert not policy.covers(SystemExit())


def test_a_predicate_is_a_function():
    with pytest.raises(UsageError, match="is_transient"):
        RetryPolicy(is_transient="503")


def call(function, policy, emit):
    return call_with_retries(
        function,
        policy,
        stop=StopSignal(),
        emit=emit,
        batch_id=0,
        step="a",
        failed=lambda error, attempts: FetchFailed(0, error, attempts=attempts),
    )


def test_what_the_predicate_covers_is_tried_again():
    policy = RetryPolicy(is_transient=lambda error: getattr(error, "status", 0) == 503, base_seconds=0)
    errors = [HttpError(503), HttpError(503)]

    def function():
        if errors:
            raise errors.pop()
        return "done"

    log = EventLog()
    assert call(function, policy, log) == ("done", 3)
    assert [event.error for event in log.of(AttemptFailed)] == ["HttpError: status 503"] * 2
    errors.append(HttpError(404))
    with pytest.raises(FetchFailed) as caught:
        call(function, policy, log)
    assert caught.value.attempts == 1


def test_a_predicate_that_raises_ends_the_tries_with_what_it_raised():
    def broken(error):
        return error.status == 503

    with pytest.raises(FetchFailed):
        call(lambda: {}["x"], RetryPolicy(is_transient=broken), EventLog())


# --- quarantine -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [{"max_rows": -1}, {"max_fraction": 1.1}, {"max_fraction": -0.1}])
def test_limits_that_cannot_be_right_are_refused(limits):
    with pytest.raises(UsageError):
        Quarantine(**limits)


@pytest.mark.parametrize(
    ("limits", "quarantined", "rows", "too_many"),
    [
        (Quarantine(max_rows=10, max_fraction=None), 10, 10, False),
        (Quarantine(max_rows=10, max_fraction=None), 11, 1_000_000, True),
        (Quarantine(max_rows=None, max_fraction=0.1), 10, 100, False),
        (Quarantine(max_rows=None, max_fraction=0.1), 11, 100, True),
        (Quarantine(max_rows=0, max_fraction=None), 1, 100, True),
        (Quarantine(max_rows=None, max_fraction=0.0), 0, 0, False),
        (Quarantine(max_rows=None, max_fraction=None), 10**9, 10**9, False),
    ],
)
def test_limits_are_told_apart(limits, quarantined, rows, too_many):
    assert bool(limits.excess(quarantined, rows)) == too_many
