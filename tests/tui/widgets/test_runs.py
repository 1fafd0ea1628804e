from __future__ import annotations

from dataclasses import replace

import pytest
import views

from engine.events import RunInfo
from engine.state import RunState
from tui.look.glyphs import ASCII
from tui.widgets.runs import RunsPane


def showing(view, runs=None):
    return lambda pane: views.show_in(pane, view, records=views.runs() if runs is None else runs)


def test_the_newest_run_comes_first_and_the_live_one_is_read_from_the_view(drawn):
    pane = drawn(RunsPane(), showing(views.running()), size=(43, 8))

    assert pane.shown_text.splitlines() == [
        "▌ #3 ▶ now       4m12s  41%",
        "  #2 ⟲ stopped   2m50s   9%  ✗ 1",
        "  #1 ✗ failed    1m02s  12%",
    ]


def test_a_run_that_the_history_does_not_have_yet_is_on_top(drawn):
    pane = drawn(RunsPane(), showing(views.running(), views.runs()[:2]))

    assert next(line.split()[-5] for line in pane.shown_text.splitlines()) == "#3"


def test_a_run_that_has_just_ended_says_how(drawn):
    text = drawn(RunsPane(), showing(views.failed(), ())).shown_text

    assert text.split() == ["▌", "#1", "✗", "failed", "3.2s", "62%", "✗", "1"]


def test_the_record_decides_once_it_tells_the_end(drawn):
    record = replace(views.runs()[2], ended_at=views.NOW, state=RunState.CRASHED)

    assert "☇ crashed" in drawn(RunsPane(), showing(views.running(), (record,))).shown_text


def test_a_run_that_left_rows_in_quarantine_is_incomplete(drawn):
    records = (views.runs()[0], replace(views.runs()[1], state=RunState.INCOMPLETE))
    pane = drawn(
        RunsPane(), showing(replace(views.idle(), info=RunInfo(source_rows=1_000_000_000)), records), size=(43, 8)
    )

    assert pane.shown_text.splitlines() == [
        "▌ #2 ◐ incomplete  2m50s   9%",
        "  #1 ✗ failed      1m02s  12%",
    ]


def test_of_a_source_of_unknown_size_rows_are_told(drawn):
    assert "90,000,000 rows" in drawn(RunsPane(), showing(views.unknown_size())).shown_text


def test_enter_tells_the_chosen_run(play):
    async def script(pilot, pane):
        await pilot.press("enter", "down", "enter", "down", "down", "enter")

    posted = play(RunsPane(), script, show=showing(views.running(), views.runs()[:2]))

    assert [(message.run_id, message.record) for message in posted] == [
        (3, None),
        (2, views.runs()[1]),
        (1, views.runs()[0]),
    ]


def test_the_choice_stays_on_its_run_when_a_new_one_begins(play):
    async def script(pilot, pane):
        await pilot.press("down")
        views.show_in(pane, replace(views.running(), run_id=4), records=views.runs())
        await pilot.press("enter")

    resumable = replace(views.running(), state=RunState.RESUMABLE, run_id=None)
    posted = play(RunsPane(), script, show=showing(resumable, views.runs()[:2]))

    assert [message.run_id for message in posted] == [1]


def test_without_runs_it_says_so(drawn):
    pane = drawn(RunsPane(), showing(views.idle(), ()))

    assert pane.shown_text.strip() == "no runs yet"
    assert pane.footing_text == ""


def test_a_tick_of_the_same_second_paints_nothing(play):
    async def script(pilot, pane):
        pane.refresh = lambda *regions, **_options: painted.append(regions)
        views.show_in(pane, replace(views.running(), elapsed_seconds=252.45, rows_per_second=3.0), records=views.runs())
        assert painted == []

    painted = []
    play(RunsPane(), script, show=showing(views.running()))


def test_ascii_uses_nothing_else(drawn):
    assert drawn(RunsPane(), showing(views.running()), glyphs=ASCII).shown_text.isascii()


@pytest.mark.parametrize("name", ["running", "failed", "idle"])
def test_looks(snap_compare, host, name):
    app = host(RunsPane(), show=showing(getattr(views, name)(), views.runs() if name == "running" else ()))

    assert snap_compare(app, terminal_size=(43, 8))


def test_looks_in_the_light(snap_compare, host):
    app = host(RunsPane(), show=showing(views.running()), theme="textual-light")

    assert snap_compare(app, terminal_size=(43, 8), press=["down"])


def test_looks_in_the_terminal_s_own_colours(snap_compare, host):
    app = host(RunsPane(), show=showing(views.running()), theme="ansi-dark")

    assert snap_compare(app, terminal_size=(43, 8), press=["down"])
