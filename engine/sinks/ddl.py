"""Which type of a database a column of results gets."""

from __future__ import annotations

from typing import Any

import polars as pl
import sqlalchemy as sa

_TYPES: tuple[tuple[type[pl.DataType], sa.types.TypeEngine[Any]], ...] = (
    (pl.Boolean, sa.Boolean()),
    (pl.Int8, sa.SmallInteger()),
    (pl.Int16, sa.SmallInteger()),
    (pl.Int32, sa.Integer()),
    (pl.Int64, sa.BigInteger()),
    (pl.UInt8, sa.SmallInteger()),
    (pl.UInt16, sa.Integer()),
    (pl.UInt32, sa.BigInteger()),
    (pl.UInt64, sa.Numeric(20, 0)),
    (pl.Int128, sa.Numeric(39, 0)),
    (pl.Float32, sa.REAL()),
    (pl.Float64, sa.Double()),
    (pl.String, sa.Text()),
    (pl.Categorical, sa.Text()),
    (pl.Enum, sa.Text()),
    (pl.Null, sa.Text()),
    (pl.Date, sa.Date()),
    (pl.Time, sa.Time()),
    (pl.Binary, sa.LargeBinary()),
)


def column_type(dtype: pl.DataType, kind: str) -> sa.types.TypeEngine[Any] | None:
    """Return the type for a dtype in a database of this kind, None when it has none that loses nothing.

    Durations and nested dtypes have none; times finer than a microsecond haven't either.
    """
    if isinstance(dtype, pl.Decimal):
        return sa.Numeric(dtype.precision, dtype.scale)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_unit == "ns":
            return None
        return sa.DateTime(timezone=dtype.time_zone is not None)
    if kind == "sqlite" and isinstance(dtype, pl.UInt64 | pl.Int128):
        return None  # its integers have 64 bits and a sign, and its other numbers 53
    return next((declared for known, declared in _TYPES if isinstance(dtype, known)), None)
