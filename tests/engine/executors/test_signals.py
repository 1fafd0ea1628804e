from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from engine.testing import TIMEOUT_SECONDS
from engine.worker.signals import Abandoned, StopSignal, Turnstile


@pytest.fixture
def threads():
    """A function that starts a daemon thread and returns a function that waits for its result."""

    def start(function, *arguments):
        outcome = []

        def run():
            try:
                outcome.append(function(*arguments))
            except Abandoned:
                outcome.append("abandoned")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def result():
            thread.join(TIMEOUT_SECONDS)
            assert outcome, "still waiting"
            return outcome[0]

        return result

    return start


# --- the stop -------------------------------------------------------------------------------------------


def test_nothing_is_asked_at_first():
    stop = StopSignal()
    assert (stop.asked, stop.now) == (False, False)
    assert stop.wait(0) is False


def test_a_stop_is_asked_for():
    stop = StopSignal()
    stop.ask()
    assert (stop.asked, stop.now) == (True, False)
    stop.ask(now=True)
    assert (stop.asked, stop.now) == (True, True)


def test_asking_again_never_takes_back_now():
    stop = StopSignal()
    stop.ask(now=True)
    stop.ask()
    assert stop.now


def test_who_sleeps_wakes_up_at_once(threads):
    stop = StopSignal()
    result = threads(stop.wait, 100 * TIMEOUT_SECONDS)
    stop.ask()
    assert result() is True


@pytest.mark.integration
def test_a_signal_handler_may_interrupt_an_asking_and_ask_itself():
    code = """
import signal
from engine.worker.signals import StopSignal
stop = StopSignal()
signal.signal(signal.SIGALRM, lambda *_: stop.ask(now=True))
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
for _ in range(100_000):
    stop.ask()
signal.setitimer(signal.ITIMER_REAL, 0)
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"


# --- the turnstile --------------------------------------------------------------------------------------


def test_batches_pass_in_order_whatever_order_they_come_in(threads):
    turnstile = Turnstile(3)
    passed = []

    def go(batch_id):
        turnstile.enter(batch_id)
        passed.append(batch_id)
        turnstile.leave()

    results = [threads(go, batch_id) for batch_id in (6, 4, 5, 3)]
    for result in results:
        result()
    assert passed == [3, 4, 5, 6]


def test_one_is_inside_at_a_time(threads):
    turnstile = Turnstile(0)
    turnstile.enter(0)
    entered = threading.Event()

    def second():
        turnstile.enter(1)
        entered.set()

    result = threads(second)
    assert not entered.is_set()
    turnstile.leave()
    result()
    assert entered.is_set()


def test_behind_a_failed_batch_nobody_waits_for_ever(threads):
    turnstile = Turnstile(0)
    waiting = [threads(turnstile.enter, batch_id) for batch_id in (2, 3)]
    turnstile.break_at(1)
    assert [result() for result in waiting] == ["abandoned", "abandoned"]


def test_before_a_failed_batch_everybody_still_passes():
    turnstile = Turnstile(0)
    turnstile.break_at(2)
    for batch_id in (0, 1):
        turnstile.enter(batch_id)
        turnstile.leave()
    with pytest.raises(Abandoned):
        turnstile.enter(2)


def test_the_earliest_failure_counts():
    turnstile = Turnstile(0)
    turnstile.break_at(1)
    turnstile.break_at(5)
    turnstile.enter(0)
    turnstile.leave()
    with pytest.raises(Abandoned):
        turnstile.enter(1)
    turnstile.break_at(0)
    with pytest.raises(Abandoned):
        turnstile.enter(0)
