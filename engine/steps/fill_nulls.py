"""The step that replaces nulls by values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from engine.errors import UsageError
from engine.steps.arguments import Value, column_name, column_names, value_as_json
from engine.steps.base import LazyBatchStep

if TYPE_CHECKING:
    from collections.abc import Collection

    import polars as pl

    from engine.text.json_values import Json

Strategy: TypeAlias = Literal["forward", "backward", "min", "max", "mean", "zero", "one"]
_ROW_WISE = ("zero", "one")


class FillNullsBatchStep(LazyBatchStep):
    """The same rows with nulls filled: by one value, by one value per column, or by a strategy.

    * `FillNullsBatchStep(name, 0)` fills every column that can hold the value: 0 fills numbers, "" fills texts.
    * `FillNullsBatchStep(name, {"age": 0, "city": "?"})` fills only these columns.
    * `FillNullsBatchStep(name, strategy="forward")` fills with the value of the row before; other strategies are
      "backward", "min", "max", "mean", "zero" and "one". A strategy sees one batch at a time: nulls before the first
      value of a batch aren't filled forward, and "mean" is the mean of the batch. The strategy must suit the dtype
      of every column that it fills.

    `columns` limits a single value or a strategy to these columns. Columns keep their places. Polars decides the
    dtype of a column from the dtypes of column and value: Int64 filled with 0.5 becomes Float64, with "?" String.
    NaN is not a null. The step is row-wise, except for strategies that look at other rows.

    Raises:
        UsageError: both value and strategy are given, or neither, or the strategy or the value is unknown.
    """

    def __init__(
        self,
        name: str,
        value: Value | Mapping[str, Value] | None = None,
        *,
        strategy: Strategy | None = None,
        columns: str | Collection[str] | None = None,
    ) -> None:
        super().__init__(name)
        if (value is None) == (strategy is None):
            raise UsageError(
                f"step '{name}': give either a value or a strategy to fill nulls with",
                hint='For example FillNullsBatchStep("fill", 0) or FillNullsBatchStep("fill", strategy="forward").',
            )
        if strategy is not None and strategy not in get_args(Strategy):
            raise UsageError(
                f"step '{name}': there is no strategy {strategy!r}",
                hint=f"Choose one of {', '.join(get_args(Strategy))}.",
            )
        self.strategy = strategy
        self.columns = column_names(name, columns)
        self.value = value
        if isinstance(value, Mapping):
            if columns is not None:
                raise UsageError(f"step '{name}': a mapping of values already names its columns; leave `columns` out")
            if not value:
                raise UsageError(f"step '{name}': the mapping of columns to values is empty")
            self.value = {column_name(name, column): each for column, each in value.items()}
            self._value_json: Json = {column: value_as_json(name, each) for column, each in sorted(value.items())}
        else:
            self._value_json = None if value is None else value_as_json(name, value)
        self.row_wise = strategy is None or strategy in _ROW_WISE

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with its nulls filled."""
        import polars as pl

        if isinstance(self.value, Mapping):
            return frame.with_columns(pl.col(column).fill_null(value) for column, value in self.value.items())
        if self.columns is None:
            return frame.fill_null(self.value, self.strategy)
        return frame.with_columns(pl.col(self.columns).fill_null(self.value, self.strategy))

    def settings(self) -> Mapping[str, Json]:
        """Return value, strategy and columns; null for each that was left out."""
        columns = None if self.columns is None else sorted(self.columns)
        return {"value": self._value_json, "strategy": self.strategy, "columns": columns}
