from __future__ import annotations

from dataclasses import replace

import pytest
import views

from engine.progress.view import RunView, SinkView
from engine.state import RunState
from tui.look.glyphs import ASCII, UNICODE
from tui.widgets.drawing.line import line_text, line_width
from tui.widgets.steps import StepsPane, step_lines


def lines(view, width=75, glyphs=UNICODE):
    return [line_text(line).rstrip() for line in step_lines(view, width, glyphs)]


def showing(view):
    return lambda pane: pane.show(view)


def test_each_step_has_its_frontier_share_lag_and_pace():
    header, drop_nulls, add_speed, check_speed, committed = lines(views.running())

    assert header.split() == ["frontier", "batch", "%", "lag", "rows/s"]
    assert drop_nulls.split()[0] == "drop_nulls"
    assert drop_nulls.split()[2:] == ["8,123", "81.2%", "1.49M"]
    assert add_speed.split()[2:] == ["7,990", "79.9%", "-133", "1.49M"]
    assert check_speed.split()[2:] == ["7,410", "74.1%", "-713", "1.42M"]
    assert committed.split()[0] == "committed"
    assert committed.split()[2:] == ["6,240", "62.4%", "1.48M"]


def test_what_earlier_runs_did_is_drawn_in_another_stroke():
    committed = lines(views.running())[-1].split()[1]
    width = len(committed)

    assert committed.count("┅") == int(0.21 * width)
    assert committed.count("┅") + committed.count("━") == int(0.624 * width)


def test_a_bar_is_full_only_when_all_is_done():
    almost = replace(views.running(), fraction=0.9999)

    assert "─" in lines(almost)[-1] or "╸" in lines(almost)[-1]
    assert "─" not in lines(views.finished())[-1]


def test_a_step_that_waits_for_another_try_says_when():
    row = lines(views.retrying())[3]

    assert row.startswith("↻ check_speed")
    assert row.endswith("↻ retry 2/5 in 8 s")
    assert "7,410" in row


def test_a_try_under_way_and_others_waiting_are_told():
    retry = views.retrying().retries[0]
    view = replace(views.running(), retries=(retry, replace(retry, batch_id=7_412, seconds_until_next=0.0)))

    assert lines(view)[3].endswith("↻ retry 2/5 now +1")


def test_the_step_that_failed_is_marked_by_glyph_and_word():
    row = lines(views.failed())[3]

    assert row.startswith("✗ check_speed")
    assert row.endswith("failed at 21")


def test_a_failure_of_an_earlier_run_is_not_the_step_s_now():
    assert not any("failed" in line for line in lines(views.running()))


def test_troubles_of_the_source_stand_in_the_header():
    fetch = replace(views.retrying().retries[0], step=None)
    source = replace(views.failed(), failures=(replace(views.flight_failure(), step=None),))

    assert "↻ source retry 2/5 in 8 s" in lines(replace(views.running(), retries=(fetch,)))[0]
    assert "✗ source failed at 21" in lines(source)[0]


def test_a_sink_has_a_row_with_the_batch_that_it_holds():
    first, second = lines(views.with_sinks())[4:6]

    assert first.split() == ["orders", "in", "postgresql://db/sales", "6,238"]
    assert second.split() == ["speeds", "in", "speeds.duckdb", "-"]


def test_a_sink_that_waits_for_another_try_says_when():
    retry = replace(views.retrying().retries[0], step=views.SINK)
    rows = lines(replace(views.with_sinks(), retries=(retry,)))

    assert rows[4].startswith("↻ orders in postgresql://db/sales")
    assert rows[4].endswith("↻ retry 2/5 in 8 s")
    assert "6,238" in rows[4]
    assert not any("retry" in row for row in (*rows[:4], *rows[5:]))


def test_the_sink_that_failed_is_marked_by_glyph_and_word():
    rows = lines(views.sink_failed())

    assert rows[4].startswith("✗ orders in postgresql://db/sales")
    assert rows[4].endswith("failed at 6,239")
    assert not any("failed" in row for row in (*rows[:4], *rows[5:]))


def test_bars_are_those_of_the_end_although_rows_are_in_quarantine():
    assert step_lines(views.incomplete(), 75, UNICODE) == step_lines(views.finished(), 75, UNICODE)


def test_of_a_source_of_unknown_size_rows_are_told_and_no_bar_is_filled():
    header, first, *_ = lines(views.unknown_size())

    assert header.split() == ["frontier", "batch", "rows", "lag", "rows/s"]
    assert first.split()[2:] == ["8,123", "812M", "1.49M"]
    assert "━" not in first


@pytest.mark.parametrize("width", range(8, 140, 3))
def test_no_line_is_wider_than_the_pane(width):
    hostile_sink = replace(views.sink_failed(), sinks=(SinkView(name=views.HOSTILE_TEXT + "s" * 999, frontier=7),))
    every = (views.running(), views.retrying(), views.failed(), views.hostile(), views.idle(), views.sink_failed())
    for view in (*every, hostile_sink):
        assert max(line_width(line) for line in step_lines(view, width, UNICODE)) <= width


def test_narrow_panes_keep_name_and_percent():
    for width in (16, 24, 32, 48):
        assert "81.2%" in lines(views.running(), width)[1]


def test_header_and_committed_stay_while_steps_scroll(play):
    async def script(pilot, pane):
        for keys in ([], ["down", "down"], ["end"]):
            await pilot.press(*keys)
            await pilot.pause()
            seen.append([pane.render_line(y).text.split()[0] for y in range(pane.size.height)])

    seen = []
    play(StepsPane(), script, show=showing(views.many_steps()), size=(80, 8))
    top, lower, bottom = seen

    assert top == ["frontier", "step_00", "step_01", "step_02", "step_03", "committed"]
    assert lower == ["frontier", "step_02", "step_03", "step_04", "step_05", "committed"]
    assert bottom == ["frontier", "step_20", "step_21", "step_22", "step_23", "committed"]


def test_the_header_gives_its_line_to_the_last_step(drawn):
    pane = drawn(StepsPane(), showing(views.failed()), size=(80, 7))

    assert [line.split()[0] for line in pane.shown_text.splitlines()] == [
        "drop_nulls",
        "add_speed",
        "✗",
        "keep",
        "committed",
    ]


def test_the_subtitle_tells_the_overall_share(drawn):
    assert drawn(StepsPane(), showing(views.running())).footing_text == "overall 62.4%"
    assert drawn(StepsPane(), showing(views.unknown_size())).footing_text == "624,100,000 rows, size unknown"


def test_a_pipeline_without_steps_still_shows_what_is_committed():
    assert [line.split()[0] for line in lines(RunView(state=RunState.IDLE))] == ["frontier", "committed"]


def test_ascii_uses_nothing_else():
    for view in (views.running(), views.retrying(), views.failed(), views.unknown_size(), views.sink_failed()):
        assert all(line.isascii() for line in lines(view, glyphs=ASCII))


@pytest.mark.parametrize(
    "name",
    [
        "idle",
        "resumable",
        "running",
        "retrying",
        "failed",
        "finished",
        "unknown_size",
        "many_steps",
        "hostile",
        "sink_failed",
    ],
)
def test_looks(snap_compare, host, name):
    assert snap_compare(host(StepsPane(), show=showing(getattr(views, name)())), terminal_size=(77, 8))


def test_looks_narrow_in_the_light(snap_compare, host):
    app = host(StepsPane(), show=showing(views.running()), theme="textual-light", focus=False)

    assert snap_compare(app, terminal_size=(50, 7))


def test_looks_in_ascii(snap_compare, host):
    assert snap_compare(host(StepsPane(), show=showing(views.running()), glyphs=ASCII), terminal_size=(77, 7))
