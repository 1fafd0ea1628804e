"""Which Polars dtype a column of a database has, from its declared type alone, and how values are converted to it.

A column is *plain* if every reader returns values of that dtype, or of one that casts to it without loss. All other
columns (UUID, JSON, intervals, network addresses, enums …) are read as text in the form of the database: the same for
every reader, and without loss.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_DIGITS = 38
"""How many digits a Polars Decimal can have."""

_SINGLE_BITS = 24
"""In SQL, FLOAT(p) with p up to this many bits has single precision."""


def plain_dtype(declared: sa.types.TypeEngine[Any], kind: str) -> pl.DataType | None:
    """Return the dtype of a plain column, None for one that is read as text.

    `kind` is that of the database: in SQLite all integers have 64 bits and all floats 8 bytes.
    """
    for base, dtype_of in _DTYPES:
        if isinstance(declared, base):
            return dtype_of(declared, kind)
    return None


def _integer_dtype(declared: sa.Integer, kind: str) -> pl.DataType:
    unsigned = bool(getattr(declared, "unsigned", False))  # MySQL
    if kind == "sqlite":
        return pl.Int64()
    if isinstance(declared, sa.BigInteger):
        return pl.UInt64() if unsigned else pl.Int64()
    if unsigned:
        return pl.Int64()
    return pl.Int16() if isinstance(declared, sa.SmallInteger) else pl.Int32()


def _float_dtype(declared: sa.types.TypeEngine[Any], kind: str) -> pl.DataType:
    if kind == "sqlite":
        return pl.Float64()
    precision = getattr(declared, "precision", None)
    single = isinstance(declared, sa.REAL) if precision is None else precision <= _SINGLE_BITS
    return pl.Float32() if single and kind == "postgresql" else pl.Float64()


def _decimal_dtype(declared: sa.Numeric[Any], kind: str) -> pl.DataType | None:
    digits, scale = declared.precision, declared.scale or 0
    if digits is not None and digits <= MAX_DIGITS and 0 <= scale <= digits:
        return pl.Decimal(digits, scale)
    # Without a precision: a number by affinity in SQLite, any number of digits in other databases.
    return pl.Float64() if kind == "sqlite" else None


def _array_dtype(declared: sa.ARRAY[Any], kind: str) -> pl.DataType | None:
    if (declared.dimensions or 1) > 1:
        return None
    item = plain_dtype(declared.item_type, kind)
    flat = (pl.Boolean, pl.Int16, pl.Int32, pl.Int64, pl.Float32, pl.Float64, pl.String)
    return pl.List(item) if item is not None and isinstance(item, flat) else None


# The first base that matches counts: in SQLAlchemy, Float is a Numeric and Enum is a String.
_DTYPES: tuple[tuple[type[Any], Callable[[Any, str], pl.DataType | None]], ...] = (
    (sa.ARRAY, _array_dtype),
    (sa.Float, _float_dtype),
    (sa.Numeric, _decimal_dtype),
    (sa.Integer, _integer_dtype),
    (sa.DateTime, lambda declared, _: pl.Datetime("us", "UTC" if declared.timezone else None)),
    (sa.Time, lambda declared, _: None if declared.timezone else pl.Time()),
    (sa.Boolean, lambda *_: pl.Boolean()),
    (sa.Enum, lambda *_: None),
    (sa.String, lambda *_: pl.String()),
    (sa.Date, lambda *_: pl.Date()),
    (sa.types._Binary, lambda *_: pl.Binary()),  # noqa: SLF001 (the base of BLOB and BYTEA)
)


def conform(frame: pl.DataFrame, dtypes: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return the columns of `dtypes`, in its order, with values converted to its dtypes.

    Raises:
        ValueError: a dtype can't hold a value of its column; the message names the column.
    """
    try:
        cast = frame.select(_cast(name, _found(frame[name]), dtype) for name, dtype in dtypes.items())
    except (pl.exceptions.InvalidOperationError, pl.exceptions.ComputeError) as error:
        raise ValueError(_which_misfit(frame, dtypes, error)) from error
    _refuse_other_numbers(frame, cast)
    _refuse_infinite_times(cast)
    return cast


def _found(column: pl.Series) -> pl.DataType:
    """Return the dtype of the values that arrived; Null if there are only NULLs."""
    return pl.Null() if column.null_count() == len(column) else column.dtype


def _cast(name: str, found: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if found == wanted:
        return column
    if isinstance(found, pl.Null):
        return pl.repeat(None, pl.len(), dtype=wanted).alias(name)
    if isinstance(found, pl.String):
        # SQLite has no types for these: they are texts in the format of SQL, which is also ISO 8601.
        if isinstance(wanted, pl.Date):
            return column.str.to_date("%Y-%m-%d")
        if isinstance(wanted, pl.Time):
            return column.str.to_time("%H:%M:%S%.f")
        if isinstance(wanted, pl.Datetime):
            parsed = column.str.replace("T", " ", literal=True).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us")
            return parsed.dt.replace_time_zone(wanted.time_zone)
    elif wanted.is_temporal() and not found.is_temporal():
        raise pl.exceptions.InvalidOperationError(f"{found} instead of a text such as 2024-12-31")
    return column.cast(wanted, strict=True)


def _which_misfit(frame: pl.DataFrame, dtypes: Mapping[str, pl.DataType], error: Exception) -> str:
    for name, dtype in dtypes.items():
        try:
            frame.select(_cast(name, _found(frame[name]), dtype))
        except (pl.exceptions.InvalidOperationError, pl.exceptions.ComputeError) as reason:
            return misfit(name, dtype, first_line(reason))
    return first_line(error)


def misfit(name: str, dtype: pl.DataType | None, reason: str) -> str:
    """Return the message about a column with values that its dtype can't hold; None is the dtype of mixed values."""
    declared = f"is declared as {dtype}, but has values that don't fit" if dtype else "has values of several types"
    return f"column '{name}' {declared}: {reason.rstrip('.')}. {way_out(name)}"


def way_out(name: str) -> str:
    """Return what the user can do about such a column."""
    return f"Read it as text (dtypes={{{name!r}: pl.String}}), or leave it out (columns=…)"


def first_line(error: Exception) -> str:
    """Return the first line of an error of Polars; the rest is advice about Polars."""
    return str(error).strip().partition("\n")[0]


def _refuse_other_numbers(before: pl.DataFrame, after: pl.DataFrame) -> None:
    """Refuse numbers that the cast has changed: Polars casts 1.5 to the integer 1, and 2 to the boolean true."""
    arrived = before.schema  # each access makes it from all columns
    for name, dtype in after.schema.items():
        found = arrived[name]
        fractions = (pl.Float32, pl.Float64, pl.Decimal)
        rounded = dtype.is_float() and isinstance(found, fractions)  # expected of a float
        if found == dtype or not found.is_numeric() or rounded or not (dtype.is_numeric() or dtype == pl.Boolean):
            continue
        others = before[name].filter(before[name].ne_missing(after[name].cast(found)))
        if len(others):
            raise ValueError(misfit(name, dtype, f"{others[0]} would be changed"))


def _refuse_infinite_times(frame: pl.DataFrame) -> None:
    """Refuse PostgreSQL's infinity and years outside 1 to 9999, which Python and the steps can't handle."""
    limits = {name: _limits(dtype) for name, dtype in frame.schema.items() if isinstance(dtype, pl.Date | pl.Datetime)}
    if not limits or not frame.height:
        return
    # Compared as the numbers that Polars stores: it converts such a year to null, or panics.
    beyond = frame.select(
        pl.col(name).to_physical().is_between(low, high).not_().any() for name, (low, high) in limits.items()
    ).row(0)
    for name, wrong in zip(limits, beyond, strict=True):
        if wrong:
            raise ValueError(misfit(name, frame.schema[name], "infinity, or a year outside 1 to 9999"))


def _limits(dtype: pl.Date | pl.Datetime) -> tuple[int, int]:
    """Return the first and the last date or moment of Python, as the numbers that Polars stores."""
    if isinstance(dtype, pl.Date):
        first, last = pl.Series([date.min, date.max]).to_physical()
    else:
        ends = [datetime.min, datetime.max]  # noqa: DTZ901 (of UTC)
        first, last = pl.Series(ends, dtype=pl.Datetime(dtype.time_unit)).to_physical()
    return first, last
