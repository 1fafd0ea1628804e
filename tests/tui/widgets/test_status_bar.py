from __future__ import annotations

from dataclasses import replace

import pytest
import views

from tui.look.glyphs import ASCII, UNICODE
from tui.widgets.drawing.line import line_text, line_width
from tui.widgets.status_bar import StatusBar, status_line

EVERY = (
    "idle", "resumable", "running", "retrying", "stopping", "failed", "finished", "incomplete", "unknown_size",
    "hostile",
)  # fmt: skip


def words(view, width=120, glyphs=UNICODE):
    return line_text(status_line(view, views.NOW, width, glyphs))


def test_a_wide_terminal_is_told_everything():
    assert words(views.running()).split("  ") == [
        "lineitem → checkpoints/lineitem", "▶ RUNNING", "run 3 (resumed at batch 2,100)", "", "", "batch 6,240",
        "00:04:12", "eta ~2m40s", "62.4%",
    ]  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_state_frontier_and_percent_are_always_there(name, width):
    view = getattr(views, name)()
    line = words(view, width)

    assert view.state.upper() in line
    assert UNICODE.runs[view.state] in line
    assert f"batch {view.frontier:,}" in line or "batch -" in line
    assert "%" in line or view.fraction is None


@pytest.mark.parametrize("name", EVERY)
def test_it_fills_any_width_exactly(name):
    view = getattr(views, name)()

    assert {line_width(status_line(view, views.NOW, width, UNICODE)) - width for width in range(1, 160)} == {0}


def test_a_stop_at_once_is_told_apart():
    assert "STOPPING NOW" in words(replace(views.stopping(), stop_now=True))


def test_the_eta_is_shown_only_while_it_runs_and_the_size_is_known():
    assert "eta ~2m40s" in words(views.running())
    assert "eta -" in words(replace(views.running(), eta_seconds=None))
    assert "eta" not in words(views.stopping())
    assert "eta" not in words(views.unknown_size())
    assert "eta" not in words(views.finished())


def test_a_run_that_has_ended_tells_how_long_ago():
    assert "ended 2m ago" in words(views.finished())


def test_of_a_source_of_unknown_size_the_rows_are_told_instead_of_percent():
    assert words(views.unknown_size()).rstrip().endswith("624M rows")


def test_failures_of_earlier_runs_are_not_held_against_a_good_one():
    assert "✗ 1" in words(views.failed())
    assert "✗" not in words(views.finished())
    assert "✗ 1" in words(replace(views.failed(), run_id=None, failure_count=0))


def test_rows_in_quarantine_are_counted_in_every_width():
    assert words(views.incomplete()).rstrip().endswith("○ 1 quarantined")
    for width in (100, 80, 60, 50):
        assert "○ 1" in words(views.incomplete(), width)
    assert "○ 12,345 quarantined" in words(replace(views.running(), rows_quarantined=12_345))
    assert "○" not in words(views.finished())


def test_ascii_uses_nothing_else():
    for name in ("idle", "resumable", "running", "stopping", "failed", "finished", "incomplete", "unknown_size"):
        assert words(getattr(views, name)(), 100, ASCII).isascii()


@pytest.mark.parametrize("width", [120, 80, 60])
def test_looks(snap_compare, host, width):
    every = [getattr(views, name)() for name in EVERY]

    def show(*bars):
        for bar, view in zip(bars, every, strict=True):
            views.show_in(bar, view)

    assert snap_compare(host(*(StatusBar() for _ in every), show=show), terminal_size=(width, len(EVERY)))
