"""Which rows of a batch fail: found by halves, with few tries, whatever rows they are."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engine.batch import Batch
from engine.errors import StepFailed
from engine.testing import numbers
from engine.worker.bisect import TooManyBadRows, bisect_batch
from engine.worker.quarantined_rows import bad_rows, errors_as_columns, whole_batch

UNEXPLAINED = StepFailed("s", 0, 0, 0, ValueError("no row explains it"))


def batch(rows, start=0):
    return Batch(0, start, start + rows - 1, numbers(start, start + rows))


def failed(one, error):
    failure = StepFailed("s", one.batch_id, one.start_row, one.end_row, error)
    failure.input = one.data
    failure.__cause__ = error
    return failure


class Process:
    """Fails for frames with a bad id; each good row becomes as many rows as `copies` says, counted in `tries`."""

    def __init__(self, bad, copies=1):
        self.bad = set(bad)
        self.copies = copies
        self.tries = 0

    def __call__(self, one):
        self.tries += 1
        for number in one.data["id"]:
            if number in self.bad:
                raise failed(one, ValueError(f"{number} is bad"))
        return one.with_data(
            pl.DataFrame({"id": [n for n in one.data["id"] for _ in range(self.copies)]}, {"id": pl.Int64})
        )


def search(one, process, most=10_000):
    return bisect_batch(one, process, most=most, fatal=lambda error: False, unexplained=UNEXPLAINED)


batches_with_bad_rows = st.integers(1, 80).flatmap(
    lambda rows: st.tuples(st.just(rows), st.sets(st.integers(0, rows - 1), min_size=1), st.integers(0, 3))
)


@given(batches_with_bad_rows)
def test_exactly_the_bad_rows_are_found_and_the_others_processed(case):
    rows, bad, copies = case
    found = search(batch(rows), Process(bad, copies))
    good = [number for number in range(rows) if number not in bad]
    assert [number for number, _, _ in found.bad] == sorted(bad)
    assert (found.frame is None) == (not good)
    if found.frame is not None:
        assert_frame_equal(found.frame, Process((), copies)(batch(rows).with_data(numbers(0, rows)[good])).data)
    assert (found.rows_good, found.height) == (len(good), copies * len(good))


@given(batches_with_bad_rows)
def test_the_place_of_a_bad_row_is_how_many_results_come_before_it(case):
    rows, bad, copies = case
    found = search(batch(rows), Process(bad, copies))
    for number, point, _ in found.bad:
        assert point == copies * sum(other not in bad for other in range(number))


@given(batches_with_bad_rows)
def test_k_bad_rows_among_n_cost_2_k_log_n_tries_at_most(case):
    rows, bad, _ = case
    process = Process(bad)
    search(batch(rows), process)
    assert process.tries <= 2 * len(bad) * max(1, math.ceil(math.log2(rows)))


def test_each_bad_row_has_its_own_error_and_what_the_step_saw():
    found = search(batch(5), Process({1, 3}))
    frame = bad_rows(batch(5), found, at_source=True, places=True)
    assert frame["error"].to_list() == ["ValueError: 1 is bad", "ValueError: 3 is bad"]
    assert frame["error_type"].to_list() == ["ValueError", "ValueError"]
    assert frame["input"].to_list() == ['{"id": 1}', '{"id": 3}']
    assert frame["row"].to_list() == [{"id": 1}, {"id": 3}]


def test_numbers_in_the_source_are_told_only_where_they_are_known():
    one = batch(4, start=100)
    found = search(one, Process({102}))
    assert bad_rows(one, found, at_source=True, places=True).select("source_row", "position").row(0) == (102, 2)
    assert bad_rows(one, found, at_source=False, places=False).select("source_row", "position").row(0) == (None, None)


def test_a_batch_that_fails_only_as_a_whole_has_no_bad_row():
    def process(one):
        if one.data.height == 8:
            raise failed(one, ValueError("too many rows"))
        return one

    assert not search(batch(8), process).bad


def test_it_ends_when_more_rows_fail_than_may():
    process = Process(range(1000))
    with pytest.raises(TooManyBadRows) as caught:
        search(batch(1000), process, most=3)
    assert caught.value.count == 4
    assert process.tries < 40


def test_an_error_that_is_no_rows_fault_ends_it():
    def process(one):
        raise failed(one, MemoryError())

    with pytest.raises(StepFailed):
        bisect_batch(
            batch(8),
            process,
            most=10,
            fatal=lambda error: isinstance(error.__cause__, MemoryError),
            unexplained=UNEXPLAINED,
        )


def test_a_dtype_that_depends_on_the_rows_is_that_of_all_good_ones():
    def process(one):
        if 3 in one.data["id"]:
            raise failed(one, ValueError("3"))
        values = [None if number < 4 else f"{number}" for number in one.data["id"]]
        return one.with_data(pl.DataFrame({"text": values}))

    found = search(batch(8), process)
    assert found.frame.schema == {"text": pl.String}
    assert found.frame["text"].to_list() == [None, None, None, "4", "5", "6", "7"]


def test_a_whole_batch_is_kept_under_its_one_error():
    one = batch(3, start=10)
    frame = whole_batch(one, failed(one, KeyError("x")), at_source=True, places=True)
    assert frame["source_row"].to_list() == [10, 11, 12]
    assert frame["position"].to_list() == [0, 0, 0]
    assert frame["error"].unique().to_list() == ["KeyError: 'x'"]
    assert frame["input"].to_list() == [None, None, None]


def test_texts_that_no_file_takes_are_escaped():
    columns = errors_as_columns([failed(batch(1), OSError("a name \udcff"))])
    assert columns["error"] == ["OSError: a name \\udcff"]


def test_long_texts_are_cut():
    (text,) = errors_as_columns([failed(batch(1), ValueError("x" * 10_000))])["error"]
    assert len(text) == 2_000
