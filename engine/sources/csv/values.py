"""Parses rows with Polars, and finds those with a value that doesn't fit the dtype of its column.

Polars names the first such value only. So after it has refused some rows, they are parsed twice more: with each value
that doesn't fit as null, and with all values as text. A value that is null in one and not in the other doesn't fit.

Invariant: the values of the rows that are returned are those that Polars gives, and none was changed to fit.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from math import isinf
from typing import TYPE_CHECKING

from engine.errors import describe
from engine.sources.csv.sorting import Fault
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from engine.sources.csv.format import CsvFormat

VALUE_LENGTH_SHOWN = 60
_NULL_MARKS = {"na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing", "unknown"}
_WHOLE = re.compile(r"\s*[+-]?\d+")
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
_WITH_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_TIMES = ("%H:%M:%S%.f", "%H:%M:%S", "%H:%M")
_INFINITY = r"(?i)^\s*[+-]?inf(inity)?\s*$"


class Unparsable(Exception):
    """Polars refuses the rows, and no value is to blame. The message says what it said."""


def parse_rows(
    rows: Sequence[bytes], written: CsvFormat, schema: Mapping[str, pl.DataType]
) -> tuple[pl.DataFrame, dict[int, Fault]]:
    """Return a frame of the rows that fit `schema`, and what is wrong with the others, by their number.

    Raises:
        Unparsable: Polars can't read them, and not because of a value.
    """
    import polars as pl

    refused: BaseException | None = None
    faults: dict[int, Fault] = {}
    # In the second round the rows with a fault are out. A blank value is null for some dtypes, and a fault for others.
    for blank_is_a_fault in (False, False, True, True):
        left = [row for number, row in enumerate(rows) if number not in faults] if faults else rows
        content = b"\n".join([*left, b""])
        try:
            frame = written.scan(content, schema).collect()
            found = lost_values(frame, content, written, schema)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            refused = error
            found = _misfits(content, written, schema, blank_is_a_fault=blank_is_a_fault)
        else:
            if not found:
                if frame.height != len(left):
                    raise Unparsable(f"Polars found {frame.height:,} rows in {len(left):,}")
                return frame, faults
        numbers = [number for number in range(len(rows)) if number not in faults]
        faults |= {numbers[place]: fault for place, fault in found.items()}
    raise Unparsable(describe(refused) if refused else "its values change each time they are read") from refused


def lost_values(
    frame: pl.DataFrame, rows: bytes, written: CsvFormat, schema: Mapping[str, pl.DataType]
) -> dict[int, Fault]:
    """Return the rows of `frame` with a value that Polars has changed without an error.

    It rounds what has too many digits for a Decimal, and makes infinity of what is too large for a Float.
    """
    import polars as pl

    floats = [name for name, dtype in schema.items() if dtype.is_float()]
    infinite = frame.select(pl.col(floats).is_infinite().any()).row(0, named=True) if floats else {}
    suspects = [name for name, dtype in schema.items() if isinstance(dtype, pl.Decimal) or infinite.get(name)]
    if not suspects:
        return {}
    texts = _as_text(rows, written, schema, suspects)
    faults: dict[int, Fault] = {}
    for name in reversed(suspects):
        dtype, text = schema[name], texts[name]
        if isinstance(dtype, pl.Decimal):
            mark = "," if written.decimal_comma else "."
            fits = text.str.contains(rf"^\s*[+-]?\d*(?:{re.escape(mark)}\d{{0,{dtype.scale}}}0*)?\s*$")
            lost = [row for row in (~fits).arg_true() if not _is_exact(text[row].replace(mark, "."), dtype.scale)]
        else:
            lost = (frame[name].is_infinite() & ~text.str.contains(_INFINITY)).arg_true().to_list()
        for row in lost:
            faults[row] = _fault(name, dtype, text[row], why="has too many digits or is too large")
    return faults


def _misfits(
    rows: bytes, written: CsvFormat, schema: Mapping[str, pl.DataType], *, blank_is_a_fault: bool
) -> dict[int, Fault]:
    import polars as pl

    names = [name for name, dtype in schema.items() if dtype != pl.String]
    # Polars can't make null of what isn't in these dtypes while it reads; it can cast afterwards.
    casts = [name for name in names if isinstance(schema[name], (pl.Enum, pl.Categorical, pl.Time))]
    lenient = {name: pl.String() if name in casts else dtype for name, dtype in schema.items()}
    try:
        typed = written.scan(rows, lenient, ignore_errors=True).select(names).collect()
        texts = _as_text(rows, written, schema, names)
        typed = typed.with_columns(_cast(pl.col(name), schema[name]) for name in casts)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise Unparsable(describe(error)) from error
    faults: dict[int, Fault] = {}
    for name in reversed(names):
        text = texts[name]
        wrong = typed[name].is_null() & text.is_not_null()
        if not blank_is_a_fault:
            wrong &= text.str.strip_chars() != ""
        for row in wrong.arg_true():
            faults[row] = _fault(name, schema[name], text[row])
    return faults


def _cast(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    if not isinstance(dtype, pl.Time):
        return text.cast(dtype, strict=False)
    return pl.coalesce(text.str.to_time(written, strict=False) for written in _TIMES)


def _as_text(rows: bytes, written: CsvFormat, schema: Mapping[str, pl.DataType], names: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    return written.scan(rows, dict.fromkeys(schema, pl.String())).select(names).collect()


def _is_exact(text: str, scale: int) -> bool:
    try:
        return round(number := Decimal(text.strip()), scale) == number
    except InvalidOperation:
        return not text.strip()


def _fault(name: str, dtype: pl.DataType, text: str, why: str = "") -> Fault:
    shown = safe(text, VALUE_LENGTH_SHOWN)
    if not why:
        why = "is too large" if dtype.is_integer() and _WHOLE.fullmatch(text) else f"isn't {_a_value(dtype)}"
    return Fault(f"'{shown}' {why} (column '{safe(name)}', {dtype})", _help(name, dtype, text))


def _a_value(dtype: pl.DataType) -> str:
    import polars as pl

    if dtype.is_integer():
        return "a whole number"
    if dtype.is_numeric():
        return "a number"
    words: dict[type[pl.DataType], str] = {
        pl.Boolean: "true or false",
        pl.Date: "a date",
        pl.Datetime: "a date with a time",
        pl.Time: "a time",
        pl.Enum: "one of the categories",
    }
    return words.get(type(dtype), f"a {dtype}")


def _help(name: str, dtype: pl.DataType, text: str) -> str:
    import polars as pl

    if text.strip().lower() in _NULL_MARKS:
        return f"null_values=[{text!r}] makes it null."
    other = "String"
    if dtype.is_integer() and _WHOLE.fullmatch(text):
        other = "Int128" if dtype in (pl.Int64, pl.UInt64, pl.Int128) else "Int64"
    elif dtype.is_numeric() and _WITH_COMMA.fullmatch(text):
        return "decimal_comma=True reads a comma as the decimal mark."
    elif dtype.is_integer() or dtype == pl.Float32:
        other = "Float64" if _NUMBER.fullmatch(text) and not isinf(float(text)) else "String"
    return (
        f"dtypes={{{name!r}: pl.{other}}} reads it. Results that are already committed with {dtype} "
        "need a reset first: their dtype can't change."
    )
