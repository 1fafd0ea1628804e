from __future__ import annotations

import fcntl
import os
import signal
import termios

import pytest

from engine import Frontier
from engine.cli.signals import StopOnSignals
from engine.events import StopWasRequested
from engine.loading.target import load

pytestmark = pytest.mark.integration


def frontier(folder):
    return Frontier.load(folder / "cp" / "frontier.json").last_completed_batch_id


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_finishes_what_is_in_flight_and_exits_resumable(gated, number):
    process = gated.run("--json")
    gated.let_through(2)
    gated.wait_for("BatchCommitted", batch_id=1)
    process.send_signal(number)
    gated.wait_for("StopWasRequested", now=False)
    gated.let_through(10)
    code, err = gated.end()
    assert code == 4
    assert "stopping after the batches in flight" in err
    assert "stopped, resumable" in err


def test_a_stopped_run_goes_on_and_loses_nothing(gated, start):
    gated.run("--json")
    gated.let_through(1)
    gated.wait_for("BatchCommitted", batch_id=0)
    gated.process.send_signal(signal.SIGINT)
    gated.wait_for("StopWasRequested")
    gated.let_through(10)
    assert gated.end()[0] == 4
    gated.let_through(10)
    gated.run()
    assert gated.end()[0] == 0
    assert start("results", "count", "--checkpoint-dir", "cp").communicate()[0] == "50\n"


def test_a_second_interrupt_gives_up_what_is_in_flight(gated):
    process = gated.run("--json")
    gated.let_through(1)
    gated.wait_for("BatchCommitted", batch_id=0)
    process.send_signal(signal.SIGINT)
    gated.wait_for("StopWasRequested", now=False)
    process.send_signal(signal.SIGINT)
    gated.wait_for("StopWasRequested", now=True)
    gated.let_through(10)  # the batch in the gate must not count any more
    code, err = gated.end()
    assert code == 130
    assert "stopping now" in err
    assert frontier(gated.folder) == 0


def test_a_second_sigterm_stops_now_and_is_resumable(gated):
    process = gated.run("--json")
    gated.wait_for("BatchStarted", batch_id=0)
    process.send_signal(signal.SIGTERM)
    gated.wait_for("StopWasRequested", now=False)
    process.send_signal(signal.SIGTERM)
    gated.wait_for("StopWasRequested", now=True)
    gated.let_through(10)
    assert gated.end()[0] == 4


def test_a_third_interrupt_ends_at_once_and_says_that_nothing_is_lost(gated):
    process = gated.run("--json")
    gated.let_through(1)
    gated.wait_for("BatchCommitted", batch_id=0)
    process.send_signal(signal.SIGINT)
    gated.wait_for("StopWasRequested", now=False)
    process.send_signal(signal.SIGINT)
    gated.wait_for("StopWasRequested", now=True)
    process.send_signal(signal.SIGINT)
    code, err = gated.end()
    assert code == 130
    assert err.endswith("interrupted. Everything up to the frontier is safe: the same command continues from there.\n")
    assert frontier(gated.folder) == 0


def test_an_ignored_signal_stays_ignored(gated):
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = gated.run("--json", preexec_fn=ignore)
    gated.wait_for("BatchStarted", batch_id=0)
    process.send_signal(signal.SIGHUP)
    gated.let_through(10)
    assert gated.end()[0] == 0


def test_a_closed_terminal_stops_the_run_gracefully(gated):
    ours, theirs = os.openpty()

    def own_the_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = gated.run("--json", stdin=theirs, stderr=theirs, preexec_fn=own_the_terminal)
    os.close(theirs)
    gated.wait_for("BatchStarted", batch_id=0)
    os.close(ours)  # the kernel sends SIGHUP, and every write to the terminal fails from here on
    gated.wait_for("StopWasRequested", now=False)
    gated.let_through(10)
    process.stdout.read()
    assert process.wait() == 4


def test_a_dead_stderr_does_not_change_the_outcome(gated):
    process = gated.run()
    process.stderr.close()
    process.stderr = None
    gated.let_through(10)
    process.stdout.read()
    assert process.wait() == 0


def test_handlers_are_restored(command, tens):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    command("run", tens)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_signal_before_the_run_has_begun_is_not_forgotten(tens):
    pipeline = load(tens)
    seen = []
    with StopOnSignals(pipeline):
        pipeline.add_listener(seen.append)
        os.kill(os.getpid(), signal.SIGTERM)
        pipeline.run()
    assert StopWasRequested(now=False) in seen
    assert pipeline.view().state == "resumable"
