from __future__ import annotations

import statistics
import time
from dataclasses import replace

import pytest
import views

from engine.progress.view import BatchState, RunView
from tui.look.glyphs import ASCII
from tui.widgets.batch_grid import BatchGridPane

GRID_100_BY_10 = (104, 12)
"""The terminal in which a pane with its border has 100 × 10 cells."""


def showing(view):
    return lambda pane: pane.show(view)


def test_each_batch_has_its_own_cell_while_there_is_room(drawn):
    pane = drawn(BatchGridPane(), showing(views.failed()), focus=False)

    assert pane.shown_text.strip() == " ".join("■" * 21 + "✗" + "·" * 12)
    assert pane.heading_text == "Batches"


def test_the_title_says_how_many_batches_a_cell_stands_for(drawn):
    pane = drawn(BatchGridPane(), showing(views.many_batches()), size=GRID_100_BY_10, focus=False)

    assert pane.heading_text == "Batches · 1 cell = 100"
    assert [len(line) for line in pane.shown_text.splitlines()] == [100] * 10


def test_the_one_failed_batch_of_a_hundred_thousand_is_seen(drawn):
    pane = drawn(BatchGridPane(), showing(views.many_batches()), size=GRID_100_BY_10, focus=False)

    assert pane.shown_text.replace("\n", "").index("✗") == 314


def test_the_legend_names_every_glyph_and_shrinks_with_the_pane(drawn):
    view = replace(views.failed(), batch_states=bytes([BatchState.COMMITTED, BatchState.FAILED]))
    wide = drawn(BatchGridPane(), showing(view), size=(80, 10))
    narrow = drawn(BatchGridPane(), showing(view), size=(40, 10))
    tiny = drawn(BatchGridPane(), showing(view), size=(12, 10))

    assert wide.footing_text == "· pending  ▸ running  □ computed  ■ done  ▪ earlier  ✗ failed"
    assert narrow.footing_text == "· pending ■ done ✗ failed"
    assert tiny.footing_text == ""


def test_batches_without_their_quarantined_rows_have_a_glyph_and_join_the_legend(drawn):
    pane = drawn(BatchGridPane(), showing(views.incomplete()), focus=False)

    assert pane.shown_text.strip() == " ".join("▪" * 21 + "○" + "■" * 12)
    assert "○ quarantined" in pane.footing_text
    assert "quarantined" not in drawn(BatchGridPane(), showing(views.finished())).footing_text


def test_arrows_move_the_choice_and_enter_tells_it(play):
    async def script(pilot, pane):
        await pilot.press("right", "right", "down", "enter")

    posted = play(BatchGridPane(), script, show=showing(views.many_batches()), size=GRID_100_BY_10)

    assert [(message.first_batch_id, message.last_batch_id) for message in posted] == [(10_200, 10_299)]


def test_the_choice_stays_inside_the_grid(play):
    async def script(pilot, pane):
        await pilot.press("left", "up", "enter", "end", "right", "down", "enter")

    posted = play(BatchGridPane(), script, show=showing(views.many_batches(2_000)), size=GRID_100_BY_10)

    assert [(message.first_batch_id, message.last_batch_id) for message in posted] == [(0, 1), (1_998, 1_999)]


def test_the_title_tells_what_is_chosen(drawn):
    pane = drawn(BatchGridPane(), showing(views.many_batches()), size=GRID_100_BY_10, keys=["end"])

    assert pane.heading_text == "Batches · 1 cell = 100 · batches 99,900\N{EN DASH}99,999 pending"


def test_resizing_keeps_the_chosen_batch(play):
    async def script(pilot, pane):
        await pilot.press("down", "down", "right")
        chosen.append(pane.selected)
        await pilot.resize_terminal(40, 8)
        await pilot.pause()
        chosen.append(pane.selected)
        await pilot.resize_terminal(80, 12)
        await pilot.pause()
        chosen.append(pane.selected)

    chosen = []
    play(BatchGridPane(), script, show=showing(views.many_batches()))
    before, small, after = chosen

    assert small[0] <= before[0] <= small[1]
    assert small[1] - small[0] > before[1] - before[0]
    assert after == before


def test_a_click_chooses_and_a_second_one_tells(play):
    async def script(pilot, pane):
        await pilot.click(pane, offset=(2 + 3, 1 + 1))
        await pilot.click(pane, offset=(2 + 3, 1 + 1))

    posted = play(BatchGridPane(), script, show=showing(views.many_batches()), size=GRID_100_BY_10)

    assert [message.first_batch_id for message in posted] == [10_300]


def test_batches_nobody_has_counted_yet_are_drawn_as_they_come(drawn):
    view = replace(views.unknown_size(), batch_states=bytes([BatchState.COMMITTED] * 3))
    pane = drawn(BatchGridPane(), showing(view), focus=False)

    assert pane.shown_text.strip() == "■ ■ ■"


@pytest.mark.parametrize("width", [40, 41])
def test_a_line_of_spaced_cells_ends_with_its_last_cell(drawn, width):
    pane = drawn(BatchGridPane(), showing(views.finished()), size=(width, 12), focus=False)

    assert "…" not in "".join(pane.render_line(y).text for y in range(pane.size.height))


def test_without_batches_it_says_so(drawn):
    assert "no batches yet" in drawn(BatchGridPane(), showing(RunView())).shown_text
    assert "size of the source is unknown" in drawn(BatchGridPane(), showing(RunView())).shown_text


def test_only_lines_with_changed_batches_are_painted_again(play):
    async def script(pilot, pane):
        first = views.many_batches()
        states = bytearray(first.batch_states)
        states[62_000:62_003] = bytes([BatchState.COMMITTED, BatchState.COMMITTED, BatchState.COMMITTED])
        pane.refresh = lambda *regions, **_options: painted.extend(regions)
        pane.show(replace(first, batch_states=bytes(states)))
        pane.show(replace(first, batch_states=bytes(states)))
        assert [region.y for region in painted] == [6]

    painted = []
    play(BatchGridPane(), script, show=showing(views.many_batches()), size=GRID_100_BY_10, focus=False)


def test_a_hundred_thousand_batches_are_drawn_anew_in_a_few_milliseconds(play):
    async def script(pilot, pane):
        for _ in range(15):
            pane._drawn = ()
            begun = time.thread_time()
            pane.redraw()
            pane._styles_cache.clear()
            pane.render_lines(pane.region.reset_offset)
            seconds.append(time.thread_time() - begun)

    seconds = []
    play(BatchGridPane(), script, show=showing(views.many_batches()), size=(80, 14))

    assert statistics.median(seconds) < 0.015, "1 ms on a quiet core; the budget is 3 ms"


@pytest.mark.parametrize("name", ["idle", "running", "failed", "finished", "unknown_size", "many_batches"])
def test_looks(snap_compare, host, name):
    app = host(BatchGridPane(), show=showing(getattr(views, name)()))

    assert snap_compare(app, terminal_size=(77, 13))


def test_looks_in_ascii(snap_compare, host):
    app = host(BatchGridPane(), show=showing(views.many_batches()), glyphs=ASCII)

    assert snap_compare(app, terminal_size=(77, 13), press=["down", "right"])


def test_looks_small_in_the_light(snap_compare, host):
    app = host(BatchGridPane(), show=showing(views.running()), theme="textual-light", focus=False)

    assert snap_compare(app, terminal_size=(50, 8))
