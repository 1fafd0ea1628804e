from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from engine.text.format import (
    ago,
    clock,
    compact,
    count,
    counted,
    duration,
    eta,
    instant,
    next_attempt,
    percent,
    size,
    span,
    spans,
    time_of_day,
)

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@given(st.floats(0, 0.999_999_999))
def test_nothing_short_of_all_is_a_hundred_percent(fraction):
    assert percent(fraction) != "100.0%"
    assert percent(fraction) != "100%"
    assert percent(fraction, digits=0) != "100%"


@given(st.integers(0, 1_000))
def test_percent_says_exactly_what_a_thousandth_is(thousandths):
    expected = f"{thousandths // 10}.{thousandths % 10}%" if thousandths < 1_000 else "100%"

    assert percent(thousandths / 1_000) == expected


@given(st.floats(0, 9e14))
def test_a_compact_number_never_needs_more_than_six_cells(number):
    assert len(compact(number)) <= 6


@given(st.floats(0, 8e7))
def test_durations_never_need_more_than_seven_cells(seconds):
    assert len(duration(seconds)) <= 7
    assert "60s" not in duration(seconds)
    assert "m60" not in duration(seconds)


@given(st.integers(0, 10**15))
def test_a_size_has_three_digits_and_a_unit(byte_count):
    number, unit = size(byte_count).split(" ")

    assert unit in {"B", "kB", "MB", "GB", "TB"}
    assert len(number) <= 5


def test_borders_round_to_the_next_unit_and_not_to_a_thousand():
    assert [compact(number) for number in (9_999, 9_999.4, 9_999.6, 999_499, 999_500)] == [
        "9,999", "9,999", "10.0k", "999k", "1.00M",
    ]  # fmt: skip
    assert [duration(seconds) for seconds in (0.99949, 0.9996, 9.94, 9.96, 59.4, 59.6, 3_599.4, 3_599.6)] == [
        "999ms", "1.0s", "9.9s", "10s", "59s", "1m00s", "59m59s", "1h00m",
    ]  # fmt: skip


def test_what_is_not_known_is_a_dash():
    unknown = (count(None), compact(None), percent(None), duration(None), eta(None), size(None), ago(None, NOON))

    assert set(unknown) == {"-"}
    assert {compact(float("nan")), duration(float("inf")), eta(float("inf"))} == {"-"}


def test_an_estimate_gets_coarser_the_longer_it_takes():
    assert [eta(seconds) for seconds in (0, 59.4, 61, 64.9, 599, 3_000, 3_599, 7_260)] == [
        "~1s", "~59s", "~1m00s", "~1m00s", "~10m00s", "~50m", "~60m", "~2h00m",
    ]  # fmt: skip


def test_the_clock_does_not_run_ahead():
    assert clock(59.999) == "00:00:59"
    assert clock(-1) == "00:00:00"


def test_a_clock_that_was_set_back_is_no_trouble():
    assert ago(NOON + timedelta(hours=1), NOON) == "just now"


def test_one_is_singular():
    assert [counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [counted(number, "batch") for number in (1, 21)] == ["1 batch", "21 batches"]


def test_times_are_local_and_name_the_zone(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        shown = (instant(NOON), time_of_day(NOON))
    time.tzset()
    assert shown == ("2026-01-31 21:00:00 JST", "21:00:00")


def test_the_next_attempt_is_never_earlier_than_shown():
    assert [next_attempt(1, 3, seconds) for seconds in (0.0, 0.2, 7.0, 7.2)] == [
        "retry 2/3 now", "retry 2/3 in 1 s", "retry 2/3 in 7 s", "retry 2/3 in 8 s",
    ]  # fmt: skip


def test_ids_are_told_as_runs():
    assert spans([]) == ""
    assert spans([3, 1, 2, 7], "-") == "1-3, 7"
    assert spans(range(1_000), "-") == "0-999"
    assert span(5, 5) == "5"
