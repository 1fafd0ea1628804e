"""A damaged part: that batch alone is computed again."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import BatchPipeline, FilterBatchStep, FrameFetcher, Quarantine, StatefulBatchStep
from engine.errors import CheckpointCorrupt, PipelineChanged, SourceChanged, UsageError
from engine.testing import NumberSource, PickyStep

ROWS = pl.DataFrame({"id": range(95), "value": [n % 7 for n in range(95)]})


class Total(StatefulBatchStep):
    def process(self, batch):
        self.total += int(batch.data["value"].sum())
        return batch.with_data(batch.data.with_columns(total=pl.lit(self.total)))

    def snapshot(self):
        return self.total

    def restore(self, state):
        self.total = state or 0


def made(folder, rows=ROWS, *steps, **more):
    return BatchPipeline(
        [FilterBatchStep("odd", pl.col("id") % 2 == 1), *steps], FrameFetcher(rows), 10, folder, **more
    )


def damage(pipeline, batch_id):
    part = pipeline.checkpoint_dir / "results" / f"part-{batch_id:012d}.parquet"
    part.write_bytes(part.read_bytes()[:-30])
    return part


def others(pipeline, batch_id):
    return {
        part.name: part.read_bytes()
        for part in (pipeline.checkpoint_dir / "results").iterdir()
        if not part.name.endswith(f"{batch_id:012d}.parquet")
    }


@pytest.mark.parametrize("batch_id", [0, 1, 5, 9])
def test_the_damaged_batch_is_computed_again_and_the_others_stay(tmp_path, batch_id):
    pipeline = made(tmp_path / "checkpoint", ROWS, Total("total"))
    pipeline.run()
    whole = pipeline.collect_results()
    damage(pipeline, batch_id)
    with pytest.raises(CheckpointCorrupt):
        pipeline.collect_results()
    before = others(pipeline, batch_id)
    pipeline.recompute(batch_id)
    assert others(pipeline, batch_id) == before
    assert_frame_equal(pipeline.collect_results(), whole)
    assert pipeline.run().last_completed_batch_id == 9


def test_a_plain_callable_finds_its_rows_by_its_own_size(tmp_path):
    pipeline = BatchPipeline([], NumberSource(95), 10, tmp_path / "checkpoint")
    pipeline.run()
    damage(pipeline, 9)
    pipeline.recompute(9)
    assert pipeline.collect_results()["id"].to_list() == list(range(95))


def test_rows_in_quarantine_go_there_again(tmp_path):
    pipeline = BatchPipeline(
        [PickyStep("picky", [13, 57])], NumberSource(95), 10, tmp_path / "checkpoint", on_error=Quarantine(5)
    )
    pipeline.run()
    damage(pipeline, 1)
    pipeline.recompute(1)
    assert [row.source_row for row in pipeline.quarantine.rows()] == [13, 57]
    assert pipeline.collect_results()["id"].to_list() == [n for n in range(95) if n not in {13, 57}]


def test_another_source_or_other_steps_are_refused_and_nothing_is_changed(tmp_path):
    folder = tmp_path / "checkpoint"
    made(folder, ROWS, Total("total")).run()
    damaged = damage(made(folder), 3)
    content = damaged.read_bytes()
    with pytest.raises(PipelineChanged):
        made(folder).recompute(3)
    changed = ROWS.with_columns(value=pl.lit(5, dtype=pl.Int64))
    with pytest.raises(SourceChanged, match="gives a different result now"):
        made(folder, changed, Total("total")).recompute(3)
    assert damaged.read_bytes() == content


def test_a_batch_that_was_never_committed_is_refused(tmp_path):
    pipeline = made(tmp_path / "checkpoint")
    pipeline.run()
    with pytest.raises(UsageError, match="there is no committed batch 10"):
        pipeline.recompute(10)
