from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from engine.errors import UsageError
from engine.steps.arguments import column_name, column_names, value_as_json


def test_one_name_is_a_list_of_one():
    assert column_names("s", "a") == ("a",)


def test_no_list_stands_for_all_columns():
    assert column_names("s", None) is None


def test_repeated_names_count_once():
    assert column_names("s", ["b", "a", "b"]) == ("b", "a")


def test_an_empty_list_of_columns_is_refused_with_a_way_out():
    with pytest.raises(UsageError, match="step 's': the list of columns is empty") as caught:
        column_names("s", [])
    assert "leave the argument out" in caught.value.hint


@pytest.mark.parametrize("wrong", ["", 1, None, b"a"])
def test_something_else_than_a_name_is_refused(wrong):
    with pytest.raises(UsageError, match="step 's': a column must be a non-empty name"):
        column_name("s", wrong)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (0.5, 0.5),
        (True, True),
        ("?", "?"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (b"\x00", "b'\\x00'"),
        (date(2024, 1, 2), "datetime.date(2024, 1, 2)"),
        (datetime(2024, 1, 2, tzinfo=UTC), "datetime.datetime(2024, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)"),
        (timedelta(days=1), "datetime.timedelta(days=1)"),
        (Decimal("1.50"), "Decimal('1.50')"),
    ],
)
def test_values_are_written_as_json(value, expected):
    assert value_as_json("s", value) == expected


@pytest.mark.parametrize("wrong", [None, [1], object(), {1}])
def test_something_else_than_a_value_is_refused(wrong):
    with pytest.raises(UsageError, match="is not a value that a column can be filled with"):
        value_as_json("s", wrong)
