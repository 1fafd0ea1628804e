from __future__ import annotations

import polars as pl
import pytest

from engine.batch import SourceRow
from engine.sources.text.row_stream import RowPiece, RowStream


def pieces(*heights, bad=()):
    row = 0
    for height in heights:
        numbers = range(row, row + height)
        good = pl.DataFrame({"n": [n for n in numbers if n not in bad]}, schema={"n": pl.Int64})
        yield RowPiece(row, good, tuple(SourceRow(n, str(n), "bad") for n in numbers if n in bad))
        row += height


def taken(stream, *sizes):
    results = [stream.take(size) for size in sizes]
    return [None if piece is None else piece.data["n"].to_list() for piece in results]


def test_pieces_are_cut_and_put_together():
    assert taken(RowStream(pieces(2, 5)), 3, 3, 3, 3) == [[0, 1, 2], [3, 4, 5], [6], None]


def test_pieces_without_rows_are_passed_over():
    assert taken(RowStream(pieces(0, 2, 0, 0, 1, 0)), 2, 2, 2) == [[0, 1], [2], None]


def test_sizes_may_change_from_call_to_call():
    assert taken(RowStream(pieces(4, 4)), 1, 5, 2) == [[0], [1, 2, 3, 4, 5], [6, 7]]


def test_nothing_is_read_beyond_what_is_asked_for():
    source = pieces(2, 2, 2)
    RowStream(source).take(3)
    assert next(source).data["n"].to_list() == [4, 5]


def test_filling_takes_nothing_away():
    stream = RowStream(pieces(2, 2))
    stream.fill(3)
    assert taken(stream, 4) == [[0, 1, 2, 3]]


def test_rows_that_cannot_be_read_count_and_stay_in_their_place():
    stream = RowStream(pieces(3, 4, 1, bad={0, 2, 3, 6, 7}))
    found = [stream.take(2) for _ in range(4)]
    assert [piece.start for piece in found] == [0, 2, 4, 6]
    assert [piece.data["n"].to_list() for piece in found] == [[1], [], [4, 5], []]
    assert [[row.row for row in piece.unreadable] for piece in found] == [[0], [2, 3], [], [6, 7]]
    assert all(piece.data.schema == {"n": pl.Int64} for piece in found)


@pytest.mark.parametrize("bad", [set(), {0, 3, 4, 9}, set(range(12))])
@pytest.mark.parametrize("max_bytes", [1, 17, 40, 100, 10_000])
def test_a_bound_in_bytes_makes_smaller_pieces_of_the_same_rows(bad, max_bytes):
    stream = RowStream(pieces(5, 1, 6, bad=bad))
    found = []
    while piece := stream.take(4, max_bytes):
        assert 1 <= piece.rows <= 4
        assert piece.rows == 1 or piece.bytes <= max_bytes
        found.append(piece)
    assert [piece.start for piece in found] == [sum(p.rows for p in found[:n]) for n in range(len(found))]
    assert [n for piece in found for n in piece.data["n"]] == [n for n in range(12) if n not in bad]
    assert [row.row for piece in found for row in piece.unreadable] == sorted(bad)
    if max_bytes == 10_000:
        assert [piece.rows for piece in found] == [4, 4, 4]


def test_no_more_is_read_than_the_bound_in_bytes_needs():
    source = pieces(2, 2, 2, 2)
    RowStream(source).take(100, 20)
    assert next(source).data["n"].to_list() == [4, 5]
