"""The columns and dtypes of JSON lines, decided once, before the first batch, from the first rows.

Invariant: batch 900 has the dtypes of batch 0. A key whose values have no dtype in common becomes text, as JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.errors import SourceError, UsageError
from engine.sources.ndjson.check import problem_of
from engine.sources.text import blocks
from engine.sources.text.blocks import RowTooLong, after_last_line, read_blocks
from engine.sources.text.line_file import BOM
from engine.sources.text.opening import damage_named, open_bytes
from engine.sources.text.rows import line_too_long
from engine.sources.text.values import dtype_of, fields_of, instance_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl

_INT64 = 2**63
_NOT_SEEN = "not seen"
"""What is known of a key whose values were all null."""


def agreed_dtypes(
    paths: Sequence[Path], *, infer_rows: int, dtypes: Mapping[str, Any], columns: Sequence[str] | None
) -> dict[str, pl.DataType]:
    """Return the columns in the order in which their keys first come, or in that of `columns`.

    Dtypes come from `dtypes`, else from the first `infer_rows` rows of the files together.

    Raises:
        SourceError: none of these rows can be read.
        UsageError: `columns` names a key that isn't in them, or `dtypes` something that isn't a dtype.
    """
    declared = {name: _readable(name, dtype_of(name, dtype)) for name, dtype in dtypes.items()}
    if columns is not None and all(name in declared for name in columns):
        return {name: declared[name] for name in columns}
    kinds = _kinds(paths, infer_rows) if infer_rows else {}
    found = {name: _dtype(kind) for name, kind in kinds.items()} | declared
    missing = [name for name in columns or () if name not in found]
    if missing:
        raise UsageError(
            f"columns names '{missing[0]}', but the first {infer_rows:,} rows have no such key",
            hint=f"Their keys are {', '.join(kinds)}. dtypes={{'{missing[0]}': …}} declares a key that comes later.",
        )
    return found if columns is None else {name: found[name] for name in columns}


def _kinds(paths: Sequence[Path], rows: int) -> dict[str, Any]:
    """Return for each key of the first rows what its values are; see `_kind`."""
    kinds: dict[str, Any] = {}
    good = 0
    problem = ""
    for path, number, line in _first_lines(paths, rows):
        found = problem_of(line, {}, all_keys=False)
        if found is None:
            good += 1
            for name, value in json.loads(line).items():
                kinds[name] = _common(kinds.get(name, _NOT_SEEN), _kind(value))
        elif not problem:
            problem = f"{path}, line {number:,}: {found.reason}"
    if problem and not good:
        raise SourceError(
            f"none of the first lines can be read as JSON: {problem}",
            hint="Each line of an NDJSON file is one object in braces. A file that is one JSON value as a whole "
            "must be converted first: jq -c '.[]' old.json > new.ndjson",
        )
    if good and not kinds:
        raise SourceError(
            f"the first {good:,} rows of {paths[0]} have no keys", hint="dtypes={…} declares keys that come later."
        )
    return kinds


def _first_lines(paths: Sequence[Path], rows: int) -> Iterator[tuple[Path, int, bytes]]:
    left = rows
    for path in paths:
        if not left:
            return
        number = 0
        with damage_named(path), open_bytes(path) as file:
            start = file.read(len(BOM))
            try:
                read = read_blocks(file, len(BOM) if start == BOM else 0, after_last_line, blocks.BLOCK_BYTES)
                for line in (line for _, block in read for line in block.removesuffix(b"\n").split(b"\n")):
                    number += 1
                    if line.strip(b" \t\r"):
                        yield path, number, line
                        left -= 1
                        if not left:
                            return
            except RowTooLong as error:
                raise line_too_long(path, error.byte) from error


def _kind(value: Any) -> Any:
    """Return what a value is: the name of a dtype, a list of one kind, or a dict of kinds by key."""
    if value is None:
        return _NOT_SEEN
    if isinstance(value, dict):
        return {name: _kind(inner) for name, inner in value.items()} or "String"
    if isinstance(value, list):
        inner: Any = _NOT_SEEN
        for item in value:
            inner = _common(inner, _kind(item))
        return [inner]
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int):
        return "Int64" if -_INT64 <= value < _INT64 else "Int128" if value < _INT64 << 64 else "Float64"
    return "Float64" if isinstance(value, float) else "String"


def _common(one: Any, other: Any) -> Any:
    """Return the kind that values of both kinds have in common."""
    if _NOT_SEEN in (one, other) or one == other:
        return other if one == _NOT_SEEN else one
    if isinstance(one, list) and isinstance(other, list):
        return [_common(one[0], other[0])]
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: _common(one.get(name, _NOT_SEEN), other.get(name, _NOT_SEEN)) for name in one | other}
    numbers = ["Int64", "Int128", "Float64"]
    if one in numbers and other in numbers:
        return max(one, other, key=numbers.index)
    return "String"


def _dtype(kind: Any) -> pl.DataType:
    import polars as pl

    if isinstance(kind, list):
        return pl.List(_dtype(kind[0]))
    if isinstance(kind, dict):
        return pl.Struct({name: _dtype(inner) for name, inner in kind.items()})
    plain = {"Boolean": pl.Boolean(), "Int64": pl.Int64(), "Int128": pl.Int128(), "Float64": pl.Float64()}
    return plain.get(kind, pl.String())


def _readable(name: str, dtype: pl.DataType, outer: pl.DataType | None = None) -> pl.DataType:
    """Return the dtype, if values of it can be inside of what it is inside."""
    import polars as pl

    whole = outer or dtype
    if isinstance(dtype, pl.Struct):
        for field in fields_of(dtype).values():
            _readable(name, field, whole)
    elif isinstance(dtype, pl.List):
        _readable(name, instance_of(dtype.inner), whole)
    elif dtype.is_nested() or (outer and not isinstance(dtype, (pl.Boolean, pl.Int64, pl.Float64, pl.String))):
        raise UsageError(
            f"dtypes, column '{name}': JSON lines can't be read as {whole}",
            hint="Inside lists and structs there may be Boolean, Int64, Float64, String, List and Struct. Read others "
            "as one of these, and convert them in a step.",
        )
    return dtype
