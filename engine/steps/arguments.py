"""Checks of the arguments of steps, so that a mistake is an error before the run and not in its first batch."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from engine.text.json_values import Json

Value: TypeAlias = bool | int | float | str | bytes | date | datetime | time | timedelta | Decimal
"""One value that a cell of a column can hold."""


def column_name(step: str, column: object, what: str = "column") -> str:
    """Return `column` if it can be the name of a column: a non-empty text.

    Raises:
        UsageError: it isn't.
    """
    if isinstance(column, str) and column:
        return column
    raise UsageError(f"step '{step}': a {what} must be a non-empty name, not {column!r}")


def column_names(step: str, columns: str | Collection[str] | None) -> tuple[str, ...] | None:
    """Return the names without repetitions, in the given order; None, which means all columns, stays None.

    Raises:
        UsageError: there is no name, or something that isn't a name.
    """
    if columns is None:
        return None
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    if not names:
        raise UsageError(
            f"step '{step}': the list of columns is empty",
            hint="Name at least one column, or leave the argument out to take all columns.",
        )
    return tuple(dict.fromkeys(column_name(step, name) for name in names))


def value_as_json(step: str, value: object) -> Json:
    """Return the value of a cell as JSON for `settings()`: unchanged if JSON has its type, else its `repr`.

    Raises:
        UsageError: no cell can hold this value.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | date | time | timedelta | Decimal):
        return repr(value)
    raise UsageError(
        f"step '{step}': {value!r} is not a value that a column can be filled with",
        hint="Give a number, a text, True or False, bytes, a date, a time, a duration or a Decimal. "
        "For an expression use WithColumnsBatchStep.",
    )
