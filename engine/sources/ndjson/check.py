"""Says what is wrong with one line, in plain words.

Invariant: a line is refused here whenever Polars refuses it, or would lose something of it: a key without a column, a
key that comes twice, half of a surrogate pair. It may refuse nothing else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.sources.text.values import fields_of, instance_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

_SHOWN = 60
_LARGEST_INTEGER = 2**128 - 1
_SMALLEST_INTEGER = -(2**127)
_RANGES = {"Int64": (-(2**63), 2**63 - 1), "UInt64": (0, 2**64 - 1), "Int128": (-(2**127), 2**127 - 1)}
_EXACT_DIGITS = 15
"""A JSON number with a fraction is read as a float, which keeps so many digits of a decimal."""


class Problem(Exception):
    """Why a line can't be read, and the one option that would help."""

    def __init__(self, reason: str, hint: str = "") -> None:
        self.reason = reason
        self.hint = hint
        super().__init__(reason)


class _Fraction(float):
    """A number with a fraction or an exponent; `text` is what the line says."""

    text: str


def problem_of(line: bytes, dtypes: Mapping[str, pl.DataType], *, all_keys: bool) -> Problem | None:
    """Return what is wrong with the line, which isn't blank, or None. `all_keys`: a key without a column is wrong."""
    try:
        row = _decoded(line, all_keys=all_keys)
        if not isinstance(row, dict):
            return Problem(f"it is {_kind(row)}, not an object in braces")
        _check_keys(row, dtypes, "", all_keys=all_keys)
        for name, dtype in dtypes.items():
            _check(row.get(name), dtype, name, all_keys=all_keys)
    except Problem as problem:
        return problem
    except RecursionError:
        return None  # Polars has its own limit, and says so
    return None


def _decoded(line: bytes, *, all_keys: bool) -> Any:
    try:
        row = json.loads(
            line.decode(),
            parse_constant=_refuse_constant,
            parse_float=_fraction,
            parse_int=_integer,
            object_pairs_hook=_object if all_keys else _first_ones,
        )
        if b"\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise Problem(
            f"byte 0x{line[error.start]:02x} of it isn't UTF-8", "Convert the file to UTF-8 with iconv."
        ) from error
    except UnicodeEncodeError as error:
        raise Problem("it has half of a surrogate pair (\\ud800 to \\udfff), which is no character") from error
    except json.JSONDecodeError as error:
        raise Problem(f"it isn't JSON: {error.msg} at character {error.colno}") from error
    except ValueError as error:
        raise Problem(f"it isn't JSON: {error}") from error
    return row


def _check(value: Any, dtype: pl.DataType, name: str, *, all_keys: bool) -> None:
    import polars as pl

    if value is None:
        return
    if isinstance(dtype, pl.Struct) and isinstance(value, dict):
        fields = fields_of(dtype)
        _check_keys(value, fields, f"{name}.", all_keys=all_keys)
        for key, inner in fields.items():
            _check(value.get(key), inner, f"{name}.{key}", all_keys=all_keys)
    elif isinstance(dtype, pl.List) and isinstance(value, list):
        inner = instance_of(dtype.inner)
        for item in value:
            _check(item, inner, f"{name}[]", all_keys=all_keys)
    elif isinstance(dtype, pl.Decimal):
        if isinstance(value, _Fraction) and sum(map(str.isdigit, value.text)) > _EXACT_DIGITS:
            raise Problem(
                f"key '{name}' is {value.text[:_SHOWN]}: a JSON number with a fraction is exact for "
                f"{_EXACT_DIGITS} digits only",
                'Write it as a text: "1.25".',
            )
    elif not _fits(value, dtype):
        raise misfit(name, json.dumps(value, ensure_ascii=False), dtype)


def _fits(value: Any, dtype: pl.DataType) -> bool:
    import polars as pl

    if isinstance(dtype, pl.String):
        return True
    if isinstance(value, bool) or isinstance(dtype, pl.Boolean):
        return isinstance(value, bool) and isinstance(dtype, pl.Boolean)
    if isinstance(value, int) and dtype.is_integer():
        low, high = _RANGES[str(dtype)]
        return low <= value <= high
    return isinstance(value, (int, float)) and dtype.is_float()


def misfit(name: str, value: str, dtype: pl.DataType) -> Problem:
    """Return the problem of a value that isn't of its column's dtype."""
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    return Problem(
        f"key '{name}' is {shown}, which isn't {dtype}", f"dtypes={{'{_column(name)}': pl.String}} reads any value."
    )


def _check_keys(row: Mapping[str, Any], known: Mapping[str, Any], inside: str, *, all_keys: bool) -> None:
    if not all_keys:
        return
    for name, value in row.items():
        if name not in known and value is not None:
            raise Problem(
                f"its key '{inside}{name}' has no column",
                f"dtypes={{'{_column(inside + name)}': …}} declares the column; "
                "columns=[…] reads only the keys that it names.",
            )


def _column(path: str) -> str:
    return path.split(".", maxsplit=1)[0].removesuffix("[]")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        row = {}
        for name, value in pairs:
            if name in row and value is not None:
                raise Problem(f"its key '{name}' comes twice")
            row.setdefault(name, value)
    return row


def _first_ones(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))  # Polars takes the first one of two equal keys


def _integer(text: str) -> int:
    number = int(text)
    if not _SMALLEST_INTEGER <= number <= _LARGEST_INTEGER:
        raise Problem(f"the number {text[:_SHOWN]} is too large")
    return number


def _fraction(text: str) -> _Fraction:
    number = _Fraction(text)
    if number in (float("inf"), float("-inf")):
        raise Problem(f"the number {text[:_SHOWN]} is too large")
    number.text = text
    return number


def _refuse_constant(text: str) -> None:
    raise Problem(f"it isn't JSON: {text} is no JSON value")


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return f"the value {json.dumps(value, ensure_ascii=False)[:_SHOWN]}"
