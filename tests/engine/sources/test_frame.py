from __future__ import annotations

import errno

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import FrameFetcher
from engine.errors import SourceError
from engine.sources.base import Position, SourceSize

FRAME = pl.DataFrame({"n": [0, 1, 2, 3, 4], "letter": ["a", "b", "c", "d", "e"]})


@pytest.fixture
def opened():
    """Open a fetcher over a frame; it is closed after the test, which deletes its spool."""
    fetchers = []

    def opened(frame, position=None):
        fetcher = FrameFetcher(frame)
        fetchers.append(fetcher)
        fetcher.open(position or Position())
        return fetcher

    yield opened
    for fetcher in fetchers:
        fetcher.close()


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_both_kinds_have_the_same_identity():
    expected = {"kind": "frame", "schema": {"n": "Int64", "letter": "String"}}
    assert FrameFetcher(FRAME).identity() == FrameFetcher(FRAME.lazy()).identity() == expected


def test_the_size_is_exact(opened):
    assert opened(FRAME).size() == SourceSize(5)
    assert opened(FRAME.lazy().filter(pl.col("n") > 1)).size() == SourceSize(3)


@pytest.mark.parametrize("frame", [FRAME[:0], FRAME.lazy().filter(pl.col("n") > 9)])
def test_a_frame_without_rows_ends_at_once(opened, frame):
    fetcher = opened(frame)
    assert fetcher(0, 10) is None
    assert fetcher(1, 10) is None


def test_a_data_frame_is_not_copied_to_disk(opened, temporary):
    opened(FRAME)
    assert list(temporary.iterdir()) == []


def test_the_spool_of_a_lazy_frame_goes_with_close(opened, temporary):
    fetcher = opened(FRAME.lazy())
    assert [path.name for path in temporary.glob("*/*")] == ["rows.parquet"]
    fetcher.close()
    assert list(temporary.iterdir()) == []


def test_an_aggregation_with_a_sort_behind_it_resumes(opened):
    plan = pl.LazyFrame({"k": ["x", "y", "x", "z"]}).group_by("k").len().sort("k")
    fetcher = opened(plan, Position(1, 2, {"next_row": 2}))
    assert fetcher(1, 2).data["k"].to_list() == ["z"]


def test_every_dtype_survives_the_spool(opened):
    frame = pl.DataFrame(
        {
            "small": pl.Series([-1, None], dtype=pl.Int8),
            "huge": pl.Series([2**100, None], dtype=pl.Int128),
            "exact": pl.Series(["1.25", None]).cast(pl.Decimal(20, 2)),
            "instant": pl.Series([0, None], dtype=pl.Int64).cast(pl.Datetime("ns", "Europe/Berlin")),
            "span": pl.Series([1, None], dtype=pl.Int64).cast(pl.Duration("ms")),
            "clock": pl.Series([1, None], dtype=pl.Int64).cast(pl.Time),
            "choice": pl.Series(["a", None], dtype=pl.Enum(["a", "b"])),
            "label": pl.Series(["a", None], dtype=pl.Categorical),
            "raw": [b"\x00", None],
            "nothing": [None, None],
            "list": [[1, None], []],
            "pair": pl.Series([[1, 2], None], dtype=pl.Array(pl.Int16, 2)),
            "record": [{"a": 1, "b": {"c": "x"}}, None],
        }
    )
    assert_frame_equal(opened(frame.lazy())(0, 10).data, frame)


FAILING = pl.LazyFrame({"n": [str(n) for n in range(300_000)] + ["x"]}).select(pl.col("n").cast(pl.Int64))


def test_no_row_of_a_plan_that_fails_is_handed_out(opened):
    with pytest.raises(SourceError, match="the lazy frame can't be run: InvalidOperationError"):
        opened(FAILING)


def test_an_error_of_the_users_own_function_is_a_source_error(opened):
    with pytest.raises(SourceError, match="ZeroDivisionError"):
        opened(FRAME.lazy().map_batches(lambda frame: 1 // 0))


def test_a_spool_that_finds_no_place_says_how_to_give_it_one(opened, temporary, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", full)
    with pytest.raises(SourceError, match="No space left on device") as caught:
        opened(FRAME.lazy())
    assert "TMPDIR" in caught.value.hint


def test_a_lazy_plan_over_a_column_that_is_not_there_has_no_identity():
    with pytest.raises(SourceError, match="nope"):
        FrameFetcher(FRAME.lazy().select("nope")).identity()
