"""The API that this project began with, to the letter. Nothing in here may ever need to change."""

from __future__ import annotations

import json
import subprocess
import sys

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import engine
import pipe_steps
from engine import AddColumnBatchStep, Batch, BatchPipeline, BatchStep, DropNullsBatchStep, Frontier

SOURCE = pl.DataFrame({"id": list(range(25)), "value": [None if n % 5 == 4 else n for n in range(25)]})
"""Rows 4, 9, 14, 19 and 24 have no value."""


def fetch_batch(batch_id: int, batch_size: int) -> Batch | None:
    start_row = batch_id * batch_size
    data = SOURCE.slice(start_row, batch_size)
    if data.height == 0:
        return None
    return Batch(batch_id=batch_id, start_row=start_row, end_row=start_row + data.height - 1, data=data)


class FailsAtBatch(BatchStep):
    def __init__(self, name: str, batch_id: int | None) -> None:
        super().__init__(name)
        self.batch_id = batch_id

    def process(self, batch: Batch) -> Batch:
        if batch.batch_id == self.batch_id:
            raise RuntimeError("a bad row")
        return Batch(batch.batch_id, batch.start_row, batch.end_row, batch.data)


def pipeline(folder, *more_steps):
    return BatchPipeline(
        steps=[
            DropNullsBatchStep("drop_nulls"),
            AddColumnBatchStep("add_feature", "value", multiplier=3),
            *more_steps,
        ],
        batch_fetcher=fetch_batch,
        batch_size=10,
        checkpoint_dir=str(folder),
    )


EXPECTED = SOURCE.drop_nulls().with_columns(value_x3=pl.col("value") * 3)


def test_a_batch_has_both_bounds_inclusive_and_a_size():
    batch = Batch(batch_id=2, start_row=20, end_row=24, data=SOURCE[20:])
    assert (batch.batch_id, batch.start_row, batch.end_row, batch.size) == (2, 20, 24, 5)
    assert batch.data.height == 5


def test_a_batch_keeps_its_size_when_a_step_drops_rows():
    batch = DropNullsBatchStep("drop_nulls").process(fetch_batch(0, 10))
    assert (batch.size, batch.data.height) == (10, 8)


def test_drop_nulls_drops_the_rows_that_hold_a_null():
    assert DropNullsBatchStep("drop_nulls").process(fetch_batch(2, 10)).data.rows() == [
        (20, 20),
        (21, 21),
        (22, 22),
        (23, 23),
    ]


def test_add_column_multiplies():
    step = AddColumnBatchStep("add_feature", "value", multiplier=3)
    assert step.name == "add_feature"
    assert step.process(Batch(0, 0, 1, SOURCE[:2])).data.rows() == [(0, 0, 0), (1, 1, 3)]


def test_a_step_that_only_writes_process_is_a_step():
    step = FailsAtBatch("check", batch_id=None)
    assert step.name == "check"
    assert step.process(fetch_batch(0, 10)).data.height == 10


def test_a_run_takes_all_batches_to_the_end(tmp_path):
    run = pipeline(tmp_path)
    run.run()
    assert_frame_equal(run.collect_results(), EXPECTED)


def test_the_frontier_counts_source_rows_whatever_the_steps_drop(tmp_path):
    run = pipeline(tmp_path)
    run.run()
    frontier = run.get_frontier()
    assert frontier.last_completed_batch_id == 2
    assert frontier.last_completed_row == 24
    assert frontier.total_rows_processed == 25
    assert frontier.step_states == {"drop_nulls": 2, "add_feature": 2}


def test_nothing_is_done_before_the_first_run(tmp_path):
    frontier = pipeline(tmp_path / "new").get_frontier()
    assert frontier == Frontier(-1, -1, 0, {"drop_nulls": -1, "add_feature": -1})
    assert pipeline(tmp_path / "new").collect_results().height == 0
    assert not (tmp_path / "new").exists()


def test_a_failure_stops_at_its_batch_and_keeps_those_before(tmp_path):
    run = pipeline(tmp_path, FailsAtBatch("check", batch_id=2))
    with pytest.raises(engine.PipelineError, match=r"step 'check' failed at batch 2 \(rows 20 to 24\).*a bad row"):
        run.run()
    assert run.get_frontier().last_completed_batch_id == 1
    assert_frame_equal(run.collect_results(), EXPECTED.filter(pl.col("id") < 20))


def test_the_same_call_goes_on_from_the_frontier_after_a_failure(tmp_path):
    asked = []

    def fetch(batch_id, batch_size):
        asked.append(batch_id)
        return fetch_batch(batch_id, batch_size)

    def run_with(failing_batch):
        run = pipeline(tmp_path, FailsAtBatch("check", failing_batch))
        run.batch_fetcher = fetch
        run.run()
        return run

    with pytest.raises(engine.PipelineError):
        run_with(1)
    asked.clear()
    run = run_with(None)
    assert 0 not in asked[1:]  # the last batch may be looked at once more, to see that the source is still the same
    assert_frame_equal(run.collect_results(), EXPECTED)
    assert run.get_frontier().last_completed_batch_id == 2


def test_running_a_finished_pipeline_again_changes_nothing(tmp_path):
    pipeline(tmp_path).run()
    run = pipeline(tmp_path)
    run.run(resume=True)
    assert_frame_equal(run.collect_results(), EXPECTED)
    assert run.get_frontier().last_completed_batch_id == 2


def test_resume_false_starts_afresh(tmp_path):
    pipeline(tmp_path).run()
    run = pipeline(tmp_path, FailsAtBatch("check", batch_id=1))
    with pytest.raises(engine.PipelineError):
        run.run(resume=False)
    assert run.get_frontier().last_completed_batch_id == 0
    assert_frame_equal(run.collect_results(), EXPECTED.filter(pl.col("id") < 10))


def test_reset_frontier_drops_everything(tmp_path):
    run = pipeline(tmp_path)
    run.run()
    run.reset_frontier()
    assert run.get_frontier() == Frontier(-1, -1, 0, {"drop_nulls": -1, "add_feature": -1})
    assert run.collect_results().height == 0
    run.run()
    assert_frame_equal(run.collect_results(), EXPECTED)


def test_a_frontier_is_saved_as_this_json(tmp_path):
    frontier = Frontier(
        last_completed_batch_id=5,
        last_completed_row=249_999,
        total_rows_processed=250_000,
        step_states={"drop_nulls": 5, "add_feature": 5},
    )
    frontier.save(tmp_path / "frontier.json")
    assert json.loads((tmp_path / "frontier.json").read_text()) == {
        "last_completed_batch_id": 5,
        "last_completed_row": 249999,
        "total_rows_processed": 250000,
        "step_states": {"drop_nulls": 5, "add_feature": 5},
    }
    assert Frontier.load(tmp_path / "frontier.json") == frontier


def test_a_frontier_is_saved_under_a_path_that_is_text(tmp_path):
    Frontier().save(str(tmp_path / "frontier.json"))
    assert Frontier.load(str(tmp_path / "frontier.json")) == Frontier()


def test_the_checkpoint_folder_holds_the_frontier_in_the_same_format(tmp_path):
    run = pipeline(tmp_path)
    run.run()
    assert Frontier.load(tmp_path / "frontier.json") == run.get_frontier()


def test_pipe_steps_hands_on_what_engine_has():
    names = [
        "AddColumnBatchStep",
        "Batch",
        "BatchPipeline",
        "BatchStep",
        "DropNullsBatchStep",
        "Frontier",
    ]
    for name in names:
        assert getattr(pipe_steps, name) is getattr(engine, name)


@pytest.mark.integration
def test_the_examples_of_pipe_steps_run_as_written(tmp_path):
    script = """
import polars as pl
from pipe_steps import AddColumnBatchStep, Batch, BatchPipeline, DropNullsBatchStep, Frontier

def fetch(batch_id, batch_size):
    start = batch_id * batch_size
    if start >= 30:
        return None
    return Batch(batch_id, start, start + batch_size - 1, pl.DataFrame({"value": range(start, start + batch_size)}))

pipeline = BatchPipeline(
    steps=[DropNullsBatchStep("drop_nulls"), AddColumnBatchStep("add_feature", "value", multiplier=3)],
    batch_fetcher=fetch,
    batch_size=10,
    checkpoint_dir="checkpoints",
)
pipeline.run(resume=True)
print(pipeline.collect_results()["value_x3"].sum(), Frontier.load("checkpoints/frontier.json").last_completed_row)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1305 29\n", "")
