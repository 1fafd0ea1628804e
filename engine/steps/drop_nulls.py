"""The step that drops rows with nulls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.steps.arguments import column_names
from engine.steps.base import LazyBatchStep

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import polars as pl

    from engine.text.json_values import Json


class DropNullsBatchStep(LazyBatchStep):
    """The rows without a null in any of `columns`; None means all columns.

    Columns, dtypes and the order of rows stay the same. NaN is a number and not a null: its row stays.

    Raises:
        UsageError: `columns` is empty or contains something that isn't a name.
    """

    def __init__(self, name: str, columns: str | Collection[str] | None = None) -> None:
        super().__init__(name)
        self.columns = column_names(name, columns)

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame without the rows that have a null."""
        return frame.drop_nulls(self.columns)

    def settings(self) -> Mapping[str, Json]:
        """Return the columns in alphabetical order, as their order doesn't change the result; null means all."""
        return {"columns": None if self.columns is None else sorted(self.columns)}
