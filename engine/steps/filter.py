"""The step that keeps the rows for which a predicate is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.steps.base import LazyBatchStep
from engine.steps.expression import checked_expression, describe_expression, row_wise_and_concurrent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.text.json_values import Json


class FilterBatchStep(LazyBatchStep):
    """The rows for which `predicate` is true; rows for which it is false or null are dropped.

    `predicate` is a Polars expression of dtype Boolean. Columns, dtypes and the order of rows stay the same.

    `row_wise=None` decides from the expression: True if Polars guarantees that each row is judged by itself, else
    False, also for Python functions and for selectors such as `pl.all()`. Pass True if you know that it is.
    If the predicate calls Python, the step processes one batch at a time.

    Raises:
        UsageError: the predicate isn't an expression.
    """

    def __init__(self, name: str, predicate: pl.Expr, *, row_wise: bool | None = None) -> None:
        super().__init__(name)
        self.predicate = checked_expression(name, predicate, "predicate")
        self.row_wise, self.concurrent = row_wise_and_concurrent([self.predicate], row_wise)

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with the rows for which the predicate is true."""
        return frame.filter(self.predicate)

    def settings(self) -> Mapping[str, Json]:
        """Return the predicate as text and digest."""
        return {"predicate": describe_expression(self.predicate)}
