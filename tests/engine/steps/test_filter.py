import polars as pl
import pytest

from engine import FilterBatchStep
from engine.batch import Batch
from engine.errors import UsageError

FRAME = pl.DataFrame({"a": [1, None, 3, 4]})
PYTHON = pl.col("a").map_batches(lambda values: values > 2, return_dtype=pl.Boolean)


def test_rows_stay_where_the_predicate_is_true():
    step = FilterBatchStep("big", pl.col("a") > 2)
    assert step.process(Batch(0, 0, 3, FRAME)).data["a"].to_list() == [3, 4]


def test_a_null_answer_drops_the_row():
    step = FilterBatchStep("not_three", pl.col("a") != 3)
    assert step.process(Batch(0, 0, 3, FRAME)).data["a"].to_list() == [1, 4]


def test_row_wise_follows_from_the_predicate_unless_the_caller_knows_better():
    assert FilterBatchStep("f", pl.col("a") > 2).row_wise
    assert not FilterBatchStep("f", pl.col("a") > pl.col("a").mean()).row_wise
    assert not FilterBatchStep("f", PYTHON).row_wise
    assert FilterBatchStep("f", PYTHON, row_wise=True).row_wise


def test_a_predicate_that_calls_python_takes_one_batch_at_a_time():
    assert not FilterBatchStep("f", PYTHON).concurrent
    assert FilterBatchStep("f", pl.col("a") > 2).concurrent


def test_a_predicate_that_is_not_boolean_is_refused_by_polars():
    with pytest.raises(pl.exceptions.InvalidOperationError, match="must be of type `Boolean`, got `Int64`"):
        FilterBatchStep("f", pl.col("a") + 1).process(Batch(0, 0, 3, FRAME))


@pytest.mark.parametrize("wrong", ["a > 2", None, True, pl.Series([True])])
def test_a_predicate_that_is_no_expression_is_refused(wrong):
    with pytest.raises(UsageError, match="the predicate must be a Polars expression"):
        FilterBatchStep("f", wrong)
