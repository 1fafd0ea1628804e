from datetime import date

import polars as pl
import pytest

from engine import FillNullsBatchStep
from engine.batch import Batch
from engine.errors import UsageError

FRAME = pl.DataFrame({"a": [None, 1, None, 3], "b": ["w", None, "y", None], "c": [0.5, None, None, 2.0]})


def filled(step):
    return step.process(Batch(0, 0, 3, FRAME)).data


def test_a_number_fills_columns_of_numbers():
    assert filled(FillNullsBatchStep("fill", 0)).rows() == [
        (0, "w", 0.5),
        (1, None, 0.0),
        (0, "y", 0.0),
        (3, None, 2.0),
    ]


def test_a_text_fills_columns_of_texts():
    assert filled(FillNullsBatchStep("fill", "?"))["b"].to_list() == ["w", "?", "y", "?"]
    assert filled(FillNullsBatchStep("fill", "?"))["a"].to_list() == [None, 1, None, 3]


def test_each_column_can_have_a_value_of_its_own():
    result = filled(FillNullsBatchStep("fill", {"a": -1, "b": "?"}))
    assert result.rows() == [(-1, "w", 0.5), (1, "?", None), (-1, "y", None), (3, "?", 2.0)]
    assert result.schema == FRAME.schema


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("forward", [None, 1, 1, 3]),
        ("backward", [1, 1, 3, 3]),
        ("min", [1, 1, 1, 3]),
        ("max", [3, 1, 3, 3]),
        ("mean", [2, 1, 2, 3]),
        ("zero", [0, 1, 0, 3]),
        ("one", [1, 1, 1, 3]),
    ],
)
def test_a_strategy_fills_from_the_batch(strategy, expected):
    result = filled(FillNullsBatchStep("fill", strategy=strategy, columns="a"))
    assert result["a"].to_list() == expected
    assert result["b"].to_list() == FRAME["b"].to_list()


def test_one_value_can_be_limited_to_columns():
    assert filled(FillNullsBatchStep("fill", 0, columns=["c"])).rows()[2] == (None, "y", 0.0)


def test_a_column_of_nulls_without_dtype_takes_the_dtype_of_the_value():
    batch = Batch(0, 0, 1, pl.DataFrame({"a": [None, None]}))
    assert FillNullsBatchStep("fill", "?").process(batch).data.rows() == [("?",), ("?",)]


def test_strategies_that_look_at_other_rows_are_not_row_wise():
    assert not FillNullsBatchStep("fill", strategy="forward").row_wise
    assert not FillNullsBatchStep("fill", strategy="mean").row_wise
    assert FillNullsBatchStep("fill", strategy="zero").row_wise
    assert FillNullsBatchStep("fill", {"a": 1}).row_wise


def test_settings_hold_value_strategy_and_columns():
    assert FillNullsBatchStep("f", {"b": "?", "a": date(2024, 1, 2)}).settings() == {
        "value": {"a": "datetime.date(2024, 1, 2)", "b": "?"},
        "strategy": None,
        "columns": None,
    }
    assert FillNullsBatchStep("f", strategy="max", columns=["b", "a"]).settings() == {
        "value": None,
        "strategy": "max",
        "columns": ["a", "b"],
    }


def test_a_change_of_the_mapping_afterwards_has_no_effect():
    values = {"a": 0}
    step = FillNullsBatchStep("fill", values)
    values["a"] = 7
    assert filled(step)["a"].to_list() == [0, 1, 0, 3]


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((), {}, "either a value or a strategy"),
        ((0,), {"strategy": "zero"}, "either a value or a strategy"),
        ((), {"strategy": "median"}, "there is no strategy 'median'"),
        (({},), {}, "the mapping of columns to values is empty"),
        (({"a": None},), {}, "None is not a value"),
        (({"a": 0},), {"columns": ["a"]}, "leave `columns` out"),
        (([0],), {}, r"\[0\] is not a value"),
        ((0,), {"columns": []}, "the list of columns is empty"),
        (({1: 0},), {}, "a column must be a non-empty name"),
    ],
)
def test_wrong_arguments_are_refused(arguments, keywords, message):
    with pytest.raises(UsageError, match=message):
        FillNullsBatchStep("fill", *arguments, **keywords)
