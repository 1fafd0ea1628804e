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

    A dtype is one of Polars, or a Python type that means one (`int` is Int64, `str` is String). All other columns
    stay the same. A missing column makes the batch fail.

    With `strict=True` a value that the new dtype can't hold makes the batch fail; with False it becomes null.

    Raises:
        UsageError: there is nothing to cast, or something isn't a dtype.
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

        # Not frame.cast: its mapping may also have selectors as keys, and its annotation doesn't accept ours.
        return frame.with_columns(
            pl.col(column).cast(dtype, strict=self.strict) for column, dtype in self.dtypes.items()
        )

    def settings(self) -> Mapping[str, Json]:
        """Return the dtype of each column, as text, and `strict`."""
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
        hint="Give a dtype of Polars such as pl.Int64 or pl.Date, or a Python type such as int or str.",
    )
