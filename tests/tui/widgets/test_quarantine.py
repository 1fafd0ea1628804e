from __future__ import annotations

from dataclasses import replace

import pytest
import views

from tui.look.glyphs import ASCII
from tui.widgets.drawing.line import line_text, line_width
from tui.widgets.quarantine import MOST_ROWS, QuarantinePane, quarantine_keys, quarantine_listing

ROW = views.quarantined_row()
MANY = views.quarantined_rows()


def showing(rows, view=None):
    def show(pane):
        pane.show(view or replace(views.incomplete(), rows_quarantined=len(rows)))
        pane.show_rows(rows)

    return show


def test_each_row_says_where_it_was_and_why(drawn):
    pane = drawn(QuarantinePane(), showing(MANY[:3]), size=(90, 9), focus=False)

    assert [" ".join(line.split()) for line in pane.shown_text.splitlines()] == [
        "batch row step error message",
        "▌ 21 216,447 check_speed CheckFailed 1 row breaks the check",
        "21 216,448 parse ValueError no number: 'n/a'",
        "21 - check_speed CheckFailed 1 row breaks the check",
    ]  # fmt: skip


def test_a_row_that_the_source_cannot_read_says_in_which_line_it_is(drawn):
    pane = drawn(QuarantinePane(), showing([views.unreadable_row()]), size=(120, 9), focus=False)

    assert " ".join(pane.shown_text.splitlines()[1].split()) == (
        "▌ 2 640 source Unreadable exports/orders.csv, line 641: it has 3 fields, and the header has 2"
    )


def test_an_empty_quarantine_says_so(drawn):
    pane = drawn(QuarantinePane(), lambda pane: pane.show(views.finished()))

    assert "nothing in quarantine" in pane.shown_text
    assert pane.footing_text == ""


def test_during_a_run_rows_are_counted_and_listed_later(drawn):
    pane = drawn(QuarantinePane(), lambda pane: pane.show(replace(views.running(), rows_quarantined=17)))

    assert "17 rows in quarantine; they are listed when nothing runs" in pane.shown_text
    assert pane.footing_text == "17 rows"


def test_rows_listed_before_a_run_stay_and_are_called_so(drawn):
    def show(pane):
        showing(MANY)(pane)
        pane.show(replace(views.running(), rows_quarantined=17))

    pane = drawn(QuarantinePane(), show, size=(90, 9))

    assert "216,447" in pane.shown_text
    assert pane.footing_text == "17 rows now, 12 listed before this run"


def test_the_foot_counts_and_names_the_keys(drawn):
    assert drawn(QuarantinePane(), showing([ROW])).footing_text == "1 row · p replay · E export"


def test_of_a_huge_quarantine_the_first_rows_are_shown_and_how_many_there_are(drawn):
    view = replace(views.incomplete(), rows_quarantined=1_234_567)
    pane = drawn(QuarantinePane(), showing(MANY * 100, view))

    assert pane.footing_text == f"first {MOST_ROWS} of 1,234,567 rows · p replay · E export"
    assert len(pane.shown_text.splitlines()) == MOST_ROWS + 1


def test_rows_that_have_left_are_gone(drawn):
    def show(pane):
        showing(MANY)(pane)
        pane.show(views.finished())

    assert "nothing in quarantine" in drawn(QuarantinePane(), show).shown_text


def test_a_quarantine_that_cannot_be_read_says_why_until_it_can(drawn):
    def show(pane):
        pane.show(views.incomplete())
        pane.show_problem("the quarantine can't be read: it is in use")
        pane.show(views.incomplete())

    assert "it is in use" in drawn(QuarantinePane(), show).shown_text


def test_moving_and_choosing_tell_the_row(play):
    async def script(pilot, pane):
        await pilot.press("down", "enter")

    told = play(QuarantinePane(), script, show=showing(MANY))

    assert [(type(message).__name__, message.row) for message in told] == [
        ("Highlighted", MANY[1]),
        ("Selected", MANY[1]),
    ]


def test_the_choice_stays_on_its_row_when_others_leave(play):
    async def script(pilot, pane):
        await pilot.press("down", "down", "down")
        showing(MANY[2:])(pane)
        await pilot.pause()
        seen.append(pane.selected)

    seen = []
    play(QuarantinePane(), script, show=showing(MANY))

    assert seen == [MANY[3]]


def test_who_comes_to_the_pane_is_told_the_row_at_once(play):
    async def script(pilot, pane):
        pane.show_rows(MANY[1:])

    assert [message.row for message in play(QuarantinePane(), script, show=showing(MANY))] == [MANY[1]]


def test_rows_that_say_the_same_are_still_told_apart():
    assert len(set(quarantine_keys([ROW] * 5))) == 5


@pytest.mark.parametrize("width", range(48, 140, 7))
def test_no_line_is_wider_than_the_pane(width):
    rows = [ROW, views.hostile_row(), views.hostile_source_row(), *MANY]
    listing = quarantine_listing(rows, width, ASCII)

    assert all(line_width(row.line) <= width for row in listing.rows)
    assert line_width(listing.header[0]) <= width
    assert line_text(listing.header[0]).split()[:4] == ["batch", "row", "step", "error"]


def test_ascii_uses_nothing_else(drawn):
    pane = drawn(QuarantinePane(), showing(MANY), glyphs=ASCII)

    assert pane.shown_text.isascii()
    assert pane.footing_text.isascii()


@pytest.mark.parametrize("size", [(77, 9), (50, 7)])
def test_looks(snap_compare, host, size):
    assert snap_compare(host(QuarantinePane(), show=showing(MANY)), terminal_size=size)
