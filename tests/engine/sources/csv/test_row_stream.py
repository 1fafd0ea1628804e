from __future__ import annotations

import polars as pl

from engine.sources.csv.row_stream import RowStream


def frames(*heights):
    row = 0
    for height in heights:
        yield pl.DataFrame({"n": range(row, row + height)}, schema={"n": pl.Int64})
        row += height


def taken(stream, *sizes):
    results = [stream.take(size) for size in sizes]
    return [None if frame is None else frame["n"].to_list() for frame in results]


def test_frames_are_cut_and_put_together():
    assert taken(RowStream(frames(2, 5)), 3, 3, 3, 3) == [[0, 1, 2], [3, 4, 5], [6], None]


def test_frames_without_rows_are_passed_over():
    assert taken(RowStream(frames(0, 2, 0, 0, 1, 0)), 2, 2, 2) == [[0, 1], [2], None]


def test_sizes_may_change_from_call_to_call():
    assert taken(RowStream(frames(4, 4)), 1, 5, 2) == [[0], [1, 2, 3, 4, 5], [6, 7]]


def test_nothing_is_read_beyond_what_is_asked_for():
    source = frames(2, 2, 2)
    RowStream(source).take(3)
    assert next(source)["n"].to_list() == [4, 5]


def test_filling_takes_nothing_away():
    stream = RowStream(frames(2, 2))
    stream.fill(3)
    assert taken(stream, 4) == [[0, 1, 2, 3]]
