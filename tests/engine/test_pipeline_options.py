from __future__ import annotations

from dataclasses import replace

import pytest

from engine import BatchPipeline, DropNullsBatchStep, ParquetFetcher, RetryPolicy, RunState
from engine.errors import SourceNotFound, UsageError
from engine.executors.threads import ThreadExecutor
from engine.testing import SeekableNumbers, numbers


@pytest.fixture
def pipeline(tmp_path):
    return BatchPipeline(
        [DropNullsBatchStep("drop")],
        SeekableNumbers(25),
        10,
        tmp_path / "cp",
        name="numbers",
        workers=2,
        retry=RetryPolicy(max_attempts=2),
        part_compression="snappy",
    )


def test_options_replace_only_what_is_given(pipeline, tmp_path):
    other = pipeline.with_options(batch_size=5)
    assert other is not pipeline
    assert (other.batch_size, other.checkpoint_dir, other.workers) == (5, tmp_path / "cp", 2)
    assert other.name == "numbers"
    assert other.steps == pipeline.steps
    assert other._plan == replace(pipeline._plan, batch_size=5)


def test_the_pipeline_itself_stays_as_it_was(pipeline, tmp_path):
    pipeline.with_options(batch_size=5, checkpoint_dir=tmp_path / "other", workers=1)
    assert (pipeline.batch_size, pipeline.checkpoint_dir, pipeline.workers) == (10, tmp_path / "cp", 2)


def test_a_name_taken_from_the_folder_follows_it(tmp_path):
    pipeline = BatchPipeline([], SeekableNumbers(5), 10, tmp_path / "one")
    assert pipeline.with_options(checkpoint_dir=tmp_path / "two").name == "two"


def test_listeners_come_along(pipeline):
    seen = []
    pipeline.add_listener(seen.append)
    pipeline.with_options(batch_size=5).run()
    assert seen


def test_an_executor_of_their_own_is_kept(tmp_path):
    executor = ThreadExecutor(1)
    pipeline = BatchPipeline([], SeekableNumbers(5), 10, tmp_path / "cp", executor=executor)
    assert pipeline.with_options(workers=3)._executor is executor


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"workers": 0}])
def test_options_that_can_t_be_right_are_refused(pipeline, options):
    with pytest.raises(UsageError):
        pipeline.with_options(**options)


def test_a_fresh_run_over_results_is_seen_in_the_view(pipeline):
    pipeline.run()
    pipeline.run(resume=False)
    view = pipeline.view()
    assert view.state is RunState.FINISHED
    assert view.rows_committed_in_run == 25


def test_a_fresh_run_without_its_source_keeps_the_results(tmp_path):
    numbers(0, 25).write_parquet(tmp_path / "numbers.parquet")
    pipeline = BatchPipeline([], ParquetFetcher(tmp_path / "numbers.parquet"), 10, tmp_path / "cp")
    pipeline.run()
    (tmp_path / "numbers.parquet").unlink()
    with pytest.raises(SourceNotFound):
        pipeline.run(resume=False)
    assert pipeline.get_frontier().last_completed_batch_id == 2


def test_refreshing_before_the_first_run_tells_how_much_there_is_and_makes_nothing(pipeline):
    assert pipeline.refresh().info.source_rows == 25
    assert not pipeline.checkpoint_dir.exists()
