from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.progress.quantiles import RELATIVE_ERROR, LogHistogram


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=200), st.floats(0.001, 1.0))
def test_a_quantile_is_within_the_stated_error(values, level):
    histogram = LogHistogram()
    for value in values:
        histogram.add(value)
    true = sorted(values)[math.ceil(level * len(values)) - 1]

    assert histogram.quantiles(level) == (pytest.approx(true, rel=RELATIVE_ERROR + 1e-9),)


def test_nothing_counted_has_no_quantiles():
    assert LogHistogram().quantiles(0.5) == ()


@pytest.mark.parametrize(("value", "counted_as"), [(-1.0, 1e-6), (0.0, 1e-6), (1e9, 1e6), (math.inf, 1e6)])
def test_values_out_of_range_count_as_its_ends(value, counted_as):
    histogram = LogHistogram()
    histogram.add(value)

    assert histogram.quantiles(0.5) == (pytest.approx(counted_as, rel=RELATIVE_ERROR),)


def test_many_values_take_no_more_memory_than_one():
    one, many = LogHistogram(), LogHistogram()
    one.add(1.0)
    for number in range(10_000):
        many.add(number / 100)

    assert len(one._counts) == len(many._counts)
