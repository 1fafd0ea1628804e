import polars as pl
import pytest

from engine import CheckBatchStep
from engine.batch import Batch
from engine.errors import CheckFailed, UsageError

FRAME = pl.DataFrame({"id": [7, 8, 9, 10], "amount": [5, -1, None, -3]})


def check(condition, frame=FRAME, **keywords):
    batch = Batch(2, 100, 100 + frame.height - 1, frame, key="run:2")
    return CheckBatchStep("check", condition, **keywords).process(batch)


def test_a_batch_that_holds_goes_on_unchanged():
    batch = Batch(2, 100, 103, FRAME, key="run:2")
    assert CheckBatchStep("check", pl.col("id") > 0).process(batch) is batch


def test_the_error_gives_the_rows_at_fault_whole_and_by_number():
    with pytest.raises(CheckFailed, match="2 rows break the check") as caught:
        check(pl.col("amount") >= 0)
    assert caught.value.rows == (1, 3)
    assert caught.value.row_count == 2
    assert caught.value.examples.rows() == [(8, -1), (10, -3)]
    assert caught.value.examples.schema == FRAME.schema
    assert caught.value.condition == '[(col("amount")) >= (dyn int: 0)]'


def test_null_passes_unless_the_condition_refuses_it():
    assert check(pl.col("amount") < 6)
    with pytest.raises(CheckFailed) as caught:
        check(pl.col("amount").is_not_null())
    assert caught.value.rows == (2,)


def test_a_condition_that_is_always_null_passes():
    assert check(pl.lit(None) > 1)
    assert check(pl.lit(None))


def test_a_message_names_the_check():
    with pytest.raises(CheckFailed, match="1 row breaks the check ids up to 9"):
        check(pl.col("id") < 10, message="ids up to 9")


def test_at_most_a_hundred_examples_are_kept():
    with pytest.raises(CheckFailed) as caught:
        check(pl.col("n") < 50, pl.DataFrame({"n": range(1000)}))
    assert caught.value.rows == tuple(range(50, 150))
    assert caught.value.examples["n"].to_list() == list(range(50, 150))
    assert caught.value.row_count == 950


def test_one_answer_for_the_whole_batch_blames_every_row():
    with pytest.raises(CheckFailed) as caught:
        check(pl.col("amount").sum() > 100)
    assert caught.value.rows == (0, 1, 2, 3)
    assert check(pl.col("id").is_unique().all())


def test_an_empty_batch_passes():
    assert check(pl.col("id") < 0, FRAME.clear())
    assert check(pl.col("id").sum() < 0, FRAME.clear())


def test_a_condition_over_many_columns_must_be_joined():
    with pytest.raises(UsageError, match="has 2 columns instead of one") as caught:
        check(pl.all() > 0)
    assert "all_horizontal" in caught.value.hint
    with pytest.raises(CheckFailed) as failed:
        check(pl.all_horizontal(pl.all() > 0))
    assert failed.value.rows == (1, 3)


def test_a_condition_that_is_not_boolean_is_refused():
    with pytest.raises(UsageError, match="is Int64, not Boolean"):
        check(pl.col("id"))


def test_a_condition_of_another_length_is_refused():
    with pytest.raises(UsageError, match="has 2 values for 4 rows"):
        check(pl.col("id").head(2) > 0)


def test_a_condition_that_is_no_expression_is_refused():
    with pytest.raises(UsageError, match="the condition must be a Polars expression"):
        CheckBatchStep("check", "id > 0")


def test_row_wise_and_concurrent_follow_from_the_condition():
    plain = CheckBatchStep("check", pl.col("id") > 0)
    assert plain.row_wise
    assert plain.concurrent
    assert not CheckBatchStep("check", pl.col("id").is_unique()).row_wise
    assert CheckBatchStep("check", pl.all_horizontal(pl.all() > 0), row_wise=True).row_wise
    assert not CheckBatchStep("check", pl.col("id").map_batches(lambda ids: ids > 0)).concurrent


def test_the_message_is_no_setting():
    one, other = CheckBatchStep("c", pl.col("id") > 0, message="x"), CheckBatchStep("c", pl.col("id") > 0)
    assert one.settings() == other.settings()
