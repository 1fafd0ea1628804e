"""Relative paths mean the same for the whole life of a pipeline, whatever its steps do to the working folder."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import polars as pl
import pytest

from engine import BatchPipeline, CheckpointView, CsvFetcher, DuckDBSink, FunctionBatchStep, ParquetFetcher
from engine.errors import UsageError

SOURCES = {
    "a CSV file": lambda: CsvFetcher("in.csv"),
    "a glob": lambda: CsvFetcher("*.csv"),
    "a list": lambda: CsvFetcher(["in.csv"]),
    "a Parquet file": lambda: ParquetFetcher("in.parquet"),
}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Go to a folder whose name looks like a glob, with sources in it, and return another folder."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here[1]*").mkdir()
    monkeypatch.chdir(tmp_path / "here[1]*")
    frame = pl.DataFrame({"n": range(30)})
    frame.write_csv("in.csv")
    frame.write_parquet("in.parquet")
    return tmp_path / "elsewhere"


def goes_to(folder):
    def go(frame):
        os.chdir(folder)
        return frame

    return FunctionBatchStep("go", go)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_step_that_changes_the_working_folder_changes_nothing(elsewhere, source):
    here = Path.cwd()
    sink = DuckDBSink("out.duckdb")
    pipeline = BatchPipeline([goes_to(elsewhere)], source(), 10, "ck", workers=1, sinks=[sink])
    pipeline.run()
    assert Path.cwd() == elsewhere
    assert pipeline.get_frontier().last_completed_batch_id == 2
    assert pipeline.run().last_completed_batch_id == 2  # the source is found again
    assert pipeline.view().info.checkpoint_dir == str(pipeline.checkpoint_dir) == str(here / "ck")
    assert list(elsewhere.iterdir()) == []
    with duckdb.connect(str(here / "out.duckdb")) as connection:
        assert connection.execute("select count(*) from results").fetchone() == (30,)


def test_a_folder_that_was_moved_has_the_same_source_and_the_same_sink(elsewhere, monkeypatch):
    fetcher, sink = CsvFetcher("in.csv"), DuckDBSink("out.duckdb")
    monkeypatch.chdir(elsewhere)
    assert CsvFetcher("in.csv").identity() == fetcher.identity()
    assert DuckDBSink("out.duckdb").name == sink.name


def test_views_and_other_options_keep_the_folder_too(elsewhere, monkeypatch):
    here = Path.cwd()
    view = CheckpointView("ck")
    pipeline = BatchPipeline([], CsvFetcher("in.csv"), 10, "ck").with_options(checkpoint_dir="other")
    monkeypatch.chdir(elsewhere)
    assert view.checkpoint_dir == here / "ck"
    assert pipeline.with_options(batch_size=5).checkpoint_dir == here / "other"


def test_a_working_folder_that_was_deleted_is_said(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UsageError, match="relative path ck can't be looked up: the working folder has been deleted"):
        CheckpointView("ck")
    assert CheckpointView(tmp_path / "ck").checkpoint_dir == tmp_path / "ck"
