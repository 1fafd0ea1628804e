"""What the engine must know about a Polars expression: its identity, and whether it treats each row by itself."""

from __future__ import annotations

import hashlib
import io
import json
import re
from typing import TYPE_CHECKING

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from engine.text.json_values import Json

# The keys under which Polars' JSON has a pickled Python function: map_batches and map_elements; fold and reduce;
# rolling_map and name.map; name.map_fields.
_PYTHON = re.compile(r'"AnonymousFunction":\{|"(?:callback|Map|MapFieldNames)":\[\d')
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_LONGEST_TEXT = 300


def checked_expression(step: str, value: object, what: str) -> pl.Expr:
    """Return `value` if it is a Polars expression.

    Raises:
        UsageError: it isn't.
    """
    import polars as pl

    if isinstance(value, pl.Expr):
        return value
    raise UsageError(
        f"step '{step}': the {what} must be a Polars expression, not {value!r}",
        hint='Write for example pl.col("amount") > 0, or SQL in pl.sql_expr("amount > 0").',
    )


def describe_expression(expr: pl.Expr) -> str:
    """Return the expression as text and a digest, the same in every process: `[(col("a")) > (dyn int: 1)] #f00…`.

    The text alone isn't enough: Polars leaves out the middle of long lists and most options of functions
    (`round(2)` and `round(3)` both read `round()`), so the digest covers the serialised form of Polars. That
    form, and with it the digest, may change with a new version of Polars.

    A Python function in an expression has no permanent identity. Then the digest covers the text alone, without
    the function and without options: change the `version` of the step when the function changes.
    """
    text, serialised = str(expr), _serialised(expr)
    if serialised is not None:
        expr, serialised = _without_set_order(expr, serialised)
        text = str(expr)
    text = _ADDRESS.sub("", text)
    digest = hashlib.sha256(f"{text}\n{serialised or ''}".encode()).hexdigest()[:12]
    if len(text) > _LONGEST_TEXT:
        text = text[:_LONGEST_TEXT] + "…"
    return f"{text} #{digest}"


def row_wise_and_concurrent(exprs: Iterable[pl.Expr], row_wise: bool | None) -> tuple[bool, bool]:  # noqa: FBT001
    """Return these attributes of a step made of `exprs`; `row_wise` is the user's argument, None to decide here."""
    known = list(exprs)
    return all(map(is_row_wise, known)) if row_wise is None else row_wise, not any(map(calls_python, known))


def is_row_wise(expr: pl.Expr) -> bool:
    """Return True if Polars guarantees that the result of each row depends on it alone, and the rows stay the same.

    False for aggregates, windows, fills and shifts, for parsing that infers a format from the data, and also
    if Polars can't know without the frame: for Python functions, and for selectors such as `pl.all()`.
    """
    from polars.exceptions import PolarsError

    # Polars judges a node without its inputs: `a - a.mean()` is separable for it, `a.mean()` is not.
    pending = [expr]
    while pending:
        node = pending.pop()
        try:
            meta = node.meta
            if not meta.is_row_separable() or not (meta.is_length_preserving() or meta.is_scalar()):
                return False
        except PolarsError:
            return False
        pending += meta.pop()
    return True


def calls_python(expr: pl.Expr) -> bool:
    """Return True if the expression calls a Python function, which may not be safe in several threads at once."""
    return _serialised(expr) is None


def _serialised(expr: pl.Expr) -> str | None:
    """Return the serialised expression, as JSON; None if Python objects are part of it."""
    from polars.exceptions import PolarsError

    try:
        serialised = expr.meta.serialize(format="json")
    except PolarsError:
        return None
    # If cloudpickle is installed, functions are serialised too, with the version of Python and line numbers.
    return None if _PYTHON.search(serialised) else serialised


def _without_set_order(expr: pl.Expr, serialised: str) -> tuple[pl.Expr, str]:
    """Return the expression with the members of each `is_in` sorted.

    They often come from a set, and the order of a set of texts differs from process to process.
    """
    import polars as pl
    from polars.exceptions import PolarsError

    if '"IsIn"' not in serialised:
        return expr, serialised
    try:
        ordered = json.dumps(_sorted_members(json.loads(serialised)))
        return pl.Expr.deserialize(io.StringIO(ordered), format="json"), ordered
    except PolarsError:
        return expr, serialised


def _sorted_members(node: Json) -> Json:
    import polars as pl

    match node:
        case {
            "Function": {
                "input": [tested, {"Literal": {"Scalar": {"List": _}}} as members],
                "function": {"Boolean": {"IsIn": _}} as function,
            }
        }:
            literal = pl.Expr.deserialize(io.StringIO(json.dumps(members)), format="json")
            values = pl.select(literal).to_series()
            ordered = values.explode(empty_as_null=False).unique().sort()
            in_order = pl.lit(ordered.to_list(), dtype=values.dtype).meta.serialize(format="json")
            return {"Function": {"input": [_sorted_members(tested), json.loads(in_order)], "function": function}}
        case dict():
            return {key: _sorted_members(value) for key, value in node.items()}
        case list():
            return [_sorted_members(value) for value in node]
        case _:
            return node
