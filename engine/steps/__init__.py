"""The built-in steps. Importing them doesn't load Polars or DuckDB; constructing or running one may."""

from engine.steps.add_column import AddColumnBatchStep
from engine.steps.cast import CastBatchStep
from engine.steps.check import CheckBatchStep
from engine.steps.deduplicate import DeduplicateBatchStep
from engine.steps.drop_nulls import DropNullsBatchStep
from engine.steps.fill_nulls import FillNullsBatchStep
from engine.steps.filter import FilterBatchStep
from engine.steps.function import FunctionBatchStep
from engine.steps.rename import RenameBatchStep
from engine.steps.select import SelectBatchStep
from engine.steps.sql import SqlBatchStep
from engine.steps.with_columns import WithColumnsBatchStep

__all__ = [
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
]
