import polars as pl
import pytest

from engine import WithColumnsBatchStep
from engine.batch import Batch
from engine.errors import UsageError

FRAME = pl.DataFrame({"a": [1, 2], "b": [10, 20]})


def test_new_columns_come_at_the_right_and_old_ones_are_replaced_in_place():
    step = WithColumnsBatchStep("sums", pl.col("a") * 2, total=pl.col("a") + pl.col("b"))
    result = step.process(Batch(0, 0, 1, FRAME)).data
    assert result.columns == ["a", "b", "total"]
    assert result.rows() == [(2, 10, 11), (4, 20, 22)]


def test_a_column_can_be_called_name():
    step = WithColumnsBatchStep("greet", name=pl.lit("x"))
    assert step.process(Batch(0, 0, 1, FRAME)).data["name"].to_list() == ["x", "x"]


def test_row_wise_follows_from_the_expressions_unless_the_caller_knows_better():
    assert WithColumnsBatchStep("w", x=pl.col("a") + 1).row_wise
    assert not WithColumnsBatchStep("w", pl.col("a") + 1, x=pl.col("a").cum_sum()).row_wise
    assert not WithColumnsBatchStep("w", x=pl.col("a") + 1, row_wise=False).row_wise


def test_python_takes_one_batch_at_a_time():
    assert not WithColumnsBatchStep("w", x=pl.col("a").map_batches(lambda a: a)).concurrent
    assert WithColumnsBatchStep("w", x=pl.col("a")).concurrent


def test_settings_keep_the_order_of_columns():
    one = WithColumnsBatchStep("w", x=pl.col("a"), y=pl.col("b")).settings()
    other = WithColumnsBatchStep("w", y=pl.col("b"), x=pl.col("a")).settings()
    assert one != other


def test_wrong_arguments_are_refused():
    with pytest.raises(UsageError, match="step 'w' computes nothing"):
        WithColumnsBatchStep("w")
    with pytest.raises(UsageError, match="the column 'x' must be a Polars expression, not 'a'"):
        WithColumnsBatchStep("w", x="a")
    with pytest.raises(UsageError, match="the column to compute must be a Polars expression, not 1"):
        WithColumnsBatchStep("w", 1)
