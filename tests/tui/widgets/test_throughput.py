from __future__ import annotations

from dataclasses import replace

import pytest
import views

from tui.look.glyphs import ASCII
from tui.widgets.throughput import ThroughputPane, average_columns, draw_chart

MEMORY = 412_000_000


def showing(view, memory_bytes=MEMORY):
    return lambda pane: views.show_in(pane, view, memory_bytes=memory_bytes)


def test_it_tells_pace_batch_times_and_cost(drawn):
    first, *_, times, load = drawn(ThroughputPane(), showing(views.running()), size=(60, 9)).shown_text.splitlines()

    assert first.startswith("1.48M rows/s   14.8 batches/s")
    assert first.endswith("peak 1.77M")
    assert times == "p50 12ms  p95 98ms  max 310ms #4,020"
    assert load == "in flight 3/4   memory 412 MB"


def test_memory_that_nobody_could_measure_is_left_out(drawn):
    assert "memory" not in drawn(ThroughputPane(), showing(views.running(), None)).shown_text


def test_a_run_that_has_ended_shows_its_average(drawn):
    text = drawn(ThroughputPane(), showing(views.failed()), size=(60, 9)).shown_text

    assert text.startswith("avg 65.6k rows/s   6.56 batches/s")
    assert "in flight -" in text


def test_before_the_first_run_it_says_so(drawn):
    pane = drawn(ThroughputPane(), showing(views.resumable()))

    assert pane.shown_text.strip() == "no run yet"
    assert pane.footing_text == ""


def test_the_subtitle_tells_exactly_what_the_chart_spans(drawn):
    assert drawn(ThroughputPane(), showing(views.running()), size=(41, 9)).footing_text == "last 1m51s"
    assert drawn(ThroughputPane(), showing(views.running()), size=(160, 9)).footing_text == "last 2m00s"


def test_the_second_that_still_goes_on_is_not_drawn(drawn):
    calm = replace(views.running(), throughput=(1_000,) * 119 + (3,))
    pane = drawn(ThroughputPane(), showing(calm), size=(160, 6))

    assert pane.shown_text.splitlines()[1] == " " * (156 - 119) + "█" * 119


def test_less_height_leaves_the_chart_out_first(drawn):
    two = drawn(ThroughputPane(), showing(views.running()), size=(60, 4)).shown_text.splitlines()
    one = drawn(ThroughputPane(), showing(views.running()), size=(60, 3)).shown_text.splitlines()

    assert [line.split()[0] for line in two] == ["1.48M", "in"]
    assert [line.split()[0] for line in one] == ["1.48M"]


def test_a_column_stays_the_same_seconds_while_time_goes_on():
    seconds = [1, 2, 3, 4, 5, 6]

    assert average_columns([0, *seconds], 3)[-2:] == [2.0, 5.0]
    assert average_columns([*seconds, 9], 3, phase=1)[-3:] == [2.0, 5.0, 9.0]


def test_the_chart_is_as_high_as_its_greatest_value_and_shows_the_least():
    assert draw_chart([0, 1, 50, 100], 4, 2, " ▁▂▃▄▅▆▇█") == ["   █", " ▁██"]
    assert draw_chart([], 4, 2, " ▁▂▃▄▅▆▇█") == ["    ", "    "]


@pytest.mark.parametrize("name", ["resumable", "running", "stopping", "failed"])
def test_looks(snap_compare, host, name):
    assert snap_compare(host(ThroughputPane(), show=showing(getattr(views, name)())), terminal_size=(43, 9))


def test_looks_in_ascii(snap_compare, host):
    assert snap_compare(host(ThroughputPane(), show=showing(views.running()), glyphs=ASCII), terminal_size=(43, 9))


def test_looks_small_in_the_light(snap_compare, host):
    app = host(ThroughputPane(), show=showing(views.running()), theme="textual-light", focus=False)

    assert snap_compare(app, terminal_size=(28, 7))


def test_a_cluster_shows_its_nodes_and_what_was_tried_again(drawn):
    view = replace(views.running(), nodes=3, retry_count=2)
    *_, load = drawn(ThroughputPane(), showing(view), size=(70, 9)).shown_text.splitlines()
    assert load == "in flight 3/4  3 nodes  2 retries  memory 412 MB"
