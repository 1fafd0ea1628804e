"""The step that makes the batch fail if rows violate a condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import CheckFailed, UsageError
from engine.steps.base import BatchStep
from engine.steps.expression import checked_expression, describe_expression, row_wise_and_concurrent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.batch import Batch
    from engine.text.json_values import Json

_MOST_EXAMPLES = 100


class CheckBatchStep(BatchStep):
    """The batch unchanged, if `condition` is true for each of its rows.

    `condition` is a Polars expression of dtype Boolean, with one value for each row or one value for all rows. As
    with CHECK in SQL, only false violates it; null means unknown and passes. To reject nulls as well, write
    `pl.col("id").is_not_null() & (pl.col("id") > 0)`.

    `message` names the check in the error, instead of the expression.

    `row_wise=None` decides from the expression: True if Polars guarantees that each row is judged by itself, else
    False, also for Python functions and for selectors such as `pl.all()`. Pass True if you know that it is.
    If the condition calls Python, the step processes one batch at a time.

    Raises:
        UsageError: the condition isn't an expression; from `process`: it isn't Boolean, or its number of values is
            neither one nor that of the rows.
        CheckFailed: from `process`, with the rows that violate it, numbered from 0 in the batch that this step got.
    """

    def __init__(
        self, name: str, condition: pl.Expr, *, message: str | None = None, row_wise: bool | None = None
    ) -> None:
        super().__init__(name)
        self.condition = checked_expression(name, condition, "condition")
        self.message = message
        self.row_wise, self.concurrent = row_wise_and_concurrent([self.condition], row_wise)

    def process(self, batch: Batch) -> Batch:
        """Return the batch, or raise `CheckFailed`."""
        broken = self._broken(batch.data)
        if len(broken):
            rows = broken.head(_MOST_EXAMPLES).to_list()
            condition = self.message or str(self.condition)
            raise CheckFailed(condition, rows, batch.data[rows], len(broken))
        return batch

    def settings(self) -> Mapping[str, Json]:
        """Return the condition as text and digest."""
        return {"condition": describe_expression(self.condition)}

    def _broken(self, frame: pl.DataFrame) -> pl.Series:
        """Return the numbers of the rows for which the condition is false, in ascending order."""
        import polars as pl

        answers = frame.select(self.condition)
        if answers.width != 1:
            raise UsageError(
                f"the condition of step '{self.name}' has {answers.width} columns instead of one",
                hint="Join them with pl.all_horizontal(...) or pl.any_horizontal(...).",
            )
        holds = answers.to_series()
        if holds.dtype not in (pl.Boolean, pl.Null):
            raise UsageError(
                f"the condition of step '{self.name}' is {holds.dtype}, not Boolean",
                hint='Compare it with a value, as in pl.col("amount") > 0.',
            )
        if len(holds) == 1:
            holds = holds.new_from_index(0, frame.height)
        if len(holds) != frame.height:
            raise UsageError(
                f"the condition of step '{self.name}' has {len(holds)} values for {frame.height} rows",
                hint="It must have one value for each row, or one value for all rows.",
            )
        return (~holds.cast(pl.Boolean)).arg_true()
