"""The step that adds a column: another one, multiplied."""

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
    """The same rows with one more column, `column` × `multiplier`, at the right.

    The new column is `output`, by default `{column}_x{multiplier:g}`: `value_x3`, `value_x0.5`. A column that has
    this name already is replaced in its place. Null stays null. The dtype is what Polars makes of the product:
    an integer times an integer keeps the column's dtype, and wraps around where the dtype is too small for the
    product, so cast narrow integers first; an integer times a float is Float64.

    Raises:
        UsageError: the multiplier isn't a finite number, or an integer beyond 64 bits.
    """

    def __init__(self, name: str, column: str, multiplier: float = 1, *, output: str | None = None) -> None:
        super().__init__(name)
        self.column = column_name(name, column)
        # Polars makes null of a product with an integer beyond 64 bits, without a word.
        if (
            isinstance(multiplier, bool)
            or not isinstance(multiplier, int | float)
            or not math.isfinite(multiplier)
            or (isinstance(multiplier, int) and not -_INT64_LIMIT <= multiplier < _INT64_LIMIT)
        ):
            raise UsageError(f"step '{name}': the multiplier must be a finite number of 64 bits, not {multiplier!r}")
        self.multiplier = multiplier
        self.output = f"{column}_x{multiplier:g}" if output is None else column_name(name, output, "new column")

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with the product."""
        import polars as pl

        return frame.with_columns((pl.col(self.column) * self.multiplier).alias(self.output))

    def settings(self) -> Mapping[str, Json]:
        """Return the column, the multiplier and the new column's name."""
        return {"column": self.column, "multiplier": self.multiplier, "output": self.output}
