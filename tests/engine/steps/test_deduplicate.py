import polars as pl
import pytest

from engine import DeduplicateBatchStep
from engine.batch import Batch
from engine.errors import UsageError

FRAME = pl.DataFrame({"k": [2, 1, 2, None, 1, None, 3], "v": ["a", "b", "c", "d", "b", "e", "f"]})


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("first", [(2, "a"), (1, "b"), (None, "d"), (3, "f")]),
        ("last", [(2, "c"), (1, "b"), (None, "e"), (3, "f")]),
        ("none", [(3, "f")]),
    ],
)
def test_one_row_of_those_with_the_same_key_stays_in_order(keep, expected):
    step = DeduplicateBatchStep("unique", "k", keep=keep)
    assert step.process(Batch(0, 0, 6, FRAME)).data.rows() == expected


def test_without_a_subset_whole_rows_are_compared():
    result = DeduplicateBatchStep("unique").process(Batch(0, 0, 6, FRAME)).data
    assert result["v"].to_list() == ["a", "b", "c", "d", "e", "f"]


def test_it_is_not_row_wise_and_its_settings_say_what_stays():
    step = DeduplicateBatchStep("unique", ["v", "k"], "last")
    assert not step.row_wise
    assert step.settings() == {"subset": ["k", "v"], "keep": "last"}


def test_wrong_arguments_are_refused():
    with pytest.raises(UsageError, match="keep must be 'first', 'last' or 'none', not 'any'"):
        DeduplicateBatchStep("unique", keep="any")
    with pytest.raises(UsageError, match="the list of columns is empty"):
        DeduplicateBatchStep("unique", [])
