"""Stream data larger than memory through steps, batch by batch, and never lose the place.

All public names are listed here, one line each. A name is loaded when it is first used, so this import costs nothing.
`engine.errors`, `engine.events` and `engine.testing` are public as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.batch import Batch as Batch
    from engine.batch import SourceRow as SourceRow
    from engine.checkpoint.catalog.records import RunRecord as RunRecord
    from engine.checkpoint.loss import Loss as Loss
    from engine.checkpoint.parts.manifest import Manifest as Manifest
    from engine.checkpoint.parts.manifest import StepTiming as StepTiming
    from engine.checkpoint.recovery.report import Check as Check
    from engine.checkpoint.recovery.report import Repair as Repair
    from engine.checkpoint.recovery.report import Repaired as Repaired
    from engine.checkpoint.recovery.report import Report as Report
    from engine.errors import PipelineError as PipelineError
    from engine.events import FailureRecord as FailureRecord
    from engine.events import Listener as Listener
    from engine.executors.base import Executor as Executor
    from engine.executors.ray.executor import RayExecutor as RayExecutor
    from engine.frontier import Frontier as Frontier
    from engine.pipeline import BatchPipeline as BatchPipeline
    from engine.policy import OnError as OnError
    from engine.policy import Quarantine as Quarantine
    from engine.policy import RetryPolicy as RetryPolicy
    from engine.progress import RunView as RunView
    from engine.results.page import ResultsPage as ResultsPage
    from engine.results.quarantine import QuarantinedRow as QuarantinedRow
    from engine.results.quarantine import Reason as Reason
    from engine.results.view import CheckpointStatus as CheckpointStatus
    from engine.results.view import CheckpointView as CheckpointView
    from engine.runs.replay import Replayed as Replayed
    from engine.sinks.base import Delivery as Delivery
    from engine.sinks.base import Sink as Sink
    from engine.sinks.duckdb_sink import DuckDBSink as DuckDBSink
    from engine.sinks.sql_sink import SqlSink as SqlSink
    from engine.sources.base import BatchFetcher as BatchFetcher
    from engine.sources.base import Position as Position
    from engine.sources.base import SeekableFetcher as SeekableFetcher
    from engine.sources.base import SourceSize as SourceSize
    from engine.sources.csv.fetcher import CsvFetcher as CsvFetcher
    from engine.sources.frame import FrameFetcher as FrameFetcher
    from engine.sources.generator import GeneratorFetcher as GeneratorFetcher
    from engine.sources.ipc import IpcFetcher as IpcFetcher
    from engine.sources.parquet.fetcher import ParquetFetcher as ParquetFetcher
    from engine.sources.sql import SqlFetcher as SqlFetcher
    from engine.state import RunState as RunState
    from engine.steps.add_column import AddColumnBatchStep as AddColumnBatchStep
    from engine.steps.base import BatchStep as BatchStep
    from engine.steps.base import LazyBatchStep as LazyBatchStep
    from engine.steps.base import StatefulBatchStep as StatefulBatchStep
    from engine.steps.cast import CastBatchStep as CastBatchStep
    from engine.steps.check import CheckBatchStep as CheckBatchStep
    from engine.steps.deduplicate import DeduplicateBatchStep as DeduplicateBatchStep
    from engine.steps.drop_nulls import DropNullsBatchStep as DropNullsBatchStep
    from engine.steps.fill_nulls import FillNullsBatchStep as FillNullsBatchStep
    from engine.steps.filter import FilterBatchStep as FilterBatchStep
    from engine.steps.function import FunctionBatchStep as FunctionBatchStep
    from engine.steps.rename import RenameBatchStep as RenameBatchStep
    from engine.steps.select import SelectBatchStep as SelectBatchStep
    from engine.steps.sql import SqlBatchStep as SqlBatchStep
    from engine.steps.with_columns import WithColumnsBatchStep as WithColumnsBatchStep
else:
    # Type checkers, editors and the import contracts understand the imports above. At run time this code reads their
    # text as a table from name to module, and imports a module when one of its names is first used. (From Python 3.15
    # on, `lazy from … import` does that: PEP 810.) The alternative, lazy_loader with a stub file, is one more
    # dependency, and the import contracts don't read stubs.
    import re
    from importlib import import_module

    _IMPORTS = re.findall(r"(?m)^    from (\S+) import (\w+) as \2$", __spec__.loader.get_source(__name__))
    _HOME_OF = dict(sorted((name, home) for home, name in _IMPORTS))
    __all__ = list(_HOME_OF)

    def __getattr__(name: str) -> object:
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
        return value

    def __dir__() -> list[str]:
        return __all__
