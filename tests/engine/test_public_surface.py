from __future__ import annotations

import subprocess
import sys

import pytest

import engine

SURFACE = [
    "AddColumnBatchStep",
    "Batch",
    "BatchFetcher",
    "BatchPipeline",
    "BatchStep",
    "CastBatchStep",
    "CheckBatchStep",
    "CsvFetcher",
    "DeduplicateBatchStep",
    "Delivery",
    "DropNullsBatchStep",
    "DuckDBSink",
    "FailureRecord",
    "FillNullsBatchStep",
    "FilterBatchStep",
    "FrameFetcher",
    "Frontier",
    "FunctionBatchStep",
    "LazyBatchStep",
    "Manifest",
    "ParquetFetcher",
    "PipelineError",
    "Position",
    "Quarantine",
    "QuarantinedRow",
    "RayExecutor",
    "RenameBatchStep",
    "Replayed",
    "RetryPolicy",
    "RunRecord",
    "RunState",
    "RunView",
    "SeekableFetcher",
    "SelectBatchStep",
    "Sink",
    "SourceSize",
    "SqlBatchStep",
    "SqlFetcher",
    "SqlSink",
    "StatefulBatchStep",
    "StepTiming",
    "WithColumnsBatchStep",
]


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_public_names_are_these():
    assert engine.__all__ == SURFACE


def test_the_public_names_are_sorted():
    assert engine.__all__ == sorted(engine.__all__)


@pytest.mark.parametrize("name", SURFACE)
def test_every_public_name_can_be_had_and_knows_its_home(name):
    value = getattr(engine, name)
    home = getattr(value, "__module__", None)
    if name != "BatchFetcher":  # an alias of Callable
        assert home == engine._HOME[name] or home.startswith(engine._HOME[name] + ".")


def test_dir_shows_the_public_names():
    assert dir(engine) == SURFACE


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'engine' has no attribute 'Pipeline'"):
        _ = engine.Pipeline


@pytest.mark.integration
def test_star_import_gives_the_public_names():
    assert python("from engine import *; print('BatchPipeline' in dir(), 'import_module' in dir())") == "True False\n"


@pytest.mark.integration
def test_importing_the_engine_loads_nothing_heavy():
    loaded = python("import sys, engine; print(*sys.modules)").split()
    assert not {"polars", "duckdb", "sqlalchemy", "tenacity", "textual", "rich", "pydantic", "typer"} & set(loaded)


@pytest.mark.integration
def test_running_a_pipeline_loads_no_terminal(tmp_path):
    loaded = python(
        "import sys; from engine import BatchPipeline; from engine.testing import NumberSource;"
        f"BatchPipeline([], NumberSource(3), 2, {str(tmp_path)!r}).run(); print(*sys.modules)"
    ).split()
    assert "polars" in loaded
    assert not {"textual", "rich", "tui"} & set(loaded)
