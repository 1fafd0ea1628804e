from __future__ import annotations

import json
import math

import polars as pl
import pytest

from engine import CheckBatchStep, DropNullsBatchStep, FillNullsBatchStep, FilterBatchStep
from engine.errors import UsageError
from engine.runs.fingerprint import description, differences
from engine.steps.base import BatchStep
from engine.testing import NumberSource, SeekableNumbers


class Scale(BatchStep):
    def __init__(self, name="scale", factor=2, version="1"):
        super().__init__(name)
        self.factor = factor
        self.version = version

    def process(self, batch):
        return batch

    def settings(self):
        return {"factor": self.factor}


class OtherScale(Scale):
    pass


def of(*steps, source=None, batch_size=10):
    return description(steps, source or NumberSource(100), batch_size)


def test_a_description_tells_steps_source_and_batch_size():
    assert json.loads(of(Scale(), source=SeekableNumbers(100))) == {
        "steps": [{"name": "scale", "class": "Scale", "version": "1", "settings": {"factor": 2}}],
        "source": {"kind": "numbers"},
        "batch_size": 10,
    }


def test_a_plain_callable_is_known_as_such():
    assert json.loads(of(source=NumberSource(3)))["source"] == {"kind": "callable"}


def test_equal_pipelines_have_no_differences():
    assert differences(of(Scale()), of(Scale())) == []


@pytest.mark.parametrize(
    ("now", "lines"),
    [
        ([Scale("a"), Scale("b"), Scale("new")], ["step 'new' is new"]),
        ([Scale("a")], ["step 'b' is gone"]),
        ([Scale("b"), Scale("a")], ["the steps' order is b, a, was a, b"]),
        ([Scale("a"), Scale("c")], ["step 'c' is new", "step 'b' is gone"]),
        ([Scale("a", version="2"), Scale("b")], ["step 'a': version is 2, was 1"]),
        ([Scale("a", factor=3), Scale("b")], ["step 'a': factor is 3, was 2"]),
        ([OtherScale("a"), Scale("b")], ["step 'a': class is OtherScale, was Scale"]),
        ([Scale("a", factor=2.0), Scale("b")], ["step 'a': factor is 2.0, was 2"]),
        ([Scale("a", factor=None), Scale("b")], ["step 'a': factor is null, was 2"]),
        ([Scale("a", factor=[1, 2]), Scale("b")], ["step 'a': factor is [1, 2], was 2"]),
    ],
)
def test_each_change_of_the_steps_has_its_line(now, lines):
    assert differences(of(Scale("a"), Scale("b")), of(*now)) == lines


def test_a_step_put_between_two_is_only_new():
    assert differences(of(Scale("a"), Scale("b")), of(Scale("a"), Scale("new"), Scale("b"))) == ["step 'new' is new"]


def test_another_source_is_a_difference():
    lines = differences(of(source=NumberSource(3)), of(source=SeekableNumbers(3)))
    assert lines == ["source: kind is numbers, was callable"]


def test_the_batch_size_is_none():
    assert differences(of(batch_size=10), of(batch_size=20)) == []


@pytest.mark.parametrize(
    "step",
    [
        lambda: FillNullsBatchStep("s", value=math.nan),
        lambda: DropNullsBatchStep("s", ["b", "a"]),
        lambda: CheckBatchStep("s", pl.col("x") > 3),
        lambda: FilterBatchStep("s", pl.col("x").is_in([1, 2])),
        lambda: Scale("s", factor=math.nan),
        lambda: Scale("s", factor=math.inf),
        lambda: Scale("s", factor={"b": 1, "a": (1, 2)}),
        lambda: Scale("größe\udcff"),
    ],
    ids=["fill NaN", "drop nulls", "check", "filter", "NaN", "infinity", "nested", "any text"],
)
def test_the_same_step_made_twice_is_the_same(step):
    assert differences(of(step()), of(step())) == []


def test_a_description_can_be_stored_whatever_the_names():
    stored = of(Scale("größe\udcff", factor="\ud800")).encode("utf-8")
    (step,) = json.loads(stored)["steps"]
    assert (step["name"], step["settings"]) == ("größe\udcff", {"factor": "\ud800"})


@pytest.mark.parametrize("factor", [{1, 2}, object(), b"x", pl.col("x")], ids=["set", "object", "bytes", "expression"])
def test_settings_that_are_no_json_are_refused_by_name(factor):
    with pytest.raises(UsageError, match="settings of step 'scale'"):
        of(Scale(factor=factor))


def test_an_identity_that_is_no_json_is_refused():
    class Odd(SeekableNumbers):
        def identity(self):
            return {"path": object()}

    with pytest.raises(UsageError, match="identity of the source"):
        of(source=Odd(3))
