"""Paging by key: where a page begins, as a SQL condition and as a JSON cursor.

The next page begins after the last key that was read, and no rows are skipped by counting (OFFSET):
`WHERE (a, b) > (x, y) ORDER BY a, b LIMIT n`. (M. Winand, "We need tool support for keyset pagination",
use-the-index-luke.com/no-offset.) The database compares keys, so its collations and types decide the order.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.sql.column import Column
    from engine.text.json_values import Json

SHARED = "batchpipe_shared"
"""The column of `flag_shared_keys`: 1 if a row has the same key as the row before it, else 0."""

# Databases that compare row values, and use an index over the columns for that.
_ROW_VALUES = {"postgresql", "sqlite"}


def rows_after(key: Sequence[Column], values: Sequence[Any], kind: str) -> sa.ColumnElement[bool]:
    """Return the condition that a row comes after the one with these key values."""
    literals = [_literal(column, value, kind) for column, value in zip(key, values, strict=True)]
    elements = [column.element for column in key]
    if len(key) == 1:
        return elements[0] > literals[0]
    if kind in _ROW_VALUES:
        return sa.tuple_(*elements) > sa.tuple_(*literals)
    # a > x, or a = x and b > y …; and a >= x, because without it some planners don't find the range in the index.
    cases = [
        sa.and_(*(elements[i] == literals[i] for i in range(position)), elements[position] > literals[position])
        for position in range(len(key))
    ]
    return sa.and_(elements[0] >= literals[0], sa.or_(*cases))


def rows_up_to(key: Sequence[Column], values: Sequence[Any], kind: str) -> sa.ColumnElement[bool]:
    """Return the condition that a row comes no later than the one with these key values."""
    if len(key) > 1 and kind not in _ROW_VALUES:
        return sa.not_(rows_after(key, values, kind))
    literals = [_literal(column, value, kind) for column, value in zip(key, values, strict=True)]
    elements = [column.element for column in key]
    if len(key) == 1:
        return elements[0] <= literals[0]
    return sa.tuple_(*elements) <= sa.tuple_(*literals)


def _literal(column: Column, value: Any, kind: str) -> sa.ColumnElement[Any]:
    """Return the value of a key as SQL that compares like the column, also if it is written into the statement."""
    if isinstance(value, bytes):
        return _bytes_literal(column, value, kind)
    if isinstance(value, float):
        return _float_literal(column, value, kind)
    if kind == "sqlite":  # values as they are stored, not converted to the declared type
        return sa.literal(value)
    if column.as_text:
        return sa.cast(sa.literal(value, sa.Text()), column.declared)
    return sa.literal(value, column.declared)


def _bytes_literal(column: Column, value: bytes, kind: str) -> sa.ColumnElement[Any]:
    if kind == "sqlite":
        return sa.literal_column(f"x'{value.hex()}'")
    if kind == "postgresql":
        return sa.func.decode(sa.literal(value.hex(), sa.Text()), sa.literal("hex", sa.Text()))
    return sa.literal(value, column.declared)


def _float_literal(column: Column, value: float, kind: str) -> sa.ColumnElement[Any]:
    """Return SQL for exactly this float: the decimal number 0.1 isn't equal to the REAL nearest to it."""
    if kind == "postgresql":
        return sa.cast(sa.literal(repr(value), sa.Text()), column.declared)
    if math.isinf(value):
        return sa.literal_column("9e999" if value > 0 else "-9e999")
    return sa.literal(value, sa.Float())


def flag_shared_keys(
    page: sa.Select[Any], key: Sequence[Column], wanted: Sequence[Column], kind: str
) -> sa.Select[Any]:
    """Return a statement for the columns of a page, and a flag: whether a row has the same key as the row before it.

    The database compares the keys: 1.0 and 1.00, or "a" and "A", may be equal in it.
    """
    rows = page.subquery("batchpipe_page")
    keys = [rows.c[column.name] for column in key]
    before = [sa.func.lag(one).over(order_by=keys) for one in keys]
    shared = sa.and_(*(one == previous for one, previous in zip(keys, before, strict=True)))
    wires = [replace(column, element=rows.c[column.name]).wire(kind) for column in wanted]
    flag = sa.case((shared, sa.literal_column("1")), else_=sa.literal_column("0")).label(SHARED)
    return sa.select(*wires, flag).order_by(*keys)


# --- as JSON ------------------------------------------------------------------------------------------

_ISO: tuple[tuple[type[datetime | date | time], str], ...] = (
    (datetime, "datetime"),
    (date, "date"),
    (time, "time"),
)


def to_json(value: Any) -> Json:
    """Return the value of a key as JSON, without loss.

    >>> to_json(Decimal("1.50"))
    {'decimal': '1.50'}

    Raises:
        TypeError: no key can have a value of this type.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, uuid.UUID):
        return str(value)
    for kind, name in _ISO:
        if isinstance(value, kind):
            return {name: value.isoformat()}
    raise TypeError(f"a key can't be a {type(value).__name__}")


def from_json(value: Any) -> Any:
    """Return the value from the result of `to_json`.

    >>> from_json(to_json(datetime(2024, 1, 1, 12, 30)))
    datetime.datetime(2024, 1, 1, 12, 30)
    """
    if not isinstance(value, dict):
        return value
    ((name, text),) = value.items()
    readers: dict[str, Any] = {
        "bytes": bytes.fromhex,
        "decimal": Decimal,
        "float": float,
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
        "time": time.fromisoformat,
    }
    return readers[name](text)
