from datetime import date

import polars as pl
import pytest

from engine import CastBatchStep
from engine.batch import Batch
from engine.errors import UsageError

FRAME = pl.DataFrame({"a": ["1", "x", None], "b": [1, 2, 3]})


def test_named_columns_change_their_dtype_and_the_others_stay():
    result = CastBatchStep("types", {"b": pl.Int8}).process(Batch(0, 0, 2, FRAME)).data
    assert result.schema == {"a": pl.String, "b": pl.Int8}


def test_a_value_that_does_not_fit_fails_the_batch_and_is_shown():
    with pytest.raises(pl.exceptions.InvalidOperationError, match=r"""column 'a' for 1 out of \d values: \["x"\]"""):
        CastBatchStep("types", {"a": pl.Int64}).process(Batch(0, 0, 2, FRAME))


def test_without_strictness_it_becomes_null():
    result = CastBatchStep("types", {"a": pl.Int64}, strict=False).process(Batch(0, 0, 2, FRAME)).data
    assert result["a"].to_list() == [1, None, None]


def test_python_types_stand_for_dtypes():
    result = CastBatchStep("types", {"b": str}).process(Batch(0, 0, 2, FRAME)).data
    assert result["b"].to_list() == ["1", "2", "3"]


def test_a_missing_column_is_named_in_the_error():
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match='unable to find column "z"'):
        CastBatchStep("types", {"z": pl.Int8}).process(Batch(0, 0, 2, FRAME))


def test_settings_name_the_dtypes():
    step = CastBatchStep("t", {"d": date, "c": pl.Enum(["x", "y"]), "b": pl.Datetime("ms", "UTC"), "a": pl.Int8})
    assert step.settings() == {
        "dtypes": {
            "a": "Int8",
            "b": "Datetime(time_unit='ms', time_zone='UTC')",
            "c": "Enum(categories=['x', 'y'])",
            "d": "date",
        },
        "strict": True,
    }


@pytest.mark.parametrize(
    ("dtypes", "message"),
    [
        ({}, "casts nothing"),
        (pl.Int8, "casts nothing"),
        ({"a": "Int8"}, "'Int8' is not a dtype"),
        ({"a": list}, "is not a dtype"),
        ({"": pl.Int8}, "a column must be a non-empty name"),
    ],
)
def test_wrong_arguments_are_refused(dtypes, message):
    with pytest.raises(UsageError, match=message):
        CastBatchStep("types", dtypes)
