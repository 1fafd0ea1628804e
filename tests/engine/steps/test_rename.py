import polars as pl
import pytest

from engine import RenameBatchStep
from engine.batch import Batch
from engine.errors import UsageError

FRAME = pl.DataFrame({"a": [1], "b": ["x"]})


def test_a_column_gets_its_new_name_and_keeps_its_place():
    result = RenameBatchStep("rename", {"a": "id"}).process(Batch(0, 0, 0, FRAME)).data
    assert result.columns == ["id", "b"]


def test_two_columns_can_swap_their_names():
    result = RenameBatchStep("swap", {"a": "b", "b": "a"}).process(Batch(0, 0, 0, FRAME)).data
    assert result.to_dicts() == [{"b": 1, "a": "x"}]


def test_a_missing_column_is_named_in_the_error():
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match='"z" not found'):
        RenameBatchStep("rename", {"z": "id"}).process(Batch(0, 0, 0, FRAME))


def test_settings_do_not_depend_on_the_order_of_names():
    step = RenameBatchStep("rename", {"b": "x", "a": "y"})
    assert list(step.settings()["names"].items()) == [("a", "y"), ("b", "x")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "renames nothing"),
        (["a"], "renames nothing"),
        ({"a": ""}, "a new column must be a non-empty name"),
        ({1: "a"}, "a column to rename must be a non-empty name"),
        ({"a": "x", "b": "x"}, "more than one column the name 'x'"),
    ],
)
def test_wrong_arguments_are_refused(names, message):
    with pytest.raises(UsageError, match=message):
        RenameBatchStep("rename", names)


def test_a_column_without_a_name_gets_one():
    frame = pl.DataFrame({"": [0, 1], "x": [2, 3]})
    assert RenameBatchStep("rename", {"": "i"}).process(Batch(0, 0, 1, frame)).data.columns == ["i", "x"]
