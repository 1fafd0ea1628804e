from __future__ import annotations

import views

from tui.backend.jobs import TextPage
from tui.widgets.results import ResultsPane


def page(pane):
    pane.show_page(TextPage(views.RESULT_COLUMNS, views.result_rows(), 0, 200))


def numbers(pane):
    """The rows that are on the screen, by their number."""
    lines = [pane.render_line(y).text.split() for y in range(2, pane.size.height)]
    return [int(line[1] if line[0] == "▌" else line[0]) for line in lines]


def test_the_chosen_row_is_always_on_the_screen(play):
    async def script(pilot, pane):
        for key, row in (("end", 199), ("up", 198), ("home", 0), ("pagedown", 7), ("pagedown", 14), ("pageup", 7)):
            await pilot.press(key)
            await pilot.pause()
            assert pane.cursor_key == row
            assert row in numbers(pane)

    play(ResultsPane(), script, show=page, size=(80, 12))


def test_the_header_stays_while_rows_scroll(play):
    async def script(pilot, pane):
        await pilot.press("end")
        await pilot.pause()
        assert pane.render_line(0).text.split()[0] == "time_hour"
        assert numbers(pane) == list(range(192, 200))

    play(ResultsPane(), script, show=page, size=(80, 12))


def test_a_click_chooses_the_row_under_the_mouse_wherever_the_pane_is_scrolled_to(play):
    async def script(pilot, pane):
        await pilot.press("end")
        await pilot.pause()
        await pilot.click(pane, offset=(5, 1 + 2 + 3))
        assert pane.cursor_key == 195
        await pilot.click(pane, offset=(5, 1))
        assert pane.cursor_key == 195

    play(ResultsPane(), script, show=page, size=(80, 12))


def test_resizing_keeps_the_chosen_row_and_shows_it(play):
    async def script(pilot, pane):
        await pilot.press(*["down"] * 6)
        for width, height in ((50, 20), (50, 7), (80, 12)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert pane.cursor_key == 6
            assert 6 in numbers(pane)

    play(ResultsPane(), script, show=page, size=(80, 12))
