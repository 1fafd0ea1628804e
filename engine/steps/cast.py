"""The step that changes the dtypes of columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.steps.arguments import column_name
from engine.steps.base import LazyBatchStep

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType, PythonDataType

    from engine.text.json_values import Json

_PYTHON_TYPES = frozenset({bool, int, float, str, bytes, date, datetime, time, timedelta, Decimal})


class CastBatchStep(LazyBatchStep):
    """The same rows with these columns in another dtype: `CastBatchStep("types", {"id": pl.Int64})`.

    A dtype is Polars' or the Python type that stands for one (`int` is Int64, `str` String). Every other column
    stays as it is; a column that isn't there fails the batch.

    `strict=True` fails the batch at a value that the new dtype can't hold; False puts a null in its place.

    Raises:
        UsageError: nothing to cast, or something that isn't a dtype.
    """

    def __init__(
        self, name: str, dtypes: Mapping[str, PolarsDataType | PythonDataType], *, strict: bool = True
    ) -> None:
        super().__init__(name)
        if not isinstance(dtypes, Mapping) or not dtypes:
            raise UsageError(f"step '{name}' casts nothing", hint='Give columns and dtypes, such as {"id": pl.Int64}.')
        self.dtypes = {column_name(name, column): _dtype(name, dtype) for column, dtype in dtypes.items()}
        self.strict = strict

    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with the new dtypes."""
        import polars as pl

        # frame.cast takes a mapping from columns as selectors too, and its type doesn't cover ours.
        return frame.with_columns(
            pl.col(column).cast(dtype, strict=self.strict) for column, dtype in self.dtypes.items()
        )

    def settings(self) -> Mapping[str, Json]:
        """Return the dtype of each column, as text, and whether a misfit fails the batch."""
        dtypes = {
            column: dtype.__name__ if isinstance(dtype, type) and dtype in _PYTHON_TYPES else str(dtype)
            for column, dtype in sorted(self.dtypes.items())
        }
        return {"dtypes": dtypes, "strict": self.strict}


def _dtype(step: str, dtype: PolarsDataType | PythonDataType) -> PolarsDataType | PythonDataType:
    if isinstance(dtype, type) and dtype in _PYTHON_TYPES:
        return dtype
    from polars.datatypes import DataType, DataTypeClass

    if isinstance(dtype, DataType | DataTypeClass):
        return dtype
    raise UsageError(
        f"step '{step}': {dtype!r} is not a dtype",
        hint="Give one of Polars' such as pl.Int64 or pl.Date, or a Python type such as int or str.",
    )
