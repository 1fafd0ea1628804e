from __future__ import annotations

import pytest
import views

from tui.backend.jobs import TextPage
from tui.look.glyphs import ASCII
from tui.widgets.results import PAGE_ROWS, ResultsPane

ROWS = views.result_rows()
TOTAL = 326_000


def showing(rows=ROWS, first_row=0, total_rows=TOTAL, columns=views.RESULT_COLUMNS):
    return lambda pane: pane.show_page(TextPage(columns, rows, first_row, total_rows))


def test_a_page_shows_names_dtypes_and_numbered_rows(drawn):
    pane = drawn(ResultsPane(), showing(), size=(76, 8))

    assert [line.rstrip() for line in pane.shown_text.splitlines()[:4]] == [
        "       time_hour         carrier  flight  tailnum  origin  dest",
        "       Datetime          String    Int64  String   String  String",
        "▌   0  2013-01-01 05:00  UA         1545  N14228   EWR     IAH",
        "    1  2013-01-01 05:01  AA         1546  N14229   LGA     MIA",
    ]
    assert pane.footing_text == "rows 0\N{EN DASH}199 of 326,000 · columns 1\N{EN DASH}6 of 10"


def test_a_null_is_not_an_empty_text(drawn):
    pane = drawn(ResultsPane(), showing((("", None),), columns=(("a", "String"), ("b", "String"))))

    assert pane.shown_text.splitlines()[2].split() == ["▌", "0", "∅"]


def test_left_and_right_move_over_the_columns(drawn):
    pane = drawn(ResultsPane(), showing(), keys=["right", "right", "left", "right"])

    assert pane.shown_text.splitlines()[0].split()[0] == "flight"
    assert pane.footing_text.endswith("columns 3\N{EN DASH}9 of 10")


def test_the_last_column_can_be_reached_and_not_passed(drawn):
    pane = drawn(ResultsPane(), showing(), keys=["right"] * 20)

    assert pane.shown_text.splitlines()[0].split() == ["speed_mph"]
    assert pane.footing_text.endswith("columns 10 of 10")


def requested(posted):
    return [message.first_row for message in posted if isinstance(message, ResultsPane.PageRequested)]


def test_moving_past_the_end_asks_for_the_next_page_and_goes_on_there(play):
    async def script(pilot, pane):
        await pilot.press("end", "down")
        pane.show_page(TextPage(views.RESULT_COLUMNS, ROWS, 200, TOTAL))
        await pilot.press("down")
        assert pane.cursor_key == 201

    assert requested(play(ResultsPane(), script, show=showing())) == [200]


def test_moving_before_the_beginning_asks_for_the_page_before(play):
    async def script(pilot, pane):
        await pilot.press("up")
        pane.show_page(TextPage(views.RESULT_COLUMNS, ROWS, 200, TOTAL))
        assert pane.cursor_key == 399

    assert requested(play(ResultsPane(), script, show=showing(first_row=400))) == [200]


def test_control_end_and_home_go_to_the_last_and_first_of_all_rows(play):
    async def script(pilot, pane):
        await pilot.press("ctrl+end")
        pane.show_page(TextPage(views.RESULT_COLUMNS, ROWS, TOTAL - PAGE_ROWS, TOTAL))
        assert pane.cursor_key == TOTAL - 1
        await pilot.press("ctrl+home")

    assert requested(play(ResultsPane(), script, show=showing())) == [TOTAL - PAGE_ROWS, 0]


def test_the_ends_of_all_rows_ask_for_nothing(play):
    async def script(pilot, pane):
        await pilot.press("up", "end", "down", "pagedown")
        assert pane.cursor_key == 4

    assert requested(play(ResultsPane(), script, show=showing(ROWS[:5], total_rows=5))) == []


def test_without_results_it_says_so(drawn):
    assert (
        drawn(ResultsPane(), lambda pane: pane.show_page(TextPage((), (), 0, 0))).shown_text.strip() == "no results yet"
    )
    assert drawn(ResultsPane(), showing((), total_rows=0)).shown_text.strip() == "no results yet"


def test_ascii_uses_nothing_else(drawn):
    assert drawn(ResultsPane(), showing(), glyphs=ASCII).shown_text.isascii()


SHOWS = {
    "page": showing(),
    "nothing": lambda pane: pane.show_page(TextPage((), (), 0, 0)),
    "loading": lambda pane: pane.show_loading("reading rows"),
    "problem": lambda pane: pane.show_problem("results/part-000000000005.parquet can't be read"),
    "hostile": showing(
        ((views.HOSTILE_TEXT, "値" * 100, None), ("[/]", "🚀", "\x9b")),
        columns=(("[/bold]\x1b", "String"), ("漢字", "String"), ("c" * 500, "\u202eInt64")),
        total_rows=2,
    ),
}


@pytest.mark.parametrize("name", SHOWS)
def test_looks(snap_compare, host, name):
    assert snap_compare(host(ResultsPane(), show=SHOWS[name]), terminal_size=(78, 9), press=["down"])


def test_looks_in_the_light(snap_compare, host):
    assert snap_compare(host(ResultsPane(), show=SHOWS["page"], theme="textual-light"), terminal_size=(78, 9))
