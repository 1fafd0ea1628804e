from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events
from engine.errors import IllegalTransition
from engine.events import RunInfo
from engine.frontier import Frontier
from engine.progress import BatchState, Progress, RunView
from engine.progress.fold import KEPT
from engine.progress.tally import OF_BATCHES
from engine.state import RunState

PENDING, RUNNING, COMPUTED, COMMITTED, FAILED, EARLIER, _ = BatchState


def frontier_behind(batch_id):
    return Frontier(batch_id, batch_id * 10 + 9, batch_id * 10 + 10, {"parse": batch_id, "check": batch_id})


# --- before the first run -------------------------------------------------------------------------------


def test_nothing_known_gives_the_empty_idle_view():
    view = Progress(RunInfo()).view()

    assert view == RunView(throughput=(0,) * 120)
    assert view.state is RunState.IDLE


def test_an_idle_view_shows_what_is_done_and_what_is_to_go(new_script):
    frontier = Frontier(20, 209_999, 210_000, {"parse": 20, "check": 20})
    view = new_script(
        RunInfo(steps=("parse", "check"), batch_size=10_000, source_rows=336_776, source_rows_exact=True),
        state=RunState.RESUMABLE,
        frontier=frontier,
    ).view

    assert view.state is RunState.RESUMABLE
    assert (view.frontier, view.rows_committed, view.rows_to_go) == (20, 210_000, 126_776)
    assert view.fraction == pytest.approx(0.62356, abs=1e-5)
    assert view.total_batches == 34
    assert view.batch_states == bytes([EARLIER] * 21)
    assert [(step.name, step.frontier, step.rows) for step in view.steps] == [
        ("parse", 20, 210_000),
        ("check", 20, 210_000),
    ]
    assert (view.rows_committed_in_run, view.elapsed_seconds, view.eta_seconds) == (0, 0.0, None)


def test_an_opened_checkpoint_that_failed_shows_the_failed_batch(new_script, script):
    script.run_starts()
    script.fails(2)
    view = new_script(state=RunState.FAILED, frontier=frontier_behind(1), failures=script.view.failures).view

    assert view.batch_states == bytes([EARLIER, EARLIER, FAILED])
    assert [failure.batch_id for failure in view.failures] == [2]
    assert (view.failure_count, view.failure_count_all_runs) == (0, 1)


def test_an_opened_checkpoint_that_finished_knows_its_size(new_script):
    view = new_script(RunInfo(batch_size=10), state=RunState.FINISHED, frontier=frontier_behind(2)).view

    assert (view.info.source_rows, view.info.source_rows_exact, view.total_batches, view.fraction) == (30, True, 3, 1.0)


# --- states and runs ------------------------------------------------------------------------------------


def test_a_run_goes_through_its_states(script):
    script.run_starts(run_id=7)
    assert (script.progress.state, script.view.run_id) == (RunState.RUNNING, 7)
    script.stop_is_requested()
    assert (script.view.state, script.view.stop_requested, script.view.stop_now) == (RunState.STOPPING, True, False)
    script.stop_is_requested(now=True)
    script.stop_is_requested()
    assert (script.view.state, script.view.stop_now) == (RunState.STOPPING, True)
    script.run_ends(RunState.RESUMABLE)
    assert script.view.state is RunState.RESUMABLE
    script.run_starts(run_id=8)
    assert (script.view.state, script.view.run_id, script.view.stop_requested) == (RunState.RUNNING, 8, False)


def test_a_stop_that_comes_after_the_end_changes_nothing(script):
    script.run_starts()
    script.run_ends(RunState.FINISHED)
    script.stop_is_requested()

    assert (script.view.state, script.view.stop_requested) == (RunState.FINISHED, False)


@pytest.mark.parametrize("state", [RunState.IDLE, RunState.RUNNING, RunState.STOPPING, RunState.RESUMABLE])
def test_an_end_that_the_table_does_not_know_is_refused_and_changes_nothing(script, state):
    script.run_starts()
    before = script.view

    with pytest.raises(IllegalTransition):
        script.run_ends(state)

    assert script.view == before


def test_a_run_can_not_start_twice(script):
    script.run_starts()
    script.does(0)
    before = script.view

    with pytest.raises(IllegalTransition, match="a run that is running can't become running"):
        script.run_starts(run_id=2)

    assert script.view == before


def test_a_stop_from_a_signal_handler_inside_a_look_does_not_hang(script):
    def clock():
        # As a handler does that interrupts view() in the main thread while that holds the lock.
        script.stop_is_requested()
        return script.now

    script.run_starts()
    script.progress._clock = clock
    look = threading.Thread(target=script.progress.view, daemon=True)
    look.start()
    look.join(timeout=60)

    assert not look.is_alive()
    assert script.progress.state is RunState.STOPPING


def test_a_second_run_counts_anew_and_keeps_the_failures_of_the_first(script):
    script.run_starts(run_id=1)
    script.does(0)
    script.does(1, seconds=9.0)
    script.progress(events.AttemptFailed(2, "check", 1, 3, "TimeoutError: slow", 4.0))
    script.wait(30)
    script.fails(2, run_id=1)
    script.run_ends(RunState.FAILED, message="batch 2")
    script.wait(3_600)
    script.run_starts(run_id=2, next_batch_id=2, next_row=20)

    view = script.view
    assert (view.state, view.run_id, view.end_message) == (RunState.RUNNING, 2, "")
    assert view.batch_states == bytes([EARLIER, EARLIER])
    assert (view.rows_committed, view.rows_committed_before, view.rows_committed_in_run) == (20, 20, 0)
    assert (view.batches_committed_before, view.batches_committed_in_run) == (2, 0)
    assert (view.elapsed_seconds, view.rows_out, view.bytes_written, view.retry_count) == (0.0, 0, 0, 0)
    assert (view.batch_seconds_max, sum(view.throughput), view.eta_seconds) == (None, 0, None)
    assert [(failure.run_id, failure.batch_id) for failure in view.failures] == [(1, 2)]
    assert (view.failure_count, view.failure_count_all_runs) == (0, 1)

    script.does(2)
    assert script.view.batch_states == bytes([EARLIER, EARLIER, COMMITTED])
    assert (script.view.rows_committed_in_run, script.view.batches_committed_in_run) == (10, 1)


def test_everything_timed_stands_still_once_the_run_has_ended(script):
    script.run_starts()
    for batch_id in range(4):
        script.wait(1)
        script.does(batch_id)
    script.stop_is_requested()
    script.run_ends(RunState.RESUMABLE)
    at_the_end = script.view
    script.wait(1_000)

    assert script.view == at_the_end
    assert (at_the_end.elapsed_seconds, at_the_end.eta_seconds) == (4.0, 6.0)
    assert at_the_end.average_rows_per_second == 10.0
    assert (at_the_end.rows_per_second, at_the_end.batches_per_second) == (0.0, 0.0)
    assert at_the_end.throughput[-5:] == (0, 10, 10, 10, 10)


def test_what_a_worker_says_after_the_end_is_not_counted(script):
    script.run_starts()
    script.fetches(0)
    script.run_ends(RunState.FAILED, message="the disk is full")
    before = script.view
    script.finishes("parse", 0)
    script.takes_up(1)
    script.commits(0)

    assert script.view == before
    assert before.end_message == "the disk is full"


def test_a_failure_that_comes_after_the_end_is_kept_all_the_same(script):
    script.run_starts()
    script.run_ends(RunState.FAILED)
    script.fails(0)

    assert [failure.batch_id for failure in script.view.failures] == [0]


# --- batches --------------------------------------------------------------------------------------------


def test_each_batch_shows_its_state(script):
    script.run_starts(next_batch_id=1, next_row=10)
    script.does(1)
    script.fetches(2)
    script.finishes("parse", 2)
    script.fetches(3)
    script.finishes("parse", 3)
    script.finishes("check", 3)
    script.takes_up(5)

    assert script.view.batch_states == bytes([EARLIER, COMMITTED, RUNNING, COMPUTED, PENDING, RUNNING])
    assert script.view.batches_in_flight == 3


def test_a_failed_run_leaves_its_failure_and_gives_back_what_was_in_flight(script):
    script.run_starts()
    script.does(0)
    for batch_id in (1, 2, 3):
        script.fetches(batch_id)
        script.finishes("parse", batch_id)
    script.finishes("check", 2)
    script.fails(1)
    assert script.view.batch_states == bytes([COMMITTED, FAILED, COMPUTED, RUNNING])
    assert [step.frontier for step in script.view.steps] == [3, 0]

    script.run_ends(RunState.FAILED)
    view = script.view
    assert view.batch_states == bytes([COMMITTED, FAILED, PENDING, PENDING])
    assert (view.batches_in_flight, view.failure_count) == (0, 1)
    assert [step.frontier for step in view.steps] == [0, 0]


def test_a_batch_beyond_the_end_of_the_source_is_not_a_cell(script):
    script.run_starts(source_rows=20)
    script.does(0)
    script.does(1)
    script.takes_up(2)

    assert script.view.batch_states == bytes([COMMITTED, COMMITTED])
    assert script.view.total_batches == 2


def test_a_failure_beyond_the_estimated_end_is_a_cell(script):
    script.run_starts(source_rows=10)
    script.does(0)
    script.takes_up(1)
    script.fails(1)

    assert script.view.batch_states == bytes([COMMITTED, FAILED])


def test_a_batch_without_rows_moves_the_frontier_of_batches_alone(script):
    script.run_starts()
    script.does(0)
    script.does(1, start_row=10, rows=0)
    script.does(2, start_row=10)

    view = script.view
    assert (view.frontier, view.rows_committed, view.total_batches) == (2, 20, 11)
    assert [(step.frontier, step.rows) for step in view.steps] == [(2, 20), (2, 20)]


def test_steps_that_nobody_knows_and_batches_never_taken_up_are_ignored(script):
    script.run_starts()
    script.fetches(0)
    script.finishes("another", 0)
    script.finishes("parse", 3)
    script.takes_up(0)

    assert [step.frontier for step in script.view.steps] == [-1, -1]


def test_a_commit_takes_the_steps_along(script):
    script.run_starts()
    script.fetches(0)
    script.fetches(1)
    script.finishes("parse", 1)
    script.commits(0)

    assert [(step.frontier, step.rows) for step in script.view.steps] == [(1, 20), (0, 10)]


def test_a_step_that_finishes_a_batch_twice_is_counted_once(script):
    script.run_starts()
    script.fetches(0)
    script.finishes("parse", 0)
    script.finishes("parse", 0)
    script.wait(1)

    assert script.view.steps[0].rows_per_second == 10.0


def test_a_committed_batch_that_is_taken_up_again_stays_committed(script):
    script.run_starts()
    script.does(0)
    script.takes_up(0)

    assert script.view.batch_states == bytes([COMMITTED])
    assert script.view.batches_in_flight == 0


# --- retries, failures, warnings ------------------------------------------------------------------------


def test_a_batch_is_being_retried_until_the_step_finishes(script):
    script.run_starts()
    script.fetches(0)
    script.progress(events.AttemptFailed(0, "parse", 1, 5, "TimeoutError: no answer", 8.0))
    script.wait(3)

    (retry,) = script.view.retries
    assert (retry.batch_id, retry.step, retry.attempt, retry.max_attempts) == (0, "parse", 1, 5)
    assert (retry.seconds_until_next, retry.error) == (5.0, "TimeoutError: no answer")
    script.wait(60)
    assert script.view.retries[0].seconds_until_next == 0.0
    script.progress(events.AttemptFailed(0, "parse", 2, 5, "TimeoutError: no answer", 16.0))
    assert script.view.retries[0].attempt == 2
    script.finishes("parse", 0)
    assert (script.view.retries, script.view.retry_count) == ((), 2)


def test_a_fetch_is_being_retried_until_the_rows_are_there(script):
    script.run_starts()
    script.takes_up(0)
    script.progress(events.AttemptFailed(0, None, 1, 5, "ConnectionError: gone", 1.0))
    assert script.view.retries[0].step is None

    script.progress(events.BatchFetched(0, 0, 9, 0.1))
    assert script.view.retries == ()


def test_failures_and_warnings_are_counted_for_good_and_kept_up_to_a_limit(script):
    script.run_starts()
    for number in range(KEPT + 20):
        script.fails(number)
        script.progress(events.Warned(f"warning {number}"))

    view = script.view
    assert (len(view.failures), view.failures[-1].batch_id, view.failure_count) == (KEPT, KEPT + 19, KEPT + 20)
    assert (len(view.warnings), view.warnings[-1], view.warning_count) == (KEPT, f"warning {KEPT + 19}", KEPT + 20)


# --- all events, all orders, all threads ----------------------------------------------------------------


def test_every_event_has_its_fold():
    assert set(OF_BATCHES) | set(Progress(RunInfo())._folds) == set(get_args(events.Event))


@settings(max_examples=200, deadline=None)
@given(data=st.data(), first=st.integers(0, 3), count=st.integers(1, 12), window=st.integers(1, 5))
def test_step_frontiers_are_what_the_definition_says_for_any_order(new_script, data, first, count, window):
    script = new_script()
    script.run_starts(next_batch_id=first, next_row=first * 10, window=window)
    batches = range(first, first + count)
    finished = {"parse": set(range(first)), "check": set(range(first))}
    committed, started = first - 1, first

    while committed < batches[-1]:
        moves = []
        if started <= batches[-1] and started - committed <= window:
            moves.append(("start", started))
        moves += [
            ("parse", batch_id) for batch_id in range(committed + 1, started) if batch_id not in finished["parse"]
        ]
        moves += [
            ("check", batch_id)
            for batch_id in range(committed + 1, started)
            if batch_id in finished["parse"] and batch_id not in finished["check"]
        ]
        if committed + 1 in finished["check"]:
            moves.append(("commit", committed + 1))
        move, batch_id = data.draw(st.sampled_from(moves))
        if move == "start":
            script.fetches(batch_id)
            started += 1
        elif move == "commit":
            script.commits(batch_id)
            committed += 1
        else:
            script.finishes(move, batch_id)
            finished[move].add(batch_id)

        view = script.view
        assert view.frontier == committed
        for step in view.steps:
            by_definition = next(b for b in range(first - 1, first + count) if b + 1 not in finished[step.name])
            assert step.frontier == by_definition
            assert step.rows == (by_definition + 1) * 10
            assert step.frontier >= view.frontier
        assert view.batches_in_flight == started - committed - 1 <= window
        assert len(script.progress._tally.steps.in_flight) <= window


def test_eight_threads_lose_no_event():
    per_thread, threads = 2_000, 8
    progress = Progress(RunInfo())
    batch_count = per_thread * threads
    progress(
        events.RunStarted(
            run_id=1,
            at=None,
            info=RunInfo(steps=("parse",), batch_size=10, workers=threads, window=batch_count),
            next_batch_id=0,
            next_row=0,
        )
    )
    ready = threading.Barrier(threads + 1)

    def work(number):
        ready.wait()
        for batch_id in range(number, batch_count, threads):
            progress(events.BatchStarted(batch_id))
            progress(events.BatchFetched(batch_id, batch_id * 10, batch_id * 10 + 9, 0.1))
            progress(events.AttemptFailed(batch_id, "parse", 1, 3, "TimeoutError", 0.0))
            progress(events.StepFinished(batch_id, "parse", 10, 10, 0.1))
            progress(events.Warned("one"))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    looks = [progress.view().steps[0] for _ in range(50)]
    for worker in workers:
        worker.join()
    for batch_id in range(batch_count):
        progress(events.BatchCommitted(batch_id, batch_id * 10, batch_id * 10 + 9, 8, 100, 0.2))

    view = progress.view()
    assert all(look.rows == (look.frontier + 1) * 10 for look in looks)
    assert (view.steps[0].frontier, view.steps[0].rows) == (batch_count - 1, batch_count * 10)
    assert (view.retry_count, view.warning_count) == (batch_count, batch_count)
    assert (view.rows_committed, view.rows_out) == (batch_count * 10, batch_count * 8)
    assert view.bytes_written == batch_count * 100
    assert view.batch_states == bytes([COMMITTED]) * batch_count
    assert view.batches_in_flight == 0


# --- rows in quarantine ---------------------------------------------------------------------------------


def test_rows_taken_out_count_once_their_batch_is_committed(new_script):
    script = new_script()
    script.run_starts(rows_quarantined=5)
    taken = events.RowsQuarantined(0, "parse", 2, "ValueError: x")
    script.progress(events.BatchStarted(0))
    script.progress(taken)
    assert (script.view.rows_quarantined, script.view.latest_quarantined) == (5, taken)
    script.progress(events.BatchCommitted(0, 0, 9, 8, 100, 0.1, rows_quarantined=2))
    assert script.view.rows_quarantined == 7
    assert script.view.batch_states == bytes([BatchState.QUARANTINED])


def test_a_run_that_ends_with_rows_in_quarantine_is_incomplete_and_at_its_end(new_script):
    script = new_script()
    script.run_starts(source_rows=100)
    script.progress(events.BatchCommitted(0, 0, 9, 8, 100, 0.1, rows_quarantined=2))
    script.progress(events.RunEnded(1, datetime(2026, 1, 31, tzinfo=UTC), RunState.INCOMPLETE))
    view = script.view
    assert (view.state, view.info.source_rows, view.fraction, view.total_batches) == (RunState.INCOMPLETE, 10, 1.0, 1)


def test_a_new_run_forgets_the_latest_rows_of_the_one_before(new_script):
    script = new_script()
    script.run_starts()
    script.progress(events.RowsQuarantined(0, "parse", 2, "ValueError: x"))
    script.progress(events.RunEnded(1, datetime(2026, 1, 31, tzinfo=UTC), RunState.FAILED, "no"))
    script.run_starts(run_id=2)
    assert script.view.latest_quarantined is None
