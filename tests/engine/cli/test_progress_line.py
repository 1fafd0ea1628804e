from dataclasses import replace

import pytest

from engine.cli.progress_line import ASCII, bar, beginning, finished, stopped
from engine.progress import RunView
from engine.state import RunState

VIEW = RunView(
    state=RunState.RUNNING,
    run_id=1,
    source_rows=336_776,
    source_rows_exact=True,
    rows_committed=210_000,
    frontier=20,
    fraction=210_000 / 336_776,
    rows_per_second=1_480_000.0,
    eta_seconds=160.0,
)


def test_the_bar_shows_share_rows_pace_eta_and_batch():
    assert bar(VIEW, 120, ASCII) == (
        "########################----------------  62.3%  210,000/336,776 rows  1.48M rows/s  eta ~2m40s  batch 21"
    )


@pytest.mark.parametrize("columns", [20, 60, 80, 100, 200])
def test_the_bar_never_wraps(columns):
    assert len(bar(VIEW, columns, ASCII)) < columns


def test_without_a_known_size_there_is_no_bar_but_all_that_is_known():
    unknown = replace(VIEW, source_rows=None, fraction=None, eta_seconds=None)
    assert bar(unknown, 80, ASCII) == "210,000 rows  1.48M rows/s  batch 21"


def test_an_estimated_size_says_so():
    assert "210,000/~336,776 rows" in bar(replace(VIEW, source_rows_exact=False), 120, ASCII)


def test_a_bar_that_is_not_finished_is_never_full():
    nearly = replace(VIEW, fraction=0.999, rows_committed=336_775)
    assert " 99.9%" in bar(nearly, 120, ASCII)
    assert "-" in bar(nearly, 120, ASCII)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (RunView(source_rows=100, source_rows_exact=True), "starting at batch 0: 100 rows to go"),
        (RunView(), "starting at batch 0"),
        (RunView(batches_committed_before=2, rows_committed_before=20), "going on at batch 2: 20 rows done"),
        (
            RunView(
                batches_committed_before=2, rows_committed_before=20, source_rows=20, source_rows_exact=True
            ),
            "",
        ),
        (RunView(source_rows=0, source_rows_exact=True), ""),
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
    view = RunView(frontier=0, rows_committed=10, source_rows=30)
    assert stopped(view) == (
        "stopped, resumable. Frontier: batch 0; 10 rows done, 20 to go. The same command goes on from there."
    )
