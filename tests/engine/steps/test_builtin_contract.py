"""What every built-in step promises, whatever it does to the rows."""

import json
import os
import pickle
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import engine
from engine import (
    AddColumnBatchStep,
    CastBatchStep,
    CheckBatchStep,
    DeduplicateBatchStep,
    DropNullsBatchStep,
    FillNullsBatchStep,
    FilterBatchStep,
    FunctionBatchStep,
    RenameBatchStep,
    SelectBatchStep,
    SqlBatchStep,
    WithColumnsBatchStep,
)
from engine.batch import Batch
from engine.steps.base import LazyBatchStep

SCHEMA = {"a": pl.Int64, "b": pl.Float64, "s": pl.String}


def unchanged(frame):
    return frame


LAZY_STEPS = [
    AddColumnBatchStep("add", "a", 3),
    AddColumnBatchStep("add_float", "a", 0.5, output="b"),
    CastBatchStep("cast", {"a": pl.String, "b": pl.Float32}),
    CastBatchStep("cast_loose", {"s": pl.Int64}, strict=False),
    DeduplicateBatchStep("unique"),
    DeduplicateBatchStep("unique_last", ["a"], "last"),
    DeduplicateBatchStep("unique_none", "s", "none"),
    DropNullsBatchStep("drop"),
    DropNullsBatchStep("drop_some", ["s", "a"]),
    FillNullsBatchStep("fill", 0),
    FillNullsBatchStep("fill_some", {"a": 0.5, "s": "?"}),
    FillNullsBatchStep("fill_forward", strategy="forward"),
    FillNullsBatchStep("fill_zero", strategy="zero", columns=["a", "b"]),
    FillNullsBatchStep("fill_mean", strategy="mean", columns=["b"]),
    FilterBatchStep("filter", pl.col("a") > 0),
    FilterBatchStep("filter_set", pl.col("s").is_in({"x", "y", "z"}) | (pl.col("a") == 1)),
    FilterBatchStep("filter_mean", pl.col("a") >= pl.col("a").mean()),
    RenameBatchStep("rename", {"a": "id", "s": "a"}),
    SelectBatchStep("select", "s", pl.col("a") * 2, pl.lit(1).alias("one")),
    SelectBatchStep("select_all", pl.all()),
    WithColumnsBatchStep("with", pl.col("b").abs(), total=pl.col("a") + pl.col("b")),
    WithColumnsBatchStep("with_window", share=pl.col("a") / pl.col("a").sum().over("s")),
]
OTHER_STEPS = [
    CheckBatchStep("check", pl.col("a").is_null() | pl.col("a").is_not_null()),
    FunctionBatchStep("function", unchanged),
    SqlBatchStep("sql", "SELECT *, a + 1 AS next FROM batch WHERE a > 0"),
]
STEPS = LAZY_STEPS + OTHER_STEPS

rows = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-3, 3)),
        st.one_of(st.none(), st.sampled_from([-1.5, 0.0, 2.0, float("nan")])),
        st.one_of(st.none(), st.sampled_from(["x", "y", "7", ""])),
    ),
    max_size=12,
)
frames = rows.map(lambda rows: pl.DataFrame(rows, schema=SCHEMA, orient="row"))

FRAMES = {
    "rows": pl.DataFrame([(1, 0.5, "x"), (None, None, "7"), (1, 0.5, "x"), (-2, 1.0, None)], SCHEMA, orient="row"),
    "no rows": pl.DataFrame(schema=SCHEMA),
    "one row": pl.DataFrame([(1, 0.5, "x")], SCHEMA, orient="row"),
    "all null": pl.DataFrame([(None, None, None)] * 3, SCHEMA, orient="row"),
}

every_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
every_lazy_step = pytest.mark.parametrize("step", LAZY_STEPS, ids=lambda step: step.name)
every_frame = pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)


@pytest.fixture(autouse=True)
def closed_afterwards():
    yield
    for step in STEPS:
        step.teardown()


def test_every_built_in_is_tried_here():
    contracts = {"BatchStep", "LazyBatchStep", "StatefulBatchStep"}
    public = {name for name in engine.__all__ if name.endswith("BatchStep")} - contracts
    assert {type(step).__name__ for step in STEPS} == public
    assert {type(step) for step in LAZY_STEPS} == {type(step) for step in STEPS if isinstance(step, LazyBatchStep)}


@every_step
@every_frame
def test_a_step_keeps_the_identity_of_its_batch(step, frame):
    before = frame.clone()
    batch = step.process(Batch(5, 50, 59, frame, key="run:5"))
    assert (batch.batch_id, batch.start_row, batch.end_row, batch.key) == (5, 50, 59, "run:5")
    assert_frame_equal(frame, before)


@every_lazy_step
@every_frame
def test_lazy_and_process_agree(step, frame):
    processed = step.process(Batch(0, 0, frame.height - 1, frame)).data
    plan = step.lazy(frame.lazy())
    assert plan.collect_schema() == processed.schema
    assert_frame_equal(plan.collect(), processed)


@profile(deadline=None, max_examples=25)
@given(frame=frames)
@every_lazy_step
def test_lazy_and_process_agree_on_any_rows(step, frame):
    processed = step.process(Batch(0, 0, frame.height - 1, frame)).data
    plan = step.lazy(frame.lazy())
    assert plan.collect_schema() == processed.schema
    assert_frame_equal(plan.collect(), processed)


@profile(deadline=None, max_examples=25)
@given(frame=frames, data=st.data())
@every_step
def test_row_wise_steps_may_see_a_batch_in_pieces(step, frame, data):
    if not step.row_wise:
        return
    cut = data.draw(st.integers(0, frame.height))
    pieces = [step.process(Batch(0, 0, 0, piece)).data for piece in (frame[:cut], frame[cut:])]
    assert_frame_equal(pl.concat(pieces), step.process(Batch(0, 0, 0, frame)).data)


@every_lazy_step
def test_lazy_reads_no_data(step):
    def read():
        raise AssertionError("the data was read")

    assert isinstance(step.lazy(pl.defer(read, schema=SCHEMA)), pl.LazyFrame)


@every_step
@every_frame
def test_running_a_batch_again_gives_the_same(step, frame):
    batch = Batch(0, 0, frame.height - 1, frame)
    assert_frame_equal(step.process(batch).data, step.process(batch).data)


@every_step
def test_a_step_can_be_sent_to_another_process(step):
    copy = pickle.loads(pickle.dumps(step))
    assert copy.settings() == step.settings()
    batch = Batch(0, 0, 3, FRAMES["rows"])
    try:
        assert_frame_equal(copy.process(batch).data, step.process(batch).data)
    finally:
        copy.teardown()


@every_step
def test_settings_are_json(step):
    assert json.loads(json.dumps(step.settings(), allow_nan=False)) == step.settings()


PRINT_SETTINGS = """
import json, runpy, sys
steps = runpy.run_path(sys.argv[1], run_name=sys.argv[2])["STEPS"]
print(json.dumps([dict(step.settings()) for step in steps]))
"""


@pytest.mark.integration
def test_settings_are_the_same_in_every_process():
    shown = {
        subprocess.run(
            [sys.executable, "-c", PRINT_SETTINGS, __file__, __name__],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert [json.loads(each) for each in shown] == [[dict(step.settings()) for step in STEPS]]


LOADED = """
import sys
from engine import AddColumnBatchStep, CastBatchStep, DropNullsBatchStep, FillNullsBatchStep, SqlBatchStep
DropNullsBatchStep("drop_nulls").settings()
AddColumnBatchStep("add_feature", "value", multiplier=3).settings()
CastBatchStep("cast", {"a": int}).settings()
FillNullsBatchStep("fill", 0).settings()
SqlBatchStep("sql", "SELECT * FROM batch").settings()
print(sorted({"polars", "duckdb"} & set(sys.modules)))
"""


@pytest.mark.integration
def test_polars_and_duckdb_stay_unloaded_until_they_are_needed():
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
