"""The step that keeps, orders and computes columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.steps.base import LazyBatchStep
from engine.steps.expression import checked_expression, describe_expression, row_wise_and_concurrent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.text.json_values import Json


class SelectBatchStep(LazyBatchStep):
    """Only these columns, in this order: `SelectBatchStep("pick", "id", pl.col("price") * 2)`.

    Each is the name of a column or a Polars expression. The rows stay the same, unless an expression returns more or
    fewer of them. A single value (of an aggregate or a literal) is repeated for each row; if all expressions return
    a single value, the result is one row.

    `row_wise=None` decides from the expressions: True if Polars guarantees that the result of each row depends
    on that row alone, else False, also for Python functions and for selectors such as `pl.all()`. Pass True if you
    know that it does. If an expression calls Python, the step processes one batch at a time.

    Raises:
        UsageError: there is nothing to select, or something is neither a name nor an expression.
    """

    def __init__(self, name: str, *columns: str | pl.Expr, row_wise: bool | None = None) -> None:
        super().__init__(name)
        if not columns:
            raise UsageError(f"step '{name}' selects nothing", hint="Name at least one column or expression.")
        self.columns = tuple(_name_or_expression(name, column) for column in columns)
        expressions = [column for column in self.columns if not isinstance(column, str)]
        self.row_wise, self.concurrent = row_wise_and_concurrent(expressions, row_wise)
        if row_wise is None and self.row_wise and len(expressions) == len(self.columns):
            self.row_wise = not all(expr.meta.is_scalar() for expr in expressions)  # then the result is one row

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with the selected columns."""
        return frame.select(self.columns)

    def settings(self) -> Mapping[str, Json]:
        """Return the columns in order: a name unchanged, an expression as text and digest."""
        return {
            "columns": [
                column if isinstance(column, str) else {"expression": describe_expression(column)}
                for column in self.columns
            ]
        }


def _name_or_expression(step: str, column: object) -> str | pl.Expr:
    if isinstance(column, str) and column:
        return column
    return checked_expression(step, column, "column to select (unless it is a name)")
