from dataclasses import replace

import pytest

from engine.cli.progress_line import ASCII, bar, beginning, counters, finished, quarantine_at_end, quarantined, stopped
from engine.events import RowsQuarantined, RunInfo
from engine.progress import RunView
from engine.progress.view import Retrying
from engine.state import RunState

VIEW = RunView(
    state=RunState.RUNNING,
    run_id=1,
    info=RunInfo(source_rows=336_776, source_rows_exact=True),
    rows_committed=210_000,
    frontier=20,
    fraction=210_000 / 336_776,
    rows_per_second=1_480_000.0,
    eta_seconds=160.0,
)


def test_the_bar_shows_share_rows_pace_eta_and_batch():
    assert bar(VIEW, 120, ASCII) == (
        "########################----------------  62.3%  210,000/336,776 rows  1.48M rows/s  eta ~2m40s  21 batches"
    )


@pytest.mark.parametrize("columns", [20, 60, 80, 100, 200])
def test_the_bar_never_wraps(columns):
    assert len(bar(VIEW, columns, ASCII)) < columns


def test_without_a_known_size_there_is_no_bar_but_all_that_is_known():
    unknown = replace(VIEW, info=RunInfo(), fraction=None, eta_seconds=None)
    assert bar(unknown, 80, ASCII) == "210,000 rows  1.48M rows/s  21 batches"


def test_an_estimated_size_says_so():
    assert "210,000/~336,776 rows" in bar(replace(VIEW, info=RunInfo(source_rows=336_776)), 120, ASCII)


def test_a_bar_that_is_not_finished_is_never_full():
    nearly = replace(VIEW, fraction=0.999, rows_committed=336_775)
    assert " 99.9%" in bar(nearly, 120, ASCII)
    assert "-" in bar(nearly, 120, ASCII)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (RunView(info=RunInfo(source_rows=100, source_rows_exact=True)), "starting at batch 0: 100 rows to go"),
        (RunView(), "starting at batch 0"),
        (RunView(batches_committed_before=2, rows_committed_before=20), "resuming at batch 2: 20 rows done"),
        (
            RunView(
                info=RunInfo(source_rows=20, source_rows_exact=True),
                batches_committed_before=2,
                rows_committed_before=20,
            ),
            "",
        ),
        (RunView(info=RunInfo(source_rows=0, source_rows_exact=True)), ""),
    ],
)  # fmt: skip
def test_the_beginning_tells_what_will_happen(view, words):
    assert beginning(view) == words


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (RunView(), "nothing to do: the source has no rows"),
        (RunView(frontier=2, batches_committed_before=3, rows_committed=30), "nothing to do: finished, 30 rows"),
        (
            RunView(frontier=2, rows_committed=30, elapsed_seconds=1.0),
            "finished: 30 rows in 3 batches, 1.0s for this run",
        ),
    ],
)
def test_the_end_tells_what_was_done(view, words):
    assert finished(view) == words


def test_a_stop_tells_how_to_go_on():
    view = RunView(info=RunInfo(source_rows=30), frontier=0, rows_committed=10)
    assert stopped(view) == (
        "stopped, resumable. Frontier: batch 0; 10 rows done, 20 to go. The same command continues from there."
    )


def retry(batch_id, seconds, attempt=1):
    return Retrying(
        batch_id=batch_id, step="a", attempt=attempt, max_attempts=5, seconds_until_next=seconds, error="gone"
    )


@pytest.mark.parametrize(
    ("retries", "words"),
    [
        ((retry(21, 7.2),), "batch 21: retry 2/5 in 8 s"),
        ((retry(21, 0.0, attempt=4),), "batch 21: retry 5/5 now"),
        ((retry(21, 0.5), retry(22, 3.0)), "batch 21: retry 2/5 in 1 s and 1 other"),
    ],
)
def test_the_next_try_is_told_with_its_number_and_how_soon_it_comes(retries, words):
    assert bar(replace(VIEW, retries=retries), 200, ASCII).endswith(f"  {words}")
    assert counters(replace(VIEW, retries=retries)).endswith(f", {words}")


def test_rows_in_quarantine_are_told_all_the_time():
    view = replace(VIEW, rows_quarantined=1_200)
    assert "  1,200 in quarantine" in bar(view, 200, ASCII)
    assert counters(view).endswith(", 1,200 rows in quarantine")


def test_the_end_says_loudly_that_rows_are_missing():
    view = replace(VIEW, rows_quarantined=12)
    failed = replace(view, state=RunState.FAILED, rows_quarantined=1)
    assert [*quarantine_at_end(replace(view, state=RunState.INCOMPLETE), "look")] == [
        "finished, but 12 rows are in quarantine: look"
    ]
    assert [*quarantine_at_end(failed, "look")] == ["1 row is in quarantine: look"]
    assert [*quarantine_at_end(replace(VIEW, state=RunState.FINISHED), "look")] == []


def test_the_latest_rows_taken_out_are_named():
    view = replace(VIEW, rows_quarantined=12, latest_quarantined=RowsQuarantined(7, "parse", 2, "ValueError: x"))
    assert quarantined(view) == "12 rows in quarantine so far; batch 7, step 'parse': ValueError: x"
    assert quarantined(VIEW) == ""
