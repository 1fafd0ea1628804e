from __future__ import annotations

import dataclasses

import pytest

from engine import events
from engine.state import RunState


def test_a_view_can_not_be_changed(script):
    script.run_starts()
    view = script.view

    with pytest.raises(dataclasses.FrozenInstanceError):
        view.frontier = 3
    assert not hasattr(view, "__dict__")


def test_a_view_stays_as_it_was_when_the_run_goes_on(script):
    script.run_starts()
    script.does(0)
    view, copy = script.view, dataclasses.replace(script.view)
    script.wait(1)
    script.does(1)

    assert view == copy != script.view


# --- how much is done -----------------------------------------------------------------------------------


def test_rows_and_fraction_are_of_the_committed_frontier(script):
    script.run_starts(next_batch_id=2, next_row=20)
    script.does(2)
    script.fetches(3)
    script.finishes("parse", 3)

    view = script.view
    assert (view.frontier, view.rows_committed, view.rows_committed_before) == (2, 30, 20)
    assert (view.fraction, view.rows_to_go, view.total_batches) == (0.3, 70, 10)
    assert [(step.frontier, step.rows, step.fraction, step.lag) for step in view.steps] == [
        (3, 40, 0.4, 0),
        (2, 30, 0.3, 1),
    ]
    assert [step.last_seconds for step in view.steps] == [0.5, 0.5]


def test_an_unknown_size_has_no_fraction_until_the_end_tells_it(script):
    script.run_starts(source_rows=None, source_rows_exact=False)
    for batch_id in range(3):
        script.wait(1)
        script.does(batch_id)
    view = script.view
    assert (view.info.source_rows, view.total_batches, view.fraction, view.eta_seconds) == (None, None, None, None)
    assert (view.rows_to_go, view.rows_committed) == (None, 30)

    script.run_ends(RunState.FINISHED)
    view = script.view
    assert (view.info.source_rows, view.info.source_rows_exact, view.total_batches) == (30, True, 3)
    assert (view.fraction, view.eta_seconds) == (1.0, 0.0)


def test_all_rows_committed_is_not_100_percent_before_the_end(script):
    script.run_starts(source_rows=20)
    script.does(0)
    script.does(1)
    assert (script.view.fraction, script.view.total_batches) == (0.999, 2)

    script.run_ends(RunState.FINISHED)
    assert script.view.fraction == 1.0


def test_an_estimate_that_is_outgrown_grows_and_promises_nothing(script):
    script.run_starts(source_rows=20, source_rows_exact=True)
    for batch_id in range(3):
        script.wait(1)
        script.does(batch_id)
    script.fetches(3)

    view = script.view
    assert (view.info.source_rows, view.info.source_rows_exact, view.total_batches) == (40, False, 4)
    assert (view.fraction, view.eta_seconds) == (0.75, None)


def test_an_estimate_that_was_too_large_is_corrected_at_the_end(script):
    script.run_starts(source_rows=1_000, source_rows_exact=False)
    script.does(0)
    script.run_ends(RunState.FINISHED)

    view = script.view
    assert (view.info.source_rows, view.info.source_rows_exact, view.total_batches, view.fraction) == (10, True, 1, 1.0)


def test_an_empty_source_is_done_only_at_the_end(script):
    script.run_starts(source_rows=0)
    assert (script.view.fraction, script.view.total_batches) == (0.0, 0)

    script.run_ends(RunState.FINISHED)
    assert (script.view.fraction, script.view.frontier, script.view.batch_states) == (1.0, -1, b"")


def test_the_batches_to_come_are_counted_at_the_present_batch_size(script):
    script.run_starts(next_batch_id=4, next_row=40, batch_size=25)

    assert script.view.total_batches == 7


# --- how fast it goes -----------------------------------------------------------------------------------


def test_rates_are_of_the_last_seconds_and_averages_of_the_whole_run(script):
    script.run_starts(source_rows=10_000)
    for batch_id in range(10):
        script.wait(1)
        script.does(batch_id, seconds=0.1)
    script.wait(10)

    view = script.view
    assert (view.rows_per_second, view.batches_per_second) == (0.0, 0.0)
    assert (view.average_rows_per_second, view.average_batches_per_second) == (5.0, 0.5)
    assert [step.rows_per_second for step in view.steps] == [0.0, 0.0]
    assert view.elapsed_seconds == 20.0


def test_a_run_of_slow_batches_still_has_a_rate_between_commits(script):
    script.run_starts(source_rows=10_000)
    for batch_id in range(5):
        script.wait(20)
        script.does(batch_id, seconds=20.0)
    script.wait(15)

    assert script.view.rows_per_second == pytest.approx(0.5, rel=0.25)


def test_throughput_has_one_bucket_a_second_for_two_minutes(script):
    script.run_starts(source_rows=10_000)
    for batch_id in range(150):
        script.does(batch_id)
        script.wait(1)

    assert len(script.view.throughput) == 120
    assert script.view.throughput == (10,) * 119 + (0,)


def test_eta_is_unknown_until_each_worker_has_committed_once(script):
    script.run_starts(workers=3)
    script.wait(10)
    script.does(0)
    script.does(1)
    assert script.view.eta_seconds is None

    script.does(2)
    assert script.view.eta_seconds == pytest.approx(70 / 3)


def test_eta_comes_from_this_run_alone(script):
    script.run_starts(next_batch_id=90, next_row=900, source_rows=1_000)
    for batch_id in (90, 91):
        script.wait(10)
        script.does(batch_id)

    assert script.view.eta_seconds == pytest.approx(80.0)


def test_eta_follows_a_lasting_change_of_speed(script):
    script.run_starts(source_rows=100_000)
    for batch_id in range(600):
        script.wait(0.1)
        script.does(batch_id)
    for batch_id in range(600, 700):
        script.wait(1)
        script.does(batch_id)

    assert script.view.eta_seconds == pytest.approx(9_300.0, rel=0.05)


def test_eta_grows_while_nothing_is_committed(script):
    script.run_starts(source_rows=1_000)
    for batch_id in range(50):
        script.wait(1)
        script.does(batch_id)
    before = script.view.eta_seconds
    script.wait(50)

    assert (before, script.view.eta_seconds) == (50.0, 100.0)


# --- times and sizes ------------------------------------------------------------------------------------


def test_batch_times_name_the_slowest_batch(script):
    script.run_starts(source_rows=10_000)
    for batch_id in range(100):
        script.does(batch_id, seconds=0.31 if batch_id == 42 else 0.012)

    view = script.view
    assert view.batch_seconds_p50 == pytest.approx(0.012, rel=0.01)
    assert view.batch_seconds_p95 == pytest.approx(0.012, rel=0.01)
    assert (view.batch_seconds_max, view.slowest_batch_id) == (0.31, 42)


def test_no_percentile_is_beyond_the_slowest_batch(script):
    script.run_starts()
    script.does(0, seconds=0.0)
    view = script.view

    assert (view.batch_seconds_p50, view.batch_seconds_max) == (0.0, 0.0)


def test_commit_time_is_shared_by_the_batches_of_a_group(script):
    script.run_starts()
    assert (script.view.commit_seconds_last, script.view.commit_seconds_per_batch) == (None, None)
    script.progress(events.GroupCommitted(0, 0, 0.4))
    script.progress(events.GroupCommitted(1, 3, 0.8))

    assert script.view.commit_seconds_last == 0.8
    assert script.view.commit_seconds_per_batch == pytest.approx(0.3)


def test_rows_out_and_bytes_add_up(script):
    script.run_starts()
    script.does(0)
    script.does(1)

    assert (script.view.rows_out, script.view.bytes_written) == (18, 2_000)
