"""A call that may take only so long: Python code is ended, a call into C is left behind."""

from __future__ import annotations

import threading
from contextlib import suppress

import polars as pl
import pytest

from engine import FilterBatchStep
from engine.batch import Batch
from engine.errors import StepFailed, StepTimedOut
from engine.policy import RetryPolicy
from engine.steps.base import BatchStep
from engine.testing import EventLog, numbers
from engine.worker.chain import StepChain
from engine.worker.signals import StopSignal
from engine.worker.time_limit import call_with_limit


@pytest.fixture
def hang():
    """A call into C that returns only when the test is over."""
    lock = threading.Lock()
    lock.acquire()
    yield lock.acquire
    lock.release()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("engine.worker.time_limit._GRACE_SECONDS", 0.05)


def loop():
    while True:
        pass


def test_what_returns_in_time_returns():
    assert call_with_limit(lambda: 5, 10) == 5


def test_what_raises_in_time_raises():
    with pytest.raises(KeyError):
        call_with_limit(lambda: {}["x"], 10)


def test_a_loop_of_python_is_ended():
    with pytest.raises(StepTimedOut, match=r"^it took longer than 0.05 s$") as caught:
        call_with_limit(loop, 0.05)
    assert caught.value.ended
    assert not [thread for thread in threading.enumerate() if thread.name == "step-with-time-limit"]


def test_an_except_of_the_steps_own_does_not_hold_it_up():
    def stubborn():
        while True:
            with suppress(Exception):
                loop()

    with pytest.raises(StepTimedOut) as caught:
        call_with_limit(stubborn, 0.05)
    assert caught.value.ended


def test_a_call_that_does_not_return_is_left_behind_and_said_so(hang, impatient):
    with pytest.raises(StepTimedOut, match="Python can't end") as caught:
        call_with_limit(hang, 0.01)
    assert not caught.value.ended


def test_what_is_left_behind_does_nothing_more_when_its_call_returns(impatient):
    gate, done = threading.Lock(), []
    gate.acquire()

    def work():
        gate.acquire()
        done.append("went on")

    with pytest.raises(StepTimedOut):
        call_with_limit(work, 0.01)
    (left,) = [thread for thread in threading.enumerate() if thread.name == "step-with-time-limit"]
    gate.release()
    left.join(60)
    assert not left.is_alive()
    assert done == []


# --- in a chain -----------------------------------------------------------------------------------------


class Slow(BatchStep):
    """Loops for ever the first `times` times."""

    timeout_seconds = 0.05

    def __init__(self, name, times):
        super().__init__(name)
        self.times = times

    def process(self, batch):
        self.times -= 1
        return batch if self.times < 0 else loop()


def chain(step, retry=None):
    return StepChain([step], first_batch_id=0, retry=retry, stop=StopSignal(), emit=EventLog())


def test_a_step_that_is_too_slow_fails():
    with pytest.raises(StepFailed, match=r"StepTimedOut: it took longer than 0\.05 s") as caught:
        chain(Slow("slow", 1)).process(Batch(0, 0, 9, numbers(0, 10)))
    assert isinstance(caught.value.__cause__, StepTimedOut)


def test_a_time_limit_works_with_retries():
    retry = RetryPolicy(transient=(StepTimedOut,), base_seconds=0)
    assert chain(Slow("slow", 2), retry).process(Batch(0, 0, 9, numbers(0, 10))).attempts == 3


def test_a_plan_with_a_time_limit_is_not_fused_with_its_neighbours():
    class Patient(FilterBatchStep):
        timeout_seconds = 20.0

    def names_of_timings(step):
        steps = [FilterBatchStep("a", pl.col("id") > 0), step]
        one = StepChain(steps, first_batch_id=0, retry=None, stop=StopSignal(), emit=EventLog())
        return [timing.steps for timing in one.process(Batch(0, 0, 9, numbers(0, 10))).timings]

    assert names_of_timings(FilterBatchStep("b", pl.col("id") > 1)) == [("a", "b")]
    assert names_of_timings(Patient("b", pl.col("id") > 1)) == [("a",), ("b",)]
