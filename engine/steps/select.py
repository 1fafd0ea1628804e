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

    Each is a column's name or a Polars expression. The rows stay, unless an expression makes more or fewer of
    them; one value alone (an aggregate, a literal) is repeated for each row, or is the only row when every
    expression is of that kind.

    `row_wise=None` decides from the expressions: true where Polars vouches that each row's result depends on
    that row alone, false otherwise, also for Python functions and for selectors such as `pl.all()`. Say True if
    you know better. Expressions that call Python run one batch at a time.

    Raises:
        UsageError: nothing to select, or something that is neither a name nor an expression.
    """

    def __init__(self, name: str, *columns: str | pl.Expr, row_wise: bool | None = None) -> None:
        super().__init__(name)
        if not columns:
            raise UsageError(f"step '{name}' selects nothing", hint="Name at least one column or expression.")
        self.columns = tuple(_name_or_expression(name, column) for column in columns)
        expressions = [column for column in self.columns if not isinstance(column, str)]
        self.row_wise, self.concurrent = row_wise_and_concurrent(expressions, row_wise)
        if row_wise is None and self.row_wise and len(expressions) == len(self.columns):
            self.row_wise = not all(expr.meta.is_scalar() for expr in expressions)  # else one row comes out of many

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with the selected columns."""
        return frame.select(self.columns)

    def settings(self) -> Mapping[str, Json]:
        """Return the columns in order: a name as it is, an expression as text and digest."""
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
