from __future__ import annotations

import views

from tui.widgets.log import MOST_LINES, LogPane


def test_lines_are_added_below(drawn):
    def show(pane):
        pane.add(["one", "two"])
        pane.add(["three"])

    pane = drawn(LogPane(), show)

    assert pane.shown_text.splitlines() == ["one", "two", "three"]
    assert pane.footing_text == "3 lines"


def test_only_the_last_thousand_lines_are_kept(drawn):
    pane = drawn(LogPane(), lambda pane: pane.add(str(number) for number in range(5_000)))

    assert pane.plain_text.splitlines() == [str(number) for number in range(5_000 - MOST_LINES, 5_000)]


def test_it_follows_its_end_until_someone_scrolls_up(play):
    async def script(pilot, pane):
        pane.add(str(number) for number in range(50))
        await pilot.pause()
        assert pane.scroll_y == pane.max_scroll_y > 0
        await pilot.press("up")
        await pilot.pause()
        where = pane.scroll_y
        pane.add(["more"])
        await pilot.pause()
        assert pane.scroll_y == where < pane.max_scroll_y
        await pilot.press("end")
        await pilot.pause()
        pane.add(["still more"])
        await pilot.pause()
        assert pane.scroll_y == pane.max_scroll_y

    play(LogPane(), script)


def test_a_long_line_is_wrapped_and_one_with_line_feeds_becomes_several(drawn):
    pane = drawn(LogPane(), lambda pane: pane.add(["a long line of words", "one\n\ttwo"]), size=(15, 9))

    assert pane.shown_text.splitlines() == ["a long line", "of words", "one", "    two"]


def test_markup_and_escapes_are_shown_as_text(drawn):
    pane = drawn(LogPane(), lambda pane: pane.add([views.HOSTILE_TEXT]))

    assert "[bold red]x[/bold] [@click=app.quit]quit[/]" in pane.shown_text
    assert "\x1b" not in pane.shown_text


def test_an_empty_log_says_so(drawn):
    def show(pane):
        pane.add(["one"])
        pane.accept(())

    assert drawn(LogPane(), None).shown_text.strip() == "nothing logged yet"
    assert drawn(LogPane(), show).shown_text.strip() == "nothing logged yet"


def test_looks(snap_compare, host):
    lines = [f"12:00:{second:02} batch {second} committed, 10,000 rows" for second in range(20)]

    app = host(LogPane(), show=lambda pane: pane.add([*lines, views.HOSTILE_TEXT]))
    assert snap_compare(app, terminal_size=(60, 9))
