"""Stream data larger than memory through steps, batch by batch, and never lose the place.

Everything public is here; nothing is loaded before it is asked for, so importing this costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.batch import Batch
    from engine.checkpoint.catalog.records import FailureRecord, RunRecord
    from engine.checkpoint.loss import Loss
    from engine.checkpoint.parts.manifest import Manifest, StepTiming
    from engine.checkpoint.recovery.report import Check, Repair, Repaired, Report
    from engine.errors import PipelineError
    from engine.executors.ray.executor import RayExecutor
    from engine.frontier import Frontier
    from engine.pipeline import BatchPipeline
    from engine.policy import Quarantine, RetryPolicy
    from engine.progress import RunView
    from engine.results.page import ResultsPage
    from engine.results.quarantine import QuarantinedRow, Reason
    from engine.results.view import CheckpointStatus, CheckpointView
    from engine.runs.replay import Replayed
    from engine.sinks import DuckDBSink, SqlSink
    from engine.sinks.base import Delivery, Sink
    from engine.sources import CsvFetcher, FrameFetcher, ParquetFetcher, SqlFetcher
    from engine.sources.base import BatchFetcher, Position, SeekableFetcher, SourceSize
    from engine.state import RunState
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
    from engine.steps.base import BatchStep, LazyBatchStep, StatefulBatchStep

_HOMES = {
    "engine.batch": ("Batch",),
    "engine.checkpoint.parts.manifest": ("Manifest", "StepTiming"),
    "engine.checkpoint.catalog.records": ("FailureRecord", "RunRecord"),
    "engine.errors": ("PipelineError",),
    "engine.executors.ray.executor": ("RayExecutor",),
    "engine.sources.base": ("BatchFetcher", "Position", "SeekableFetcher", "SourceSize"),
    "engine.sources": ("CsvFetcher", "FrameFetcher", "ParquetFetcher", "SqlFetcher"),
    "engine.frontier": ("Frontier",),
    "engine.pipeline": ("BatchPipeline",),
    "engine.policy": ("Quarantine", "RetryPolicy"),
    "engine.progress": ("RunView",),
    "engine.checkpoint.loss": ("Loss",),
    "engine.checkpoint.recovery.report": ("Check", "Repair", "Repaired", "Report"),
    "engine.results.page": ("ResultsPage",),
    "engine.results.quarantine": ("QuarantinedRow", "Reason"),
    "engine.results.view": ("CheckpointStatus", "CheckpointView"),
    "engine.runs.replay": ("Replayed",),
    "engine.sinks.base": ("Delivery", "Sink"),
    "engine.sinks": ("DuckDBSink", "SqlSink"),
    "engine.state": ("RunState",),
    "engine.steps.base": ("BatchStep", "LazyBatchStep", "StatefulBatchStep"),
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
    "Check",
    "CheckBatchStep",
    "CheckpointStatus",
    "CheckpointView",
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
    "Loss",
    "Manifest",
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
