"""The columns and dtypes of a list of CSV files, decided once, before the first batch.

Invariant: batch 900 has the dtypes of batch 0, and every file has the columns of the first file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import SourceError, UsageError, describe
from engine.sources.text.opening import open_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from engine.sources.csv.format import CsvFormat


def agreed_schema(
    paths: Sequence[Path],
    written: CsvFormat,
    *,
    infer_rows: int,
    overrides: Mapping[str, Any],
    names: Sequence[str] | None,
) -> pl.Schema:
    """Return the schema for reading every file; it is empty if no file has a line.

    Dtypes come from `overrides`, else from the first `infer_rows` rows of the first file that has any row.
    `names` are the names of the columns if the files have no header.

    Raises:
        SourceError: a file can't be read, or its header has other columns than the first file.
        UsageError: an override names no column or isn't a dtype, or there are too many or too few `names`.
    """
    import polars as pl

    headers = {path: _infer(path, written, 0).names() for path in paths}
    filled = [path for path in paths if headers[path]]
    if not filled:
        return pl.Schema()
    if written.has_header:
        _refuse_other_columns(filled, headers)
    typical = next((path for path in filled if _has_row(path, written)), filled[0])
    schema = dict(_infer(typical, written, infer_rows))
    if names is not None:
        if len(names) != len(schema):
            raise UsageError(f"column_names has {len(names)} names, but {typical} has {len(schema)} columns")
        schema = dict(zip(names, schema.values(), strict=True))
    for name in overrides:
        if name not in schema:
            raise UsageError(
                f"schema_overrides names '{name}', but {typical} has no such column",
                hint=f"Its columns are {', '.join(schema)}.",
            )
    try:
        return pl.Schema(schema | dict(overrides))
    except TypeError as error:
        raise UsageError(f"schema_overrides: {error}", hint="Give full dtypes, such as pl.Datetime('us').") from error


def _infer(path: Path, written: CsvFormat, rows: int) -> pl.Schema:
    import polars as pl

    try:
        open_bytes(path).close()
        schema = written.infer(path, rows)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(
            f"cannot read {path} as CSV: {describe(error)}", hint="Check its separator, quotes and encoding."
        ) from error
    if written.has_header and any("\r" in name for name in schema):
        raise SourceError(
            f"the lines of {path} end with a carriage return alone",
            hint=f"Convert it: tr '\\r' '\\n' < '{path.name}' > new.csv",
        )
    return schema


def _has_row(path: Path, written: CsvFormat) -> bool:
    import polars as pl

    if not written.has_header:
        return True
    try:
        with open_bytes(path) as file:
            start = file.read(1 << 20)
        return bool(written.scan(start, written.infer(start, 0), first=True).head(1).collect().height)
    except (pl.exceptions.PolarsError, EOFError):
        return True  # a row that can't be read: the fetch of that row raises the error


def _refuse_other_columns(paths: Sequence[Path], headers: Mapping[Path, Sequence[str]]) -> None:
    first = headers[paths[0]]
    for path in paths[1:]:
        problems = [f"no column '{name}'" for name in first if name not in headers[path]]
        problems += [f"another column '{name}'" for name in headers[path] if name not in first]
        if problems:
            raise SourceError(
                f"{path} doesn't match {paths[0]}: it has {'; '.join(problems)}",
                hint="All files must have the columns of the first one, in any order: correct the header of that file, "
                "or read it separately.",
            )
