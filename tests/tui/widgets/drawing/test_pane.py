from __future__ import annotations

from dataclasses import replace

import pytest
import views

from tui.backend.jobs import TextPage
from tui.look.glyphs import ASCII, UNICODE
from tui.widgets.batch_grid import BatchGridPane
from tui.widgets.detail import DetailPane
from tui.widgets.failures import FailuresPane
from tui.widgets.log import LogPane
from tui.widgets.results import ResultsPane
from tui.widgets.runs import RunsPane
from tui.widgets.status_bar import StatusBar
from tui.widgets.steps import StepsPane
from tui.widgets.throughput import ThroughputPane

SMALL_SIZES = [(1, 1), (2, 2), (4, 3), (9, 4), (20, 3)]
PANES = (BatchGridPane, DetailPane, FailuresPane, LogPane, ResultsPane, RunsPane, StepsPane, ThroughputPane)


def test_what_is_shown_already_is_not_painted_again(play):
    async def script(pilot, pane):
        pane.refresh = lambda *regions, **_options: painted.append(regions)
        pane.show(replace(views.running(), rows_out=1))
        assert painted == []

    painted = []
    play(StepsPane(), script, show=lambda pane: pane.show(views.running()))


def test_only_the_lines_that_differ_are_painted_again(play):
    async def script(pilot, pane):
        pane.refresh = lambda *regions, **_options: painted.extend(regions)
        view = views.running()
        pane.show(replace(view, steps=(view.steps[0], replace(view.steps[1], lag=134), view.steps[2])))
        assert [(region.y, region.height) for region in painted] == [(2, 1)]

    painted = []
    play(StepsPane(), script, show=lambda pane: pane.show(views.running()))


@pytest.mark.parametrize("kind", PANES)
def test_every_pane_can_say_that_it_loads_and_that_it_can_not(play, kind):
    async def script(pilot, pane):
        pane.show_loading("reading")
        assert pane.shown_text.strip() == "⋯ reading"
        pane.show_problem("no [/bold] \x1b way")
        assert pane.shown_text.strip() == "✗ no [/bold] ␛ way"
        assert pane.footing_text == ""

    play(kind(), script)


def test_a_value_that_comes_ends_loading_even_if_it_was_shown_before(play):
    async def script(pilot, pane):
        before = pane.shown_text
        pane.show_loading()
        pane.show(views.running())
        assert pane.shown_text == before

    play(StepsPane(), script, show=lambda pane: pane.show(views.running()))


def test_what_came_before_the_pane_was_mounted_is_shown_after(drawn):
    pane = StepsPane()
    pane.show(views.running())

    assert "check_speed" in drawn(pane, None).shown_text


@pytest.mark.parametrize("kind", PANES)
def test_every_pane_can_be_focused_and_has_a_title(play, kind):
    async def script(pilot, pane):
        assert pane.has_focus
        assert pane.heading_text == kind.TITLE != ""

    play(kind(), script)


def test_the_status_bar_is_one_line_that_takes_no_focus(play):
    async def script(pilot, bar):
        assert bar.region.height == 1
        assert not bar.has_focus

    play(StatusBar(), script, show=lambda bar: views.show_in(bar, views.running()))


def test_a_title_can_be_given(drawn):
    assert drawn(ResultsPane(title="6 Quarantine"), None).heading_text == "6 Quarantine"


def test_a_border_title_that_the_screen_sets_stays(play):
    async def script(pilot, pane):
        pane.show(views.failed())
        await pilot.pause()
        assert pane.border_title == "5 Failures │ 6 Results"

    def show(pane):
        pane.border_title = "5 Failures │ 6 Results"

    play(FailuresPane(), script, show=show)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=lambda glyphs: glyphs.name)
def test_a_pane_draws_with_the_glyphs_of_its_app(drawn, glyphs):
    pane = drawn(StepsPane(), lambda pane: pane.show(views.running()), glyphs=glyphs)

    assert glyphs.bar_done in pane.shown_text
    assert pane.shown_text.isascii() == pane.has_class("-ascii") == glyphs.is_ascii


@pytest.mark.parametrize(
    "view", [views.running(), views.hostile(), views.failed()], ids=["running", "hostile", "failed"]
)
def test_no_size_is_too_small(play, view):
    panes = {
        StatusBar: lambda pane: views.show_in(pane, view),
        StepsPane: lambda pane: pane.show(view),
        ThroughputPane: lambda pane: views.show_in(pane, view, memory_bytes=5),
        BatchGridPane: lambda pane: pane.show(view),
        RunsPane: lambda pane: views.show_in(pane, view, records=views.runs()),
        FailuresPane: lambda pane: pane.show(view),
        DetailPane: lambda pane: pane.show_failure(view.failures[0]),
        ResultsPane: lambda pane: pane.show_page(TextPage(views.RESULT_COLUMNS, views.result_rows(9), 0, 9)),
        LogPane: lambda pane: pane.add([views.HOSTILE_TEXT]),
    }

    async def script(pilot, pane):
        for size in SMALL_SIZES:
            await pilot.resize_terminal(*size)
            assert pilot.app.size == size
            for y in range(pane.size.height):
                assert pane.render_line(y).cell_length <= max(0, pane.size.width)

    for kind, show in panes.items():
        play(kind(), script, size=SMALL_SIZES[0], show=show)
