"""The step that computes columns from expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.steps.base import LazyBatchStep
from engine.steps.expression import checked_expression, describe_expression, row_wise_and_concurrent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.text.json_values import Json


class WithColumnsBatchStep(LazyBatchStep):
    """The same rows with more columns: `WithColumnsBatchStep("tax", gross=pl.col("net") * 1.2)`.

    The name of a computed column is the keyword, or the output name of the expression (the only way for a column
    called "row_wise"). A column of that name is replaced in its place; a new one is added at the right. All
    expressions see the incoming frame, so none can use the column of another; use two steps for that.

    `row_wise=None` decides from the expressions: True if Polars guarantees that the result of each row depends
    on that row alone, else False, also for Python functions and for selectors such as `pl.all()`. Pass True if you
    know that it does. If an expression calls Python, the step processes one batch at a time.

    Raises:
        UsageError: there is no expression, or something isn't one; write a plain value as `pl.lit(value)`.
    """

    # Positional-only, because many columns are called "name".
    def __init__(self, name: str, /, *exprs: pl.Expr, row_wise: bool | None = None, **named_exprs: pl.Expr) -> None:
        super().__init__(name)
        if not exprs and not named_exprs:
            raise UsageError(f"step '{name}' computes nothing", hint="Give at least one expression.")
        self.exprs = tuple(checked_expression(name, expr, "column to compute") for expr in exprs)
        self.named_exprs = {
            column: checked_expression(name, expr, f"column '{column}'") for column, expr in named_exprs.items()
        }
        every = (*self.exprs, *self.named_exprs.values())
        self.row_wise, self.concurrent = row_wise_and_concurrent(every, row_wise)

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with the computed columns."""
        return frame.with_columns(*self.exprs, **self.named_exprs)

    def settings(self) -> Mapping[str, Json]:
        """Return the expressions as text and digest, in the order of their columns."""
        return {
            "exprs": [describe_expression(expr) for expr in self.exprs],
            "named_exprs": [[column, describe_expression(expr)] for column, expr in self.named_exprs.items()],
        }
