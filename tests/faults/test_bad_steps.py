"""A step ends the process, eats all memory, starts threads, changes its input: nothing is lost, nothing is spoiled."""

from __future__ import annotations

import resource
import signal

import fault_run
import mishaps
import polars as pl
import pytest

from engine import Batch, BatchPipeline, BatchStep, FrameFetcher, RetryPolicy

FAILED = 1
MEMORY_BYTES = 6 << 30
"""Of addresses, of which the libraries reserve some GiB that they never use."""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoint"


def run_with(folder, mishap):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return fault_run.run(folder, environment=mishaps.at(folder, mishap), in_child=limit)


def test_a_step_that_ends_the_process_loses_nothing(folder):
    assert run_with(folder, "process ended").code == mishaps.EXIT_CODE
    assert fault_run.assert_resumes(folder) >= mishaps.COMMITTED_BY_THEN


def test_a_step_that_exits_is_a_step_that_failed(folder):
    fault_run.assert_told(run_with(folder, "system exit"), "step 'mishap' failed at batch 9", "SystemExit", code=FAILED)
    assert fault_run.assert_resumes(folder) == mishaps.AT_BATCH


def test_a_step_that_eats_all_memory_is_a_step_that_failed(folder):
    end = run_with(folder, "memory eaten")
    fault_run.assert_told(end, "step 'mishap' failed at batch 9", "MemoryError", code=FAILED)
    assert fault_run.assert_resumes(folder) == mishaps.AT_BATCH


def test_a_step_that_eats_all_memory_in_polars_loses_nothing(folder):
    """Rust ends the process there: nobody can make a sentence of it, and the next run goes on."""
    end = run_with(folder, "memory eaten by Polars")
    if end.code != -signal.SIGABRT:
        fault_run.assert_told(end, code=FAILED)
    assert fault_run.assert_resumes(folder) >= mishaps.COMMITTED_BY_THEN


@pytest.mark.parametrize("name", ["threads started", "thread raised"])
def test_a_step_that_starts_threads_is_not_held_up_by_them(folder, name):
    end = run_with(folder, name)
    assert end.code == 0, end.talk
    fault_run.assert_finished(folder)


class Doubled(BatchStep):
    """Changes the frame that it is given, and fails at its first try of each batch that `failing` names."""

    def __init__(self, name, failing=()):
        super().__init__(name)
        self.failing = set(failing)

    def process(self, batch: Batch) -> Batch:
        batch.data.replace_column(0, batch.data["value"] * 2)
        batch.data.insert_column(1, pl.Series("note", ["seen"] * batch.data.height))
        if batch.batch_id in self.failing:
            self.failing.remove(batch.batch_id)
            raise ConnectionError("once")
        return batch


class Renamed(BatchStep):
    def process(self, batch: Batch) -> Batch:
        return batch.with_data(batch.data.rename({"note": "said"}))


def test_a_step_that_changes_its_input_spoils_neither_the_source_nor_a_second_try(folder):
    source = pl.DataFrame({"value": range(40)})
    pipeline = BatchPipeline(
        steps=[Doubled("doubled", failing=[0, 2]), Renamed("renamed")],
        batch_fetcher=FrameFetcher(source),
        batch_size=10,
        checkpoint_dir=folder,
        retry=RetryPolicy(transient=(ConnectionError,), max_attempts=2, base_seconds=0.001),
    )
    pipeline.run()
    assert source.equals(pl.DataFrame({"value": range(40)}))
    assert pipeline.collect_results().equals(pl.DataFrame({"value": range(0, 80, 2), "said": ["seen"] * 40}))
