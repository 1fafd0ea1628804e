"""The columns and dtypes of a list of CSV files, decided once, before the first batch.

Invariant: batch 900 has the dtypes of batch 0, and every file has the columns of the first file. What is read for that
is bounded in bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import SourceError, UsageError, describe
from engine.sources.csv.header import read_header
from engine.sources.csv.sorting import sort_rows
from engine.sources.text import blocks
from engine.sources.text.blocks import RowTooLong, read_blocks
from engine.sources.text.opening import damage_named, open_bytes
from engine.sources.text.rows import line_too_long
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from engine.sources.csv.format import CsvFormat
    from engine.sources.csv.grammar import Grammar
    from engine.sources.csv.header import Header

SAMPLE_BYTES = 16 << 20
"""Dtypes are inferred from no more than this, however wide the rows are."""

_PROBLEMS_SHOWN = 3
_ROWS_FOR_SEPARATOR = 5
_OTHER_SEPARATORS = ";\t|,"


def agreed_schema(
    paths: Sequence[Path],
    written: CsvFormat,
    grammar: Grammar,
    *,
    infer_rows: int,
    dtypes: Mapping[str, Any],
    names: Sequence[str] | None,
) -> pl.Schema:
    """Return the schema for reading every file; it is empty if no file has a line.

    Dtypes come from `dtypes`, else from the first `infer_rows` rows of the first file that has any row.
    `names` are the names of the columns if the files have no header.

    Raises:
        SourceError: a file can't be read, or its header has other columns than the first file.
        UsageError: an option names a column that isn't there, or something that isn't a dtype, or there are too many
            or too few `names`.
    """
    import polars as pl

    headers = {path: read_header(path, written, grammar) for path in paths}
    filled = [path for path in paths if headers[path].names]
    if not filled:
        return pl.Schema()
    first = filled[0]
    if written.has_header:
        _refuse_other_columns(filled, headers)
    sample: list[bytes] = []
    for path in filled:
        sample = _first_rows(path, written, grammar, headers[path], max(infer_rows, _ROWS_FOR_SEPARATOR))
        if sample:
            first = path
            break
    columns = headers[first].names
    if names is not None:
        if len(names) != len(columns):
            raise UsageError(f"column_names has {len(names)} names, but {first} has {len(columns)} columns")
        columns = tuple(names)
    elif len(columns) == 1 and columns[0] not in dtypes:
        _refuse_other_separator(first, columns[0], written, sample)
    _refuse_unknown(first, columns, dtypes, "dtypes")
    if isinstance(written.null_values, dict):
        _refuse_unknown(first, columns, written.null_values, "null_values")
    schema = dict(zip(columns, _inferred(first, written, sample[:infer_rows], columns), strict=True))
    ordered = {name: schema[name] for name in headers[filled[0]].names} if written.has_header else schema
    return _checked(ordered | dict(dtypes), written)


def _first_rows(path: Path, written: CsvFormat, grammar: Grammar, header: Header, count: int) -> list[bytes]:
    """Return the first rows that have the right number of fields."""
    rows: list[bytes] = []
    try:
        with damage_named(path), open_bytes(path) as file:
            for start, block in read_blocks(file, header.end, grammar.row_end, blocks.BLOCK_BYTES // 8 or 1):
                rows += sort_rows(block, written, grammar, len(header.names)).texts
                if len(rows) >= count or start + len(block) > SAMPLE_BYTES:
                    break
    except RowTooLong as error:
        if not rows:  # else the fetch of that line raises, after the rows before it
            raise line_too_long(path, error.byte) from error
    return rows[:count]


def _inferred(path: Path, written: CsvFormat, rows: Sequence[bytes], columns: Sequence[str]) -> list[pl.DataType]:
    import polars as pl

    if not rows:
        return [pl.String()] * len(columns)
    try:
        return written.infer(b"".join(row + b"\n" for row in rows), columns)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise SourceError(
            f"cannot find the dtypes of {path}: {describe(error)}",
            hint="Pass infer_rows=0, which reads every column as text, or check separator, quotes and encoding.",
        ) from error


def _checked(dtypes: Mapping[str, Any], written: CsvFormat) -> pl.Schema:
    """Return the schema, after Polars has read a row of nulls with it: it can't read all dtypes from CSV."""
    import polars as pl

    try:
        schema = pl.Schema(dtypes)
        written.scan(written.separator.encode() * (len(schema) - 1) + b"\n", schema).collect()
    except (TypeError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        said = str(error).split("\n", 1)[0]
        raise UsageError(
            f"dtypes: {safe(said)}",
            hint="Give full dtypes that a CSV file can hold, such as pl.Datetime('us'); cast to others in a step.",
        ) from error
    return schema


def _refuse_unknown(path: Path, columns: Sequence[str], named: Mapping[str, Any], option: str) -> None:
    for name in named:
        if name not in columns:
            raise UsageError(
                f"{option} names '{safe(name)}', but {path} has no such column",
                hint=f"Its columns are {safe(', '.join(columns))}.",
            )


def _refuse_other_separator(path: Path, header: str, written: CsvFormat, rows: Sequence[bytes]) -> None:
    """Refuse a file of one column whose header, and each of its first rows, have the same other separator."""
    for other in _OTHER_SEPARATORS:
        if other == written.separator or not written.has_header or other not in header:
            continue
        if all(row.count(other.encode()) == header.count(other) for row in rows[:_ROWS_FOR_SEPARATOR]):
            raise SourceError(
                f"{path} has one column, '{safe(header, 120)}': its separator isn't {written.separator!r}",
                hint=f"Pass separator={other!r}. If it is one column, say so: dtypes={{{header!r}: pl.String}}.",
            )


def _refuse_other_columns(paths: Sequence[Path], headers: Mapping[Path, Header]) -> None:
    first = headers[paths[0]].names
    wrong: list[str] = []
    for path in paths[1:]:
        names = headers[path].names
        problems = [f"no column '{safe(name)}'" for name in first if name not in names]
        problems += [f"another column '{safe(name)}'" for name in names if name not in first]
        if problems:
            wrong.append(f"{path} has {'; '.join(problems)}")
    if wrong:
        more = f"; and {len(wrong) - _PROBLEMS_SHOWN:,} more" if len(wrong) > _PROBLEMS_SHOWN else ""
        count = "1 file doesn't" if len(wrong) == 1 else f"{len(wrong):,} files don't"
        raise SourceError(
            f"{count} match {paths[0]}: {'; '.join(wrong[:_PROBLEMS_SHOWN])}{more}",
            hint="All files must have the columns of the first one, in any order: correct the headers of those files, "
            "or read them separately.",
        )
