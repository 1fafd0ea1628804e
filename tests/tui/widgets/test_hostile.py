"""Text from elsewhere is shown as it is, and nothing of it is obeyed: no markup, no escape, no click, no direction."""

from __future__ import annotations

import unicodedata

import pytest
import views

from tui.backend.jobs import TextPage
from tui.widgets.batch_grid import BatchGridPane
from tui.widgets.detail import DetailPane
from tui.widgets.failures import FailuresPane
from tui.widgets.log import LogPane
from tui.widgets.quarantine import QuarantinePane
from tui.widgets.results import ResultsPane
from tui.widgets.runs import RunsPane
from tui.widgets.status_bar import StatusBar
from tui.widgets.steps import StepsPane
from tui.widgets.throughput import ThroughputPane

VIEW = views.hostile()
TABLE = (("[/bold]\x1b[31m", "String"), ("\u202eb", "[@click=app.quit]"))
SHOWS = {
    StatusBar: lambda pane: views.show_in(pane, VIEW),
    StepsPane: lambda pane: pane.show(VIEW),
    ThroughputPane: lambda pane: views.show_in(pane, VIEW),
    BatchGridPane: lambda pane: pane.show(VIEW),
    RunsPane: lambda pane: views.show_in(pane, VIEW, records=views.runs()),
    FailuresPane: lambda pane: (pane.show(VIEW), pane.set_filter("[")),
    DetailPane: lambda pane: pane.show_failure(views.hostile_failure()),
    QuarantinePane: lambda pane: (
        pane.show(views.incomplete()),
        pane.show_rows([views.hostile_row(), views.hostile_source_row()] * 2),
    ),
    ResultsPane: lambda pane: pane.show_page(
        TextPage(TABLE, ((views.HOSTILE_TEXT, "\x9b2J\u200f"), (None, "🚀" * 300)), 0, 2)
    ),
    LogPane: lambda pane: pane.add([views.HOSTILE_TEXT, "\x1b[2J\u2066", "x" * 10_000]),
}


@pytest.mark.parametrize("kind", SHOWS)
@pytest.mark.parametrize("size", [(120, 20), (60, 10)])
def test_nothing_that_a_terminal_obeys_reaches_the_screen(play, kind, size):
    async def script(pilot, pane):
        await pilot.press("down", "right")
        for strip in pane.render_lines(pane.region.reset_offset):
            assert strip.cell_length == pane.region.width
            for segment in strip:
                assert not segment.control
                assert not segment.style or not segment.style.meta
                assert [c for c in segment.text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}] == []

    play(kind(), script, size=size, show=SHOWS[kind])


@pytest.mark.parametrize("kind", [FailuresPane, DetailPane, QuarantinePane, ResultsPane, LogPane])
def test_markup_is_shown_to_the_letter(drawn, kind):
    assert "[bold red]x[/bold]" in drawn(kind(), SHOWS[kind], size=(160, 20)).shown_text


def test_names_of_steps_are_shown_to_the_letter(drawn):
    text = drawn(StepsPane(), SHOWS[StepsPane], size=(120, 20)).shown_text

    for shown in (
        "[/bold]",
        "清洗空值步骤",
        "🚀 launch",
        "[@click=app.quit]b[/]",
        "␛[2Jclear",
        "\ufffdgnp.exe",
        "nnnn…",
    ):
        assert shown in text


def test_a_click_on_a_link_that_text_pretends_to_be_does_nothing(play):
    async def script(pilot, pane):
        for x in range(2, 50, 3):
            await pilot.click(pane, offset=(x, 1))
        assert pilot.app.is_running

    play(LogPane(), script, show=lambda pane: pane.add(["[@click=app.exit]click me and it is all over[/]"] * 5))


def test_a_row_in_quarantine_is_told_and_copied_to_the_letter(drawn):
    pane = drawn(DetailPane(), lambda pane: pane.show_row(views.hostile_row()), size=(120, 40))

    assert "[bold red]x[/bold]" in pane.shown_text
    assert '{"[/]": [null, 1]}' in pane.plain_text
    assert {c for c in pane.plain_text if unicodedata.category(c) in {"Cc", "Cf"}} <= {"\n"}


def test_a_row_of_the_source_is_shown_and_copied_to_the_letter(drawn):
    pane = drawn(DetailPane(), lambda pane: pane.show_row(views.hostile_source_row()), size=(120, 60))

    assert "[bold red]x[/bold]" in pane.shown_text
    assert {c for c in pane.plain_text if unicodedata.category(c) in {"Cc", "Cf"}} <= {"\n"}


def test_a_copied_failure_is_safe_to_paste_into_a_terminal(drawn):
    text = drawn(DetailPane(), SHOWS[DetailPane]).plain_text

    assert {c for c in text if unicodedata.category(c) in {"Cc", "Cf"}} <= {"\n"}
