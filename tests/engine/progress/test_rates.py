from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.progress.rates import HISTORY_SECONDS, Pace, SecondBuckets


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50)), max_size=60))
def test_the_ring_holds_what_came_in_each_of_the_last_seconds(arrivals):
    buckets, elapsed = SecondBuckets(), 0.0
    expected: dict[int, int] = {}
    for wait, count in arrivals:
        elapsed += wait
        buckets.add(elapsed, count)
        expected[int(elapsed)] = expected.get(int(elapsed), 0) + count

    newest = int(elapsed)
    seconds = range(newest - HISTORY_SECONDS + 1, newest + 1)
    assert buckets.values(elapsed) == tuple(expected.get(second, 0) for second in seconds)


def test_a_rate_is_zero_before_any_time_has_passed():
    assert SecondBuckets().rate(0.0, over=5.0) == 0.0


def test_a_young_run_is_measured_over_the_time_that_it_had():
    buckets = SecondBuckets()
    buckets.add(0.25, 100)

    assert buckets.rate(0.5, over=5.0) == 200.0


def test_a_rate_never_looks_further_back_than_the_ring():
    buckets = SecondBuckets()
    for second in range(1_000):
        buckets.add(float(second), 7)

    assert buckets.rate(999.999, over=10_000.0) == pytest.approx(7.0, rel=0.001)


def test_the_pace_keeps_few_marks_however_long_the_run():
    pace = Pace()
    for second in range(1, 100_000):
        pace.add(float(second), rows=second * 5, batches=second)

    assert len(pace._marks) <= 128
    assert pace.rows_per_second(99_999.0) == pytest.approx(5.0)


def test_the_pace_of_slow_batches_is_over_ten_of_them():
    pace = Pace()
    for batch in range(1, 31):
        pace.add(batch * 60.0, rows=batch * (600 if batch > 15 else 0), batches=batch)
    with_a_batch_under_way = pace.rows_per_second(30 * 60.0 + 30.0)

    assert pace.rows_per_second(30 * 60.0) == pytest.approx(10.0)
    assert with_a_batch_under_way == pytest.approx(10.0, rel=0.05)


def test_the_pace_after_a_long_stall_is_not_that_of_the_stall_alone():
    pace = Pace()
    for batch in range(1, 1_001):
        pace.add(batch * 0.1, rows=batch * 10, batches=batch)
    pace.add(300.0, rows=10_010, batches=1_001)

    assert pace.rows_per_second(300.0) == pytest.approx(1_010 / 210, rel=0.01)


def test_there_is_no_pace_at_the_very_start():
    assert Pace().rows_per_second(0.0) == 0.0
