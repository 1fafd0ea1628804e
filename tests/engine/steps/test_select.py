import polars as pl
import pytest

from engine import SelectBatchStep
from engine.batch import Batch
from engine.errors import UsageError

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [0.5, 1.5]})


def test_columns_come_in_the_order_given():
    result = SelectBatchStep("pick", "c", pl.col("a") * 10).process(Batch(0, 0, 1, FRAME)).data
    assert result.columns == ["c", "a"]
    assert result.rows() == [(0.5, 10), (1.5, 20)]


def test_a_literal_is_repeated_beside_a_column():
    result = SelectBatchStep("pick", "a", pl.lit("k").alias("k")).process(Batch(0, 0, 1, FRAME)).data
    assert result.rows() == [(1, "k"), (2, "k")]


def test_row_wise_follows_from_the_expressions():
    assert SelectBatchStep("s", "a").row_wise
    assert SelectBatchStep("s", pl.col("a") + 1, pl.lit(1).alias("k")).row_wise
    assert not SelectBatchStep("s", pl.lit(1)).row_wise
    assert not SelectBatchStep("s", "a", pl.col("c").sum()).row_wise
    assert SelectBatchStep("s", pl.all(), row_wise=True).row_wise


def test_settings_keep_names_and_expressions_apart():
    settings = SelectBatchStep("s", "a", pl.col("a")).settings()
    assert settings["columns"][0] == "a"
    assert settings["columns"][1]["expression"].startswith('col("a") #')


@pytest.mark.parametrize("columns", [(), ("",), (1,), (["a", "b"],), (None,)])
def test_wrong_arguments_are_refused(columns):
    with pytest.raises(UsageError, match="step 'pick'"):
        SelectBatchStep("pick", *columns)


def test_a_missing_column_is_named_in_the_error():
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match='unable to find column "z"; valid columns'):
        SelectBatchStep("pick", "z").process(Batch(0, 0, 1, FRAME))
