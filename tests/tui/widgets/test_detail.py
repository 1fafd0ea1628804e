from __future__ import annotations

from dataclasses import replace

import pytest
import views

from tui.look.glyphs import ASCII
from tui.widgets.detail import DetailPane
from tui.widgets.drawing.blocks import block_lines
from tui.widgets.drawing.describe import batch_blocks, failure_blocks, row_blocks, run_blocks
from tui.widgets.drawing.line import line_text, line_width
from tui.widgets.drawing.table import table_lines

FAILURE = views.flight_failure()


def test_a_failure_is_told_whole():
    lines = [line_text(line).rstrip() for line in block_lines(failure_blocks(FAILURE, "-"), 70, "…")]

    assert lines == [
        "CheckFailed in check_speed, batch 21",
        "",
        '1 row breaks the check [(col("speed_mph")) <= (dyn int: 700)]',
        "",
        "row        216,447",
        "carrier    DL",
        "flight     1499",
        "tailnum    N666DN",
        "origin     LGA",
        "dest       ATL",
        "air_time   65.0",
        "distance   762.0",
        "speed_mph  703.384615",
        "",
        "Batches up to 20 are committed. Mend the step or the data and run",
        "again: it goes on at batch 21.",
        "",
        "batch rows  210,000-219,999",
        "bad rows    216,447",
        "run         1",
        "tries       1",
        "at          2026-01-31 12:00:03 UTC",
        "",
        "Traceback (most recent call last):",
        '  File "/data/engine/isolate.py", line 61, in run_step',
        "    after = step.process(before)",
        "            ^^^^^^^^^^^^^^^^^^^^",
        '  File "/data/engine/steps/check.py", line 74, in process',
        "    raise CheckFailed(str(self.condition), rows, examples, row_count)",
        'engine.errors.CheckFailed: 1 row breaks the check [(col("speed_mph"))',
        "<= (dyn int: 700)]",
    ]


def test_a_failure_of_a_sink_is_called_one():
    first = block_lines(failure_blocks(views.sink_failure(), of_sink=True), 80, "…")[0]

    assert line_text(first) == "OperationalError in sink orders in postgresql://db/sales, batch 6,239"


def test_a_row_in_quarantine_is_told_as_the_step_saw_it():
    lines = [line_text(line).rstrip() for line in block_lines(row_blocks(views.quarantined_row(), "∅"), 60, "…")]

    assert lines == [
        "CheckFailed in check_speed, batch 21, source row 216,447",
        "",
        '1 row breaks the check [(col("speed_mph")) <= (dyn int:',
        "700)]",
        "",
        "carrier    DL",
        "flight     1499",
        "tailnum    N666DN",
        "origin     LGA",
        "dest       ATL",
        "gate       ∅",
        "air_time   65.0",
        "distance   762.0",
        "speed_mph  703.3846153846154",
    ]


def test_a_row_that_the_source_cannot_read_is_shown_as_its_line():
    lines = [line_text(line).rstrip() for line in block_lines(row_blocks(views.unreadable_row()), 80, "…")]

    assert lines == [
        "Unreadable in source, batch 2, source row 640",
        "",
        "exports/orders.csv, line 641: it has 3 fields, and the header has 2",
        "",
        '5,"x,1',
        "",
        "file  exports/orders.csv",
        "line  641",
        "byte  20,480",
        "",
        "Pass quote_char=None.",
    ]


def test_a_row_of_a_batch_that_was_taken_out_whole_says_so():
    row = replace(views.quarantined_row(), source_row=None, input=None, obstacle="step 'totals' has a memory")
    lines = [line_text(line) for line in block_lines(row_blocks(row), 80, "…")]

    assert lines[0] == "CheckFailed in check_speed, batch 21"
    assert "Its batch was taken out whole; E exports its rows." in lines
    assert lines[-1] == "It can't be replayed: step 'totals' has a memory."


@pytest.mark.parametrize("text", ['{"a": "cut of', "[1, 2]", "[" * 1_999, "7"])
def test_a_row_that_is_no_json_object_is_shown_as_the_text_that_it_is(text):
    row = replace(views.quarantined_row(), input=text)

    assert text[:40] in "".join(line_text(line) for line in block_lines(row_blocks(row), 80, "…"))


def test_a_batch_without_its_quarantined_rows_says_how_many():
    manifest = replace(views.manifest(), rows_quarantined=3)
    texts = [line_text(line) for line in block_lines(batch_blocks(manifest), 80, "…")]

    assert any(line.split() == ["quarantined", "3"] for line in texts)
    assert not any("quarantined" in line_text(line) for line in block_lines(batch_blocks(views.manifest()), 80, "…"))


def test_the_copied_text_is_neither_wrapped_nor_cut(drawn):
    pane = drawn(DetailPane(), lambda pane: pane.show_failure(FAILURE), size=(30, 9))

    assert FAILURE.hint in pane.plain_text
    assert "row      carrier  flight  tailnum  origin  dest  air_time  distance  speed_mph" in pane.plain_text
    assert FAILURE.traceback.strip().splitlines()[-1] in pane.plain_text


def test_a_failure_of_the_source_without_rows_or_hint_is_told_too():
    bare = replace(
        FAILURE, step=None, start_row=None, end_row=None, hint="", traceback="", row_numbers=(), examples=((), ())
    )
    text = "\n".join(line_text(line) for line in block_lines(failure_blocks(bare), 80, "…"))

    assert text.startswith("CheckFailed in the source, batch 21")
    assert "rows" not in text.splitlines()[4:]


def test_of_a_very_long_traceback_the_end_is_kept():
    long = replace(FAILURE, traceback="\n".join(f"frame {number}" for number in range(5_000)))
    text = "\n".join(line_text(line) for line in block_lines(failure_blocks(long), 80, "…"))

    assert "(4,600 lines left off)" in text
    assert text.endswith("frame 4999")


def test_a_batch_is_told_with_its_times_and_rows():
    lines = [line_text(line).rstrip() for line in block_lines(batch_blocks(views.manifest(), "-"), 60, "…")]

    assert lines == [
        "Batch 20",
        "",
        "rows      200,000-209,999 (10,000)",
        "rows out  9,731",
        "part      262 kB, CRC-32 0badcafe",
        "run       1",
        "tries     2",
        'cursor    {"row_group": 3, "row": 9999}',
        "",
        "step                    time  rows in  rows out",
        "fetch                   21ms           10,000",
        "drop_nulls + add_speed  8ms   -        -",
        "check_speed             3ms   9,731    9,731",
        "keep                    1ms   9,731    9,731",
        "write                   34ms  9,731",
    ]


def test_a_run_is_told_with_its_batches_and_its_end():
    lines = [line_text(line).rstrip() for line in block_lines(run_blocks(views.runs()[0], "-"), 60, "…")]

    assert lines == [
        "Run 1 failed",
        "",
        "began       2026-01-31 11:00:00 UTC",
        "ended       2026-01-31 11:01:02 UTC",
        "took        1m02s",
        "batches     0-1,199",
        "rows done   120,000,000",
        "batch size  100,000 rows",
        "process     4711 on worker-1",
        "",
        "batch 1,200 failed",
    ]


def test_a_run_without_an_end_leaves_out_what_nobody_knows():
    text = "\n".join(line_text(line) for line in block_lines(run_blocks(views.runs()[2]), 60, "…"))

    assert "is running" in text
    assert "from 2,100" in text
    assert "ended" not in text


def test_a_table_that_is_too_wide_is_turned_on_its_side():
    columns, rows = ("id", "name"), (("1", "ann"), ("2", "bob"), ("3", "eve"))

    assert [line_text(line).rstrip() for line in table_lines(columns, rows, 20, "…")] == [
        "id  name", "1   ann", "2   bob", "3   eve",
    ]  # fmt: skip
    narrow = [line_text(line).rstrip() for line in table_lines(("identity", "full name"), rows, 18, "…")]
    assert narrow == ["identity   1", "full name  ann", "and 2 more rows"]


def test_a_table_that_may_not_turn_has_its_first_column_cut():
    lines = table_lines(("step", "time"), (("drop_nulls + add_speed", "8ms"),), 14, "…", may_turn=False)

    assert [line_text(line) for line in lines] == ["step      time", "drop_nu…  8ms"]


@pytest.mark.parametrize("width", [2, 5, 11, 30, 46, 120])
def test_no_line_is_wider_than_the_pane(width):
    for blocks in (failure_blocks(views.hostile_failure()), failure_blocks(FAILURE), batch_blocks(views.manifest())):
        assert max(line_width(line) for line in block_lines(blocks, width, "…")) <= max(width, 17)


def test_another_thing_is_shown_from_its_beginning(play):
    async def script(pilot, pane):
        await pilot.press("end")
        await pilot.pause()
        seen.append(pane.scroll_y)
        pane.show_run(views.runs()[0])
        await pilot.pause()
        seen.append(pane.scroll_y)

    seen = []
    play(DetailPane(), script, show=lambda pane: pane.show_failure(FAILURE), size=(47, 12))

    assert seen[0] > 0
    assert seen[1] == 0


def test_the_same_thing_again_stays_where_it_was_read(play):
    async def script(pilot, pane):
        await pilot.press("down", "down")
        await pilot.pause()
        pane.show_failure(FAILURE)
        await pilot.pause()
        assert pane.scroll_y == 2

    play(DetailPane(), script, show=lambda pane: pane.show_failure(FAILURE), size=(47, 12))


def test_nothing_chosen_says_what_to_do(drawn):
    for show in (None, lambda pane: pane.show_failure(None)):
        pane = drawn(DetailPane(), show)
        assert "enter on a failure, a batch or a run" in pane.shown_text
        assert pane.plain_text == ""


def test_its_keys_stand_in_the_border_while_there_is_something(play):
    async def script(pilot, pane):
        pane.set_keys("c copy")
        assert pane.footing_text == ""
        pane.show_text("Rows", "anything")
        assert pane.footing_text == "c copy"

    play(DetailPane(), script)


SHOWS = {
    "nothing": lambda pane: pane.show_failure(None),
    "failure": lambda pane: pane.show_failure(FAILURE),
    "batch": lambda pane: pane.show_batch(views.manifest()),
    "run": lambda pane: pane.show_run(views.runs()[0]),
    "hostile": lambda pane: pane.show_failure(views.hostile_failure()),
    "loading": lambda pane: pane.show_loading("reading batch 20"),
    "problem": lambda pane: pane.show_problem("the catalog [/bold] can't be read: it is locked by another process"),
}


@pytest.mark.parametrize("name", SHOWS)
def test_looks(snap_compare, host, name):
    assert snap_compare(host(DetailPane(), show=SHOWS[name]), terminal_size=(49, 18))


def test_looks_on_a_screen_of_its_own(snap_compare, host):
    app = host(DetailPane(), show=SHOWS["failure"], theme="textual-light")

    assert snap_compare(app, terminal_size=(100, 36))


def test_looks_in_ascii(snap_compare, host):
    assert snap_compare(host(DetailPane(), show=SHOWS["batch"], glyphs=ASCII), terminal_size=(49, 18))
