"""Stream data larger than memory through steps, batch by batch, and never lose the place.

Everything public is here; nothing is loaded before it is asked for, so importing this costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.batch import Batch
    from engine.checkpoint.manifest import Manifest, StepTiming
    from engine.checkpoint.records import FailureRecord, RunRecord
    from engine.errors import PipelineError
    from engine.executors.ray_executor import RayExecutor
    from engine.fetcher import BatchFetcher, Position, SeekableFetcher, SourceSize
    from engine.fetchers import CsvFetcher, FrameFetcher, ParquetFetcher, SqlFetcher
    from engine.frontier import Frontier
    from engine.pipeline import BatchPipeline
    from engine.policy import Quarantine, RetryPolicy
    from engine.progress import RunView
    from engine.quarantine_view import QuarantinedRow
    from engine.replay import Replayed
    from engine.sink import Delivery, Sink
    from engine.sinks import DuckDBSink, SqlSink
    from engine.state import RunState
    from engine.step import BatchStep, LazyBatchStep, StatefulBatchStep
    from engine.steps import (
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

_HOMES = {
    "engine.batch": ("Batch",),
    "engine.checkpoint.manifest": ("Manifest", "StepTiming"),
    "engine.checkpoint.records": ("FailureRecord", "RunRecord"),
    "engine.errors": ("PipelineError",),
    "engine.executors.ray_executor": ("RayExecutor",),
    "engine.fetcher": ("BatchFetcher", "Position", "SeekableFetcher", "SourceSize"),
    "engine.fetchers": ("CsvFetcher", "FrameFetcher", "ParquetFetcher", "SqlFetcher"),
    "engine.frontier": ("Frontier",),
    "engine.pipeline": ("BatchPipeline",),
    "engine.policy": ("Quarantine", "RetryPolicy"),
    "engine.progress": ("RunView",),
    "engine.quarantine_view": ("QuarantinedRow",),
    "engine.replay": ("Replayed",),
    "engine.sink": ("Delivery", "Sink"),
    "engine.sinks": ("DuckDBSink", "SqlSink"),
    "engine.state": ("RunState",),
    "engine.step": ("BatchStep", "LazyBatchStep", "StatefulBatchStep"),
    "engine.steps": (
        "AddColumnBatchStep",
        "CastBatchStep",
        "CheckBatchStep",
        "DeduplicateBatchStep",
        "DropNullsBatchStep",
        "FillNullsBatchStep",
        "FilterBatchStep",
        "FunctionBatchStep",
        "RenameBatchStep",
        "SelectBatchStep",
        "SqlBatchStep",
        "WithColumnsBatchStep",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
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


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
