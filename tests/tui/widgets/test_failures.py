from __future__ import annotations

from dataclasses import replace

import pytest
import views

from tui.look.glyphs import ASCII
from tui.widgets.drawing.describe import failure_reason
from tui.widgets.failures import MOST_ROWS, FailuresPane, failure_kinds

CHECK = views.flight_failure()
AGAIN = replace(CHECK, run_id=2, attempts=1)
PARSE = replace(
    CHECK, run_id=3, batch_id=40, step="parse", error_type="ValueError", attempts=3,
    message="step 'parse' failed at batch 40 (rows 400,000 to 409,999) after 3 attempts: ValueError: no number",
)  # fmt: skip
FETCH = replace(
    CHECK, run_id=4, batch_id=41, step=None, error_type="TimeoutError",
    message="fetching batch 41 failed after 5 attempts: TimeoutError: no answer",
)  # fmt: skip
ALL = (CHECK, AGAIN, PARSE, FETCH)


def of(*failures):
    return replace(views.running(), failures=failures)


def showing(*failures):
    return lambda pane: pane.show(of(*failures))


def test_failures_are_grouped_by_step_and_error_the_latest_first(drawn):
    pane = drawn(FailuresPane(), showing(*ALL), size=(100, 9))

    assert [line.split() for line in pane.shown_text.splitlines()] == [
        ["step", "batches", "tries", "error", "message"],
        ["▌", "source", "41", "1", "TimeoutError", "TimeoutError:", "no", "answer"],
        ["parse", "40", "3", "ValueError", "ValueError:", "no", "number"],
        [
            "▸",
            "check_speed",
            "21",
            "2",
            "CheckFailed",
            "1",
            "row",
            "breaks",
            "the",
            "check",
            '[(col("speed_mph"))',
            "<=",
            "(d…",
        ],
    ]


def test_a_failure_of_a_sink_is_called_one(drawn):
    pane = drawn(FailuresPane(), lambda pane: pane.show(views.sink_failed()), size=(120, 9))

    assert "sink orders in postgresql:/…" in pane.shown_text
    assert pane.shown_text.rstrip().endswith("OperationalError: connection refused")


def test_the_filter_finds_failures_of_sinks(drawn):
    def show(pane):
        pane.show(replace(views.sink_failed(), failures=(CHECK, views.sink_failure())))
        pane.set_filter("sink")

    assert drawn(FailuresPane(), show, size=(120, 9)).footing_text == "filter 'sink': 1 of 2 failures"


def test_a_row_does_not_repeat_step_and_batch_in_the_message():
    assert failure_reason(views.sink_failure().message) == "OperationalError: connection refused"
    assert failure_reason(PARSE.message) == "ValueError: no number"
    assert failure_reason(FETCH.message) == "TimeoutError: no answer"
    assert failure_reason("anything else: stays") == "anything else: stays"


def test_right_unfolds_the_single_failures_of_a_kind_and_left_folds_them(play):
    async def script(pilot, pane):
        await pilot.press("end", "right")
        unfolded.extend(pane.shown_text.splitlines()[-2:])
        await pilot.press("down", "down", "enter", "left", "enter")
        folded.append(pane.shown_text)

    unfolded, folded = [], []
    posted = play(FailuresPane(), script, show=showing(*ALL), size=(100, 9))
    chosen = [message.failure for message in posted if isinstance(message, FailuresPane.Selected)]

    assert [line.split()[:4] for line in unfolded] == [["└", "run", "2", "21"], ["└", "run", "1", "21"]]
    assert chosen == [CHECK, AGAIN]
    assert "└" not in folded[0]


def test_a_kind_of_one_failure_has_nothing_to_unfold(drawn):
    assert len(drawn(FailuresPane(), showing(CHECK), keys=["right"]).shown_text.splitlines()) == 2


def test_moving_tells_where_the_choice_is_and_enter_that_it_is_wanted(play):
    async def script(pilot, pane):
        await pilot.press("down", "enter")

    highlighted, selected = play(FailuresPane(), script, show=showing(*ALL))

    assert type(highlighted) is FailuresPane.Highlighted
    assert type(selected) is FailuresPane.Selected
    assert highlighted.failure == selected.failure == PARSE


def test_the_choice_stays_on_its_kind_when_another_comes_above(play):
    async def script(pilot, pane):
        await pilot.press("down")
        pane.show(of(CHECK, PARSE, FETCH))
        await pilot.press("enter")

    posted = play(FailuresPane(), script, show=showing(CHECK, PARSE))

    assert posted[-1].failure == CHECK


def test_until_someone_moves_the_choice_is_on_the_latest(play):
    async def script(pilot, pane):
        pane.show(of(CHECK, PARSE))
        await pilot.press("enter")

    assert play(FailuresPane(), script, show=showing(CHECK))[-1].failure == PARSE


@pytest.mark.parametrize(
    ("text", "steps"),
    [("PARSE", ["parse"]), ("timeout", ["source"]), ("21", ["check_speed"]), ("no ", ["source", "parse"]), ("[/", [])],
)
def test_the_filter_looks_at_step_error_message_and_batch(drawn, text, steps):
    def show(pane):
        pane.show(of(*ALL))
        pane.set_filter(text)

    pane = drawn(FailuresPane(), show, size=(100, 9))
    rows = pane.shown_text.splitlines()[1:] if steps else []

    assert [next(word for word in row.split() if word.isidentifier()) for row in rows] == steps
    assert pane.footing_text.startswith(f"filter '{text.strip()}': ")


def test_a_filter_that_lets_nothing_pass_says_so(drawn):
    def show(pane):
        pane.show(of(*ALL))
        pane.set_filter("nothing like it")

    assert "no failure has 'nothing like it' in it" in drawn(FailuresPane(), show).shown_text


def test_without_failures_it_says_so(drawn):
    assert drawn(FailuresPane(), showing()).shown_text.strip() == "no failures"


def test_kinds_know_their_failures_newest_first():
    assert [(kind.key, len(kind.failures)) for kind in failure_kinds(ALL)] == [
        ((None, "TimeoutError"), 1),
        (("parse", "ValueError"), 1),
        (("check_speed", "CheckFailed"), 2),
    ]
    assert failure_kinds(ALL)[2].failures == (AGAIN, CHECK)


def test_rows_are_bounded(drawn):
    many = tuple(replace(CHECK, step=f"step_{number}", batch_id=number) for number in range(MOST_ROWS + 100))

    assert len(drawn(FailuresPane(), showing(*many)).shown_text.splitlines()) == MOST_ROWS + 1


def test_ascii_uses_nothing_else(drawn):
    assert drawn(FailuresPane(), showing(*ALL), glyphs=ASCII).shown_text.isascii()


LOOKS = {"none": (), "one": (CHECK,), "several": ALL, "hostile": (views.hostile_failure(), CHECK)}


@pytest.mark.parametrize("name", LOOKS)
def test_looks(snap_compare, host, name):
    assert snap_compare(host(FailuresPane(), show=showing(*LOOKS[name])), terminal_size=(78, 8), press=["end", "right"])


def test_looks_narrow_in_the_light(snap_compare, host):
    app = host(FailuresPane(), show=showing(*ALL), theme="textual-light", focus=False)

    assert snap_compare(app, terminal_size=(48, 8))
