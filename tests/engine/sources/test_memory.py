from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sources import memory
from engine.sources.memory import BatchBounds, Piece, default_batch_bytes, frame_bytes, rows_within


@st.composite
def pieces(draw):
    lengths = draw(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 500)), max_size=12))
    stops = [0]
    for rows, _ in lengths:
        stops.append(stops[-1] + rows)
    return [Piece(start, stop, size) for (start, stop), (_, size) in zip(pairwise(stops), lengths, strict=True)]


@given(pieces(), st.data(), st.integers(1, 40), st.none() | st.integers(1, 2_000))
def test_batches_cover_the_rows_in_order_and_keep_to_both_bounds(found, data, batch_size, max_bytes):
    rows = found[-1].stop if found else 0
    first = data.draw(st.integers(0, rows))
    bounds = BatchBounds(found, first, batch_size, max_bytes)
    row, number = first, 0
    while (batch := bounds[number]) is not None:
        start, stop = batch
        assert start == row
        assert 1 <= stop - start <= batch_size
        touched = [piece for piece in found if piece.start < stop and start < piece.stop]
        held = sum(
            piece.bytes * (min(stop, piece.stop) - max(start, piece.start)) / (piece.stop - piece.start)
            for piece in touched
        )
        assert max_bytes is None or held <= max_bytes + 1e-6 or len(touched) == 1
        row, number = stop, number + 1
    assert row == rows
    assert bounds[number + 1] is None


@pytest.mark.parametrize("width", [0, 10, 1_000])
def test_the_rows_that_fit_are_counted_by_their_own_bytes(width):
    frame = pl.DataFrame({"text": ["x" * width] * 50 + ["x" * 10 * width] * 50})
    rows = rows_within(frame, 20_000)
    assert 1 <= rows <= frame.height
    assert rows == 1 or frame_bytes(frame.head(rows)) <= 20_000
    assert rows_within(frame, None) == 100
    assert rows_within(frame, 1) == 1
    assert rows_within(frame.clear(), 1) == 0


@pytest.mark.parametrize(
    ("gigabytes", "workers", "megabytes"), [(1, 1, 64), (1, 16, 16), (64, 4, 256), (8, 4, 128), (0.1, 1, 16)]
)
def test_the_default_is_a_share_of_the_memory_within_limits(monkeypatch, gigabytes, workers, megabytes):
    monkeypatch.setattr(memory, "memory_bytes", lambda: int(gigabytes * (1 << 30)))
    assert default_batch_bytes(workers) == megabytes << 20


def test_the_limit_of_a_container_counts_as_its_memory(monkeypatch, tmp_path):
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text(f"{1 << 30}\n")
    monkeypatch.setattr(memory, "_LIMITS", (tmp_path / "not there", tmp_path / "max", tmp_path / "limit"))
    assert default_batch_bytes(1) == 64 << 20
