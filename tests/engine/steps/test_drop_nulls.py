import polars as pl
import pytest

from engine import DropNullsBatchStep
from engine.batch import Batch
from engine.errors import UsageError

FRAME = pl.DataFrame({"a": [1, None, 3, 4], "b": ["w", "x", None, "z"]})


def test_rows_with_a_null_anywhere_are_dropped():
    step = DropNullsBatchStep("drop_nulls")
    assert step.process(Batch(0, 0, 3, FRAME)).data.rows() == [(1, "w"), (4, "z")]


def test_nulls_in_other_columns_do_not_matter():
    step = DropNullsBatchStep("drop_nulls", ["a"])
    assert step.process(Batch(0, 0, 3, FRAME)).data.rows() == [(1, "w"), (3, None), (4, "z")]


def test_nan_is_not_a_null():
    step = DropNullsBatchStep("drop_nulls")
    frame = pl.DataFrame({"a": [1.0, float("nan"), None]})
    assert step.process(Batch(0, 0, 2, frame)).data.height == 2


def test_a_batch_may_lose_all_its_rows():
    step = DropNullsBatchStep("drop_nulls")
    batch = step.process(Batch(4, 40, 41, pl.DataFrame({"a": [None, None]}, schema={"a": pl.Int64})))
    assert batch.data.schema == {"a": pl.Int64}
    assert batch.data.height == 0
    assert batch.size == 2


def test_a_missing_column_is_named_in_the_error():
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match='"c" not found'):
        DropNullsBatchStep("drop_nulls", "c").process(Batch(0, 0, 3, FRAME))


def test_settings_do_not_depend_on_the_order_of_columns():
    one, other = DropNullsBatchStep("d", ["b", "a"]), DropNullsBatchStep("d", ["a", "b"])
    assert one.settings() == other.settings() == {"columns": ["a", "b"]}
    assert DropNullsBatchStep("d").settings() == {"columns": None}


def test_columns_are_checked_at_construction():
    with pytest.raises(UsageError, match="step 'd': the list of columns is empty"):
        DropNullsBatchStep("d", [])
    with pytest.raises(UsageError, match="name must be a non-empty text"):
        DropNullsBatchStep("")
