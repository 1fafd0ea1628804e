from __future__ import annotations

import threading

import polars as pl
import pytest

from engine.errors import FetchFailed, StepResultInvalid, UsageError
from engine.events import AttemptFailed
from engine.policy import NEVER, RetryPolicy
from engine.testing import EventLog, TransientError
from engine.worker.retrying import call_with_retries
from engine.worker.signals import Abandoned, StopSignal

QUICK = RetryPolicy(transient=(TransientError,), max_attempts=4, base_seconds=0)


class Flaky:
    """Raises the errors, one a call, then returns "done"."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def call(function, policy=QUICK, *, stop=None, emit=None, **options):
    return call_with_retries(
        function,
        policy,
        stop=stop or StopSignal(),
        emit=emit or EventLog(),
        batch_id=7,
        step="load",
        failed=lambda error, attempts: FetchFailed(7, error, attempts=attempts),
        **options,
    )


def test_what_succeeds_is_tried_once():
    log = EventLog()
    assert call(Flaky(), emit=log) == ("done", 1)
    assert log.all() == []


def test_transient_errors_are_tried_again_until_it_works():
    assert call(Flaky(TransientError("a"), TransientError("b"))) == ("done", 3)


def test_each_failed_attempt_is_told():
    log = EventLog()
    call(Flaky(TransientError("a"), TransientError("pg://ann:hunter2@db")), emit=log)
    assert log.all() == [
        AttemptFailed(7, "load", 1, 4, "TransientError: a", 0.0),
        AttemptFailed(7, "load", 2, 4, "TransientError: pg://ann:***@db", 0.0),
    ]


def test_it_gives_up_after_the_last_attempt_with_its_error():
    flaky = Flaky(*(TransientError(str(number)) for number in range(9)))
    with pytest.raises(FetchFailed) as caught:
        call(flaky)
    assert (flaky.calls, caught.value.attempts, str(caught.value.__cause__)) == (4, 4, "3")


def test_an_unknown_error_is_never_tried_again():
    flaky = Flaky(ValueError("bad row"))
    with pytest.raises(FetchFailed) as caught:
        call(flaky)
    assert (flaky.calls, caught.value.attempts) == (1, 1)
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_unknown_error_after_a_transient_one_ends_it():
    flaky = Flaky(TransientError(), ValueError("bad row"))
    with pytest.raises(FetchFailed) as caught:
        call(flaky)
    assert (flaky.calls, caught.value.attempts) == (2, 2)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_subclass_of_a_transient_error_is_transient():
    class Timeout(TransientError):
        pass

    assert call(Flaky(Timeout())) == ("done", 2)


def test_never_means_once():
    flaky = Flaky(TransientError())
    with pytest.raises(FetchFailed):
        call(flaky, NEVER)
    assert flaky.calls == 1


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), pl.exceptions.PanicException("index out of bounds"), GeneratorExit()],
    ids=["SystemExit", "PanicException", "GeneratorExit"],
)
def test_what_is_no_exception_is_a_failure_like_any_other(error):
    with pytest.raises(FetchFailed) as caught:
        call(Flaky(error))
    assert caught.value.__cause__ is error


def test_time_runs_out_as_well():
    policy = RetryPolicy(transient=(TransientError,), max_attempts=1000, base_seconds=0, max_seconds=0)
    flaky = Flaky(*(TransientError() for _ in range(1000)))
    with pytest.raises(FetchFailed):
        call(flaky, policy)
    assert flaky.calls < 1000


def test_a_stop_cuts_the_wait_short():
    policy = RetryPolicy(transient=(TransientError,), base_seconds=1e6, max_wait_seconds=1e6, max_seconds=1e9)
    stop, log, outcome = StopSignal(), EventLog(), []

    def run():
        try:
            call(Flaky(TransientError()), policy, stop=stop, emit=log)
        except Abandoned as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    log.wait_for(AttemptFailed)
    stop.ask()
    thread.join(60)  # and not 1e6
    assert outcome


def test_the_wait_is_told_and_bounded():
    policy = RetryPolicy(
        transient=(TransientError,), max_attempts=5, base_seconds=0.001, max_wait_seconds=0.002, max_seconds=60
    )
    log = EventLog()
    call(Flaky(*(TransientError() for _ in range(4))), policy, emit=log)
    waits = [event.wait_seconds for event in log.of(AttemptFailed)]
    assert len(waits) == 4
    assert all(0 <= wait <= 0.002 for wait in waits)
    assert waits[0] <= 0.001


def test_an_error_that_cannot_be_shown_is_given_up_on_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    with pytest.raises(FetchFailed) as caught:
        call(Flaky(Mute()))
    assert isinstance(caught.value.__cause__, Mute)


def test_the_engine_s_own_error_is_raised_as_it_is():
    own = UsageError("no")
    with pytest.raises(UsageError) as caught:
        call(Flaky(own))
    assert caught.value is own


def test_only_errors_of_the_class_named_are_raised_as_they_are():
    invalid = StepResultInvalid("load", 7, "nothing")
    with pytest.raises(StepResultInvalid):
        call(Flaky(invalid), as_it_is=StepResultInvalid)
    with pytest.raises(FetchFailed) as caught:
        call(Flaky(UsageError("no")), as_it_is=StepResultInvalid)
    assert str(caught.value.__cause__) == "no"
