from __future__ import annotations

import logging
import threading

import pytest

from engine.cli.reporter import Reporter, Style
from engine.events import RunInfo
from engine.progress import RunView
from engine.state import RunState

RUNNING = RunView(
    state=RunState.RUNNING,
    run_id=1,
    info=RunInfo(source_rows=100, source_rows_exact=True),
    rows_committed=40,
    frontier=3,
    fraction=0.4,
    rows_per_second=20.0,
    eta_seconds=3.0,
    batches_in_flight=3,
)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told(capsys, clock):
    """Tells one view after the other to one reporter; returns the lines that came of the last one."""
    reporter = Reporter(lambda: RUNNING, Style.COUNTERS, clock=clock)

    def told(view, **options):
        reporter._show(view, **options)
        return capsys.readouterr().err.splitlines()

    return told


def changed(**fields):
    from dataclasses import replace

    return replace(RUNNING, **fields)


def test_nothing_is_said_before_the_run_has_begun(told):
    assert told(RunView()) == []


def test_the_beginning_is_said_once(told):
    assert told(RUNNING) == ["starting at batch 0: 100 rows to go"]
    assert told(RUNNING) == []


def test_counters_come_every_five_seconds(told, clock):
    told(RUNNING)
    clock.now = 4.9
    assert told(RUNNING) == []
    clock.now = 5.0
    assert told(RUNNING) == ["4 batches, 40 of 100 rows (40.0%), 20 rows/s, eta ~3s"]
    clock.now = 9.9
    assert told(RUNNING) == []


def test_counters_come_at_the_end_too(told):
    told(RUNNING)
    done = changed(state=RunState.FINISHED, rows_committed=100, frontier=9, fraction=1.0, average_rows_per_second=25.0)
    assert told(done, last=True) == ["10 batches, 100 of 100 rows (100%), 25 rows/s"]


def test_a_stop_is_said_once_for_each_kind(told):
    told(RUNNING)
    assert told(changed(stop_requested=True)) == ["stopping after the batches in flight (3)"]
    assert told(changed(stop_requested=True)) == []
    assert told(changed(stop_requested=True, stop_now=True)) == [
        "stopping now: dropping the batches in flight; what is committed stays"
    ]


def test_each_warning_is_said_once_and_made_safe(told):
    told(RUNNING)
    assert told(changed(warnings=("one\x1b[1m", "two"), warning_count=2)) == ["one␛[1m", "two"]
    assert told(changed(warnings=("one\x1b[1m", "two", "three"), warning_count=3)) == ["three"]


def test_warnings_beyond_those_that_are_kept_do_no_harm(told):
    told(RUNNING)
    assert told(changed(warnings=("last",), warning_count=500)) == ["last"]


def test_retries_are_told_in_the_counters(told, clock):
    from engine.progress import Retrying

    told(RUNNING)
    clock.now = 5.0
    retry = Retrying(batch_id=4, step="a", attempt=1, max_attempts=3, seconds_until_next=1.0, error="x")
    assert told(changed(retries=(retry,)))[0].endswith(", batch 4: retry 2/3 in 1 s")


def test_a_reporter_that_fails_is_logged_and_the_block_goes_on(caplog):
    looked = threading.Event()

    def look():
        if looked.is_set() or threading.current_thread().name == "reporter":
            looked.set()
            raise ValueError("no view")
        return RunView()

    with caplog.at_level(logging.ERROR, "engine"), Reporter(look, Style.BAR):
        assert looked.wait(60)
    assert "the progress can't be shown any more" in caplog.text


def test_a_screen_that_blocks_is_left_behind(monkeypatch):
    release = threading.Event()
    blocked = threading.Event()

    def look():
        if threading.current_thread().name == "reporter":
            blocked.set()
            release.wait(60)
        return RunView()

    monkeypatch.setattr("engine.cli.reporter._JOIN_SECONDS", 0.01)
    with Reporter(look, Style.BAR):
        assert blocked.wait(60)
    assert not release.is_set()
    release.set()


def test_rows_taken_out_are_told_at_once_and_then_now_and_again(told, clock):
    from engine.events import RowsQuarantined

    def taken(rows):
        return changed(rows_quarantined=rows, latest_quarantined=RowsQuarantined(3, "a", 1, "\x1b[31m red"))

    told(RUNNING)
    (line,) = told(taken(1))
    assert line.startswith("1 row in quarantine so far; batch 3, step 'a': ")
    assert "\x1b" not in line
    clock.now = 1.0
    assert told(taken(2)) == []
    clock.now = 5.0
    assert told(taken(2))[0].startswith("2 rows in quarantine so far")
    clock.now = 20.0
    assert not any("so far" in line for line in told(taken(2)))


def test_rows_of_earlier_runs_are_not_told_as_news(told):
    told(changed(rows_quarantined=5))
    assert told(changed(rows_quarantined=5)) == []
