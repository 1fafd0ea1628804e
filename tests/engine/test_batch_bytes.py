from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import BatchPipeline, FunctionBatchStep, ParquetFetcher
from engine.errors import StepFailed, UsageError

WIDE = pl.DataFrame({"n": range(300), "text": [f"{n:01000}" for n in range(300)]})


@pytest.fixture
def wide(tmp_path):
    WIDE.write_parquet(tmp_path / "n.parquet", row_group_size=40)
    return ParquetFetcher(tmp_path / "n.parquet")


def results(pipeline):
    return pl.read_parquet(pipeline.checkpoint_dir / "results" / "*.parquet")


def test_a_bound_in_bytes_makes_more_batches_and_the_same_results(wide, tmp_path):
    pipeline = BatchPipeline([], wide, 200, tmp_path / "cp", batch_bytes=50_000)
    assert pipeline.run().last_completed_batch_id > 300_000 // 50_000
    assert_frame_equal(results(pipeline), WIDE)


def test_the_default_bound_leaves_batches_of_usual_rows_as_they_are(wide, tmp_path):
    pipeline = BatchPipeline([], wide, 200, tmp_path / "cp")
    assert pipeline.batch_bytes is None
    assert pipeline.run().last_completed_batch_id == 1


@pytest.mark.parametrize("bounds", [(50_000, 7_000), (7_000, None), (None, 50_000)])
def test_a_run_continues_with_another_bound_and_is_the_same_pipeline(wide, tmp_path, bounds):
    failures = [ValueError("not yet")]

    def once(frame):
        if 150 in frame["n"] and failures:
            raise failures.pop()
        return frame

    first, second = (
        BatchPipeline([FunctionBatchStep("f", once)], wide, 120, tmp_path / "cp", batch_bytes=bound) for bound in bounds
    )
    with pytest.raises(StepFailed):
        first.run()
    second.run()
    assert_frame_equal(results(second), WIDE)


def test_a_batch_of_another_bound_is_recomputed_as_it_was(wide, tmp_path):
    pipeline = BatchPipeline([], wide, 200, tmp_path / "cp", batch_bytes=50_000)
    pipeline.run()
    pipeline.with_options(batch_bytes=7_000).recompute(2)
    assert_frame_equal(results(pipeline), WIDE)


@pytest.mark.parametrize("batch_bytes", [0, -1, 1.5, True, "1 MB"])
def test_what_is_no_number_of_bytes_is_refused(wide, batch_bytes):
    with pytest.raises(UsageError, match="batch_bytes must be a whole number of at least 1"):
        BatchPipeline([], wide, batch_bytes=batch_bytes)
