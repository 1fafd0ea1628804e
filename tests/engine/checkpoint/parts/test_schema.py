from __future__ import annotations

import threading

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engine.checkpoint.parts.schema import SchemaPin, casts_without_loss, drift
from engine.errors import SchemaDrift
from engine.testing import TIMEOUT_SECONDS

PINNED = pl.Schema({"id": pl.Int64, "price": pl.Float64, "name": pl.String})


def pin(schema=PINNED):
    return SchemaPin(schema, first_batch_id=0, step="last")


def in_thread(function):
    """Start the function; return a callable that gives its result, or raises what it raised."""
    outcome = []

    def run():
        try:
            outcome.append((function(), None))
        except BaseException as error:  # noqa: BLE001 (handed on)
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result():
        thread.join(TIMEOUT_SECONDS)
        ((value, error),) = outcome
        if error:
            raise error
        return value

    return result


def test_a_frame_that_fits_is_handed_on():
    frame = pl.DataFrame({"id": [1], "price": [2.5], "name": ["a"]})
    assert pin().conform(3, frame) is frame


def test_the_first_batch_pins_its_columns():
    first = pl.DataFrame({"x": [1]})
    pinned = pin(None)
    assert pinned.conform(0, first) is first
    with pytest.raises(SchemaDrift):
        pinned.conform(1, pl.DataFrame({"y": [1]}))


def test_later_batches_wait_for_the_first():
    pinned = pin(None)
    later = in_thread(lambda: pinned.conform(1, pl.DataFrame({"x": pl.Series([1], dtype=pl.Int8)})))
    pinned.conform(0, pl.DataFrame({"x": [1]}))
    assert later().schema == {"x": pl.Int64}


def test_when_the_first_batch_is_given_up_nobody_waits_for_ever():
    pinned = pin(None)
    later = in_thread(lambda: pinned.conform(1, pl.DataFrame({"x": [1]})))
    pinned.cancel_from(0)
    assert later() is None


def test_when_a_later_batch_is_given_up_the_first_is_still_waited_for():
    pinned = pin(None)
    pinned.cancel_from(5)
    later = in_thread(lambda: pinned.conform(1, pl.DataFrame({"x": [1]})))
    pinned.conform(0, pl.DataFrame({"x": [1]}))
    assert later().height == 1


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({"id": [1], "price": [1.5]}, "column 'name' (String) is missing"),
        ({"id": [1], "price": [1.5], "name": ["a"], "extra": [True]}, "column 'extra' (Boolean) is new"),
        ({"id": ["1"], "price": [1.5], "name": ["a"]}, "column 'id' is String instead of Int64"),
        ({"id": [1.0], "price": [1.5], "name": ["a"]}, "column 'id' is Float64 instead of Int64"),
        ({"id": [1], "price": [1], "name": ["a"]}, "column 'price' is Int64 instead of Float64"),
        (
            {"name": ["a"], "id": [1], "price": [1.5]},
            "the columns' order is name, id, price instead of id, price, name",
        ),
    ],
)
def test_each_difference_is_named(found, line):
    with pytest.raises(SchemaDrift) as caught:
        pin().conform(7, pl.DataFrame(found))
    assert caught.value.differences == (line,)
    assert (caught.value.batch_id, caught.value.step) == (7, "last")


def test_several_differences_are_all_named():
    assert drift(PINNED, pl.Schema({"id": pl.String, "nmae": pl.String, "price": pl.Float64})) == [
        "column 'name' (String) is missing",
        "column 'nmae' (String) is new",
        "column 'id' is String instead of Int64",
    ]


def test_what_casts_without_loss_is_cast():
    frame = pl.DataFrame({"id": [1, 2], "price": [None, None], "name": ["a", None]}).cast({"id": pl.Int16})
    expected = pl.DataFrame({"id": [1, 2], "price": [None, None], "name": ["a", None]}, schema=PINNED)
    assert_frame_equal(pin().conform(1, frame), expected)


INTEGERS = [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64]


@pytest.mark.parametrize("found", INTEGERS)
@pytest.mark.parametrize("pinned", INTEGERS)
def test_integers_cast_where_every_value_fits(found, pinned):
    ends = pl.select(found.min().alias("low"), found.max().alias("high"))
    fits = all(value is not None for value in ends.cast(pinned, strict=False).row(0))
    assert casts_without_loss(found(), pinned()) is fits


@pytest.mark.parametrize(
    ("found", "pinned"),
    [
        (pl.Float64(), pl.Float32()),
        (pl.Int64(), pl.Float64()),
        (pl.Int8(), pl.Float64()),
        (pl.Boolean(), pl.Int64()),
        (pl.String(), pl.Categorical()),
        (pl.Datetime("ns"), pl.Datetime("us")),
        (pl.Datetime("us"), pl.Datetime("us", "UTC")),
        (pl.Date(), pl.Datetime("us")),
        (pl.Decimal(10, 2), pl.Decimal(10, 3)),
        (pl.Enum(["a"]), pl.Enum(["a", "b"])),
        (pl.List(pl.Int32()), pl.List(pl.Int64())),
        (pl.Int64(), pl.Null()),
    ],
)
def test_what_might_lose_something_is_not_cast(found, pinned):
    assert not casts_without_loss(found, pinned)


@pytest.mark.parametrize(
    "pinned", [pl.String(), pl.Struct({"a": pl.Int8()}), pl.List(pl.Int8()), pl.Enum(["a"]), pl.Date()]
)
def test_a_column_of_nulls_fits_anywhere(pinned):
    frame = pl.DataFrame({"x": [None, None]})
    assert pin(pl.Schema({"x": pinned})).conform(1, frame).schema == {"x": pinned}


@given(st.permutations(list(PINNED)))
def test_a_schema_never_drifts_from_itself_and_always_from_another_order(order):
    other = pl.Schema({name: PINNED[name] for name in order})
    assert bool(drift(PINNED, other)) == (list(order) != list(PINNED))
