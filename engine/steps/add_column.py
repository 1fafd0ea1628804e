"""The step that adds a column: the product of another column and a number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.steps.arguments import column_name
from engine.steps.base import LazyBatchStep

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.text.json_values import Json

_INT64_LIMIT = 2**63


class AddColumnBatchStep(LazyBatchStep):
    """The same rows with one more column at the right: `column` × `multiplier`.

    The new column is called `output`, by default `{column}_x{multiplier:g}`: `value_x3`, `value_x0.5`. If there is a
    column of that name, it is replaced in its place. Null stays null. Polars decides the dtype of the product: an
    integer times an integer keeps the dtype of the column and wraps around if the product is too large for it, so cast
    narrow integers first; an integer times a float is Float64.

    Raises:
        UsageError: the multiplier isn't a finite number, or is an integer of more than 64 bits.
    """

    def __init__(self, name: str, column: str, multiplier: float = 1, *, output: str | None = None) -> None:
        super().__init__(name)
        self.column = column_name(name, column)
        # A product with an integer of more than 64 bits is null in Polars, without an error.
        if (
            isinstance(multiplier, bool)
            or not isinstance(multiplier, int | float)
            or not math.isfinite(multiplier)
            or (isinstance(multiplier, int) and not -_INT64_LIMIT <= multiplier < _INT64_LIMIT)
        ):
            raise UsageError(
                f"step '{name}': the multiplier must be a finite number of at most 64 bits, not {multiplier!r}"
            )
        self.multiplier = multiplier
        self.output = f"{column}_x{multiplier:g}" if output is None else column_name(name, output, "new column")

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with the product."""
        import polars as pl

        return frame.with_columns((pl.col(self.column) * self.multiplier).alias(self.output))

    def settings(self) -> Mapping[str, Json]:
        """Return the column, the multiplier and the new column's name."""
        return {"column": self.column, "multiplier": self.multiplier, "output": self.output}
