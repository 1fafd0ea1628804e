import polars as pl
import pytest

from engine import AddColumnBatchStep
from engine.batch import Batch
from engine.errors import UsageError

FRAME = pl.DataFrame({"value": [1, None, 3]})


def test_the_column_is_multiplied_into_a_new_one():
    result = AddColumnBatchStep("add_feature", "value", multiplier=3).process(Batch(0, 0, 2, FRAME)).data
    assert result.schema == {"value": pl.Int64, "value_x3": pl.Int64}
    assert result.rows() == [(1, 3), (None, None), (3, 9)]


@pytest.mark.parametrize(
    ("multiplier", "name"), [(1, "value_x1"), (0.5, "value_x0.5"), (2.0, "value_x2"), (-3, "value_x-3")]
)
def test_the_new_name_tells_the_multiplier(multiplier, name):
    assert AddColumnBatchStep("add", "value", multiplier).output == name


def test_a_float_gives_floats():
    result = AddColumnBatchStep("add", "value", 0.5, output="half").process(Batch(0, 0, 2, FRAME)).data
    assert result["half"].to_list() == [0.5, None, 1.5]


def test_a_column_of_that_name_is_replaced_in_place():
    frame = pl.DataFrame({"double": ["old"], "value": [2]})
    result = AddColumnBatchStep("add", "value", 2, output="double").process(Batch(0, 0, 0, frame)).data
    assert result.rows() == [(4, 2)]


def test_a_missing_column_is_named_in_the_error():
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match='unable to find column "price"; valid columns'):
        AddColumnBatchStep("add", "price").process(Batch(0, 0, 2, FRAME))


def test_a_text_cannot_be_multiplied_and_the_error_says_so():
    with pytest.raises(pl.exceptions.InvalidOperationError, match="column 's'"):
        AddColumnBatchStep("add", "s", 2).process(Batch(0, 0, 0, pl.DataFrame({"s": ["x"]})))


@pytest.mark.parametrize("multiplier", [True, "3", None, float("nan"), float("inf"), 2**63, -(2**63) - 1])
def test_a_multiplier_that_is_no_number_of_64_bits_is_refused(multiplier):
    with pytest.raises(UsageError, match="step 'add': the multiplier must be a finite number of at most 64 bits"):
        AddColumnBatchStep("add", "value", multiplier)


def test_names_are_checked_at_construction():
    with pytest.raises(UsageError, match="a column must be a non-empty name"):
        AddColumnBatchStep("add", "")
    with pytest.raises(UsageError, match="a new column must be a non-empty name"):
        AddColumnBatchStep("add", "value", output="")


def test_settings_hold_column_multiplier_and_name():
    assert AddColumnBatchStep("add", "value", 3).settings() == {
        "column": "value",
        "multiplier": 3,
        "output": "value_x3",
    }
