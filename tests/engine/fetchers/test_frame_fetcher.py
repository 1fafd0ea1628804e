from __future__ import annotations

import polars as pl
import pytest

from engine.errors import SourceError
from engine.fetcher import Position, SourceSize
from engine.fetchers import FrameFetcher

FRAME = pl.DataFrame({"n": [0, 1, 2, 3, 4], "letter": ["a", "b", "c", "d", "e"]})


def opened(frame, position=None):
    fetcher = FrameFetcher(frame)
    fetcher.open(position or Position())
    return fetcher


def test_only_a_data_frame_is_fetched_by_several_threads():
    assert FrameFetcher(FRAME).concurrent
    assert not FrameFetcher(FRAME.lazy()).concurrent


def test_both_kinds_have_the_same_identity():
    expected = {"kind": "frame", "schema": {"n": "Int64", "letter": "String"}}
    assert FrameFetcher(FRAME).identity() == FrameFetcher(FRAME.lazy()).identity() == expected


def test_the_size_of_a_lazy_frame_is_unknown():
    assert opened(FRAME).size() == SourceSize(5)
    assert opened(FRAME.lazy()).size() is None


@pytest.mark.parametrize("frame", [FRAME[:0], FRAME.lazy().filter(pl.col("n") > 9)])
def test_a_frame_without_rows_ends_at_once(frame):
    fetcher = opened(frame)
    assert fetcher(0, 10) is None
    assert fetcher(1, 10) is None


def test_a_lazy_plan_runs_up_to_its_filter():
    fetcher = opened(FRAME.lazy().filter(pl.col("n") != 2).with_columns(double=pl.col("n") * 2))
    assert fetcher(0, 3).data["double"].to_list() == [0, 2, 6]
    assert fetcher(1, 3).data["double"].to_list() == [8]


def test_an_aggregation_with_a_sort_behind_it_resumes():
    plan = pl.LazyFrame({"k": ["x", "y", "x", "z"]}).group_by("k").len().sort("k")
    fetcher = opened(plan, Position(1, 2, {"next_row": 2}))
    assert fetcher(1, 2).data["k"].to_list() == ["z"]


def test_a_lazy_plan_that_fails_is_a_source_error():
    fetcher = opened(pl.LazyFrame({"n": ["1", "x"]}).select(pl.col("n").cast(pl.Int64)))
    with pytest.raises(SourceError, match="the lazy frame can't be run"):
        fetcher(0, 2)


def test_a_lazy_plan_that_failed_does_not_look_finished():
    fetcher = opened(pl.LazyFrame({"n": ["1", "x"]}).select(pl.col("n").cast(pl.Int64)))
    for _ in range(2):
        with pytest.raises(SourceError):
            fetcher(0, 2)


def test_a_lazy_plan_over_a_column_that_is_not_there_has_no_identity():
    with pytest.raises(SourceError, match="nope"):
        FrameFetcher(FRAME.lazy().select("nope")).identity()
