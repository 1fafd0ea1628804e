from __future__ import annotations

from dataclasses import FrozenInstanceError

import polars as pl
import pytest

from engine.batch import Batch

TEN = pl.DataFrame({"x": range(10)})


def test_size_counts_source_rows_with_both_ends():
    assert Batch(0, 0, 9, TEN).size == 10
    assert Batch(3, 30, 30, TEN[:1]).size == 1


def test_an_empty_batch_ends_before_it_starts():
    assert Batch(3, 30, 29, TEN[:0]).size == 0


def test_size_does_not_follow_the_data():
    assert Batch(0, 0, 9, TEN.filter(pl.col("x") > 7)).size == 10


def test_with_data_changes_nothing_else():
    batch = Batch(2, 20, 29, TEN, key="abc:2").with_data(TEN[:3])
    assert (batch.batch_id, batch.start_row, batch.end_row, batch.key) == (2, 20, 29, "abc:2")
    assert batch.data.height == 3


def test_a_batch_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Batch(0, 0, 9, TEN).end_row = 8
