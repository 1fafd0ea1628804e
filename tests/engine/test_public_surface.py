from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import engine
from engine import BatchStep, SeekableFetcher, Sink

SURFACE = [
    "AddColumnBatchStep",
    "Batch",
    "BatchFetcher",
    "BatchPipeline",
    "BatchStep",
    "CastBatchStep",
    "Check",
    "CheckBatchStep",
    "CheckpointStatus",
    "CheckpointView",
    "CsvFetcher",
    "DeduplicateBatchStep",
    "Delivery",
    "DropNullsBatchStep",
    "DuckDBSink",
    "Executor",
    "FailureRecord",
    "FillNullsBatchStep",
    "FilterBatchStep",
    "FrameFetcher",
    "Frontier",
    "FunctionBatchStep",
    "GeneratorFetcher",
    "IpcFetcher",
    "LazyBatchStep",
    "Listener",
    "Loss",
    "Manifest",
    "OnError",
    "ParquetFetcher",
    "PipelineError",
    "Position",
    "Quarantine",
    "QuarantinedRow",
    "RayExecutor",
    "Reason",
    "RenameBatchStep",
    "Repair",
    "Repaired",
    "Replayed",
    "Report",
    "ResultsPage",
    "RetryPolicy",
    "RunRecord",
    "RunState",
    "RunView",
    "SeekableFetcher",
    "SelectBatchStep",
    "Sink",
    "SourceRow",
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
    if inspect.isclass(value):  # the others are names for types that are written out
        assert f"{value.__module__}.".startswith(engine._HOME_OF[name] + ".")


@pytest.mark.parametrize(
    ("folder", "contract"),
    [("engine.steps", BatchStep), ("engine.sources", SeekableFetcher), ("engine.sinks", Sink)],
)
def test_every_step_source_and_sink_that_has_a_file_is_public(folder, contract):
    modules = [
        import_module(found.name) for found in pkgutil.walk_packages(import_module(folder).__path__, f"{folder}.")
    ]
    written = {
        name
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, contract) and not name.startswith("_")
        if not inspect.isabstract(value)
    }
    assert written
    assert written <= set(engine.__all__)


def test_dir_shows_the_public_names():
    assert dir(engine) == SURFACE


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'engine' has no attribute 'Pipeline'"):
        _ = engine.Pipeline


@pytest.mark.integration
def test_star_import_gives_the_public_names():
    assert python("from engine import *; print('BatchPipeline' in dir(), 're' in dir())") == "True False\n"


@pytest.mark.integration
def test_importing_the_engine_loads_nothing_heavy():
    loaded = python("import sys, engine; print(*sys.modules)").split()
    assert not {"polars", "duckdb", "sqlalchemy", "tenacity", "textual", "rich", "typer"} & set(loaded)


@pytest.mark.integration
def test_running_a_pipeline_loads_no_terminal(tmp_path):
    loaded = python(
        "import sys; from engine import BatchPipeline; from engine.testing import NumberSource;"
        f"BatchPipeline([], NumberSource(3), 2, {str(tmp_path)!r}).run(); print(*sys.modules)"
    ).split()
    assert "polars" in loaded
    assert not {"textual", "rich", "tui"} & set(loaded)
