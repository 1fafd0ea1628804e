from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from engine.sources.parquet.files import RowGroup
from engine.sources.parquet.row_group_cache import RowGroupCache

GROUPS = [RowGroup(start, start + 10, 80, 0, start) for start in range(0, 100, 10)]


class Decoder:
    """Makes a row group's frame out of its row numbers, and remembers which ones it made."""

    def __init__(self):
        self.decoded = []

    def __call__(self, group):
        self.decoded.append(group.start)
        return pl.DataFrame({"n": range(group.start, group.stop)})


def test_a_group_is_decoded_once_and_dropped_with_its_last_row():
    decode = Decoder()
    cache = RowGroupCache(decode)
    assert cache.rows(GROUPS[1], 10, 14)["n"].to_list() == [10, 11, 12, 13]
    assert len(cache) == 1
    assert cache.rows(GROUPS[1], 14, 20)["n"].to_list() == [14, 15, 16, 17, 18, 19]
    assert len(cache) == 0
    assert decode.decoded == [10]


def test_rows_below_the_first_one_are_not_waited_for():
    cache = RowGroupCache(Decoder(), first_row=17)
    cache.rows(GROUPS[1], 17, 20)
    assert len(cache) == 0


def test_past_the_capacity_the_earliest_group_goes_and_is_decoded_again_when_wanted():
    decode = Decoder()
    cache = RowGroupCache(decode, capacity=2)
    for group in GROUPS[:3]:
        cache.rows(group, group.start, group.start + 1)
        assert len(cache) <= 2
    assert cache.rows(GROUPS[0], 1, 3)["n"].to_list() == [1, 2]
    assert decode.decoded == [0, 10, 20, 0]
    assert len(cache) == 2


def test_threads_that_want_the_same_group_at_once_share_one_decoding():
    barrier = threading.Barrier(4)
    decode = Decoder()
    cache = RowGroupCache(decode)

    def rows(start):
        barrier.wait()
        return cache.rows(GROUPS[0], start, start + 2)["n"].to_list()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(rows, [0, 2, 4, 6])) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert decode.decoded == [0]


def test_two_groups_are_decoded_at_the_same_time():
    both_decoding = threading.Barrier(2, timeout=60)

    def decode(group):
        both_decoding.wait()
        return pl.DataFrame({"n": range(10)})

    cache = RowGroupCache(decode)
    with ThreadPoolExecutor(2) as pool:
        assert [frame.height for frame in pool.map(lambda g: cache.rows(g, g.start, g.start + 3), GROUPS[:2])] == [3, 3]


def test_a_decoding_that_fails_is_tried_again_by_the_next_one_who_asks():
    failures = [OSError("the disk hiccups")]
    decode = Decoder()

    def sometimes(group):
        if failures:
            raise failures.pop()
        return decode(group)

    cache = RowGroupCache(sometimes)
    with pytest.raises(OSError, match="hiccups"):
        cache.rows(GROUPS[0], 0, 5)
    assert cache.rows(GROUPS[0], 0, 5).height == 5
