"""Turns columns of plain values into the dtypes that a user declares.

Invariant: a value that doesn't fit its dtype exactly becomes null here, and the caller finds it by that: it never
becomes another value. No decimal is rounded, no number becomes infinite, and a date is read by one format only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

_SECONDS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_WITH_ZONE = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z")


def fitted(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return the column as `dtype`, with null where a value doesn't fit. The column holds text or numbers.

    Dates and times are in ISO 8601: 2026-01-31, 2026-01-31T23:59:59.5 (a space instead of the T is the same), 23:59:59.
    For a dtype with a time zone, a text without an offset is local time there; for one without, an offset doesn't fit.
    """
    import polars as pl

    text = column.cast(pl.String)
    if dtype.is_float():
        number = column.cast(dtype, strict=False)
        return pl.when(number.is_finite() | number.is_nan() | text.str.contains("(?i)inf")).then(number)
    if dtype.is_temporal():
        return _temporal(text, dtype)
    if isinstance(dtype, pl.Boolean):
        lower = text.str.to_lowercase()
        return pl.when(lower == "true").then(True).when(lower == "false").then(False)
    if isinstance(dtype, pl.Decimal):
        exact = text.str.contains(rf"^[+-]?(?:\d+(?:\.\d{{0,{dtype.scale}}}0*)?|\.\d{{1,{max(dtype.scale, 1)}}}0*)$")
        return pl.when(exact).then(text.cast(dtype, strict=False))
    return column.cast(dtype, strict=False)


def dtype_of(name: str, declared: Any) -> pl.DataType:
    """Return the dtype that is declared for the column, as an instance.

    Raises:
        UsageError: it isn't a dtype that a text can be read as.
    """
    import polars as pl

    try:
        dtype = instance_of(declared)
    except TypeError as error:
        raise UsageError(f"dtypes, column '{name}': {error}", hint="Give full dtypes, such as pl.Date.") from error
    plain = (pl.Boolean, pl.String, pl.Date, pl.Time, pl.Datetime, pl.Decimal, pl.Enum, pl.Categorical)
    if dtype.is_integer() or dtype.is_float() or isinstance(dtype, plain) or dtype.is_nested():
        return dtype
    raise UsageError(
        f"dtypes, column '{name}': text can't be read as {dtype}",
        hint="Read it as pl.String, and convert it in a step.",
    )


def instance_of(declared: Any) -> pl.DataType:
    """Return a dtype, a class of dtypes such as `pl.Int64`, or a Python type such as `int` as an instance."""
    import polars as pl

    return pl.Schema({"": declared})[""]


def fields_of(dtype: pl.Struct) -> dict[str, pl.DataType]:
    """Return the names and dtypes of the fields."""
    return {field.name: instance_of(field.dtype) for field in dtype.fields}


def misfits(frame: pl.DataFrame, fitted_frame: pl.DataFrame) -> Mapping[str, pl.Series]:
    """Return for each column with values that didn't fit a mask of these values."""
    return {
        name: frame[name].is_not_null() & fitted_frame[name].is_null()
        for name in frame.columns
        if frame[name].null_count() != fitted_frame[name].null_count()
    }


def _temporal(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    if isinstance(dtype, pl.Date):
        return text.str.to_date("%Y-%m-%d", strict=False)
    if not isinstance(dtype, pl.Datetime):
        return pl.coalesce(text.str.to_time(written, strict=False) for written in ("%H:%M:%S%.f", "%H:%M"))
    unit, zone = dtype.time_unit, dtype.time_zone
    iso = text.str.replace(" ", "T", literal=True)
    read = [iso.str.to_datetime(written, time_unit=unit, strict=False) for written in _SECONDS]
    if zone is None:
        return pl.coalesce(read)
    # A local time that a change of the clock leaves out, or repeats, doesn't fit: nobody can say which one is meant.
    local = [each.dt.replace_time_zone(zone, ambiguous="null", non_existent="null") for each in read]
    absolute = [
        iso.str.replace("Z$", "+00:00").str.to_datetime(written, time_unit=unit, time_zone="UTC", strict=False)
        for written in _WITH_ZONE
    ]
    return pl.coalesce(*(each.dt.convert_time_zone(zone) for each in absolute), *local)
