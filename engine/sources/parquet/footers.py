"""What the footers of Parquet files say: columns, where row groups begin, and how much memory they take.

Polars doesn't say where row groups begin, so DuckDB reads that. What either of them raises, a panic included, becomes a
`SourceError` that names the file.
"""

from __future__ import annotations

import glob
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import PipelineError, SourceError, describe, raised_as

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb
    import polars as pl

_HINT = "Check that the file is complete and is Parquet; write it again, or take it out of the source."

_ZONE_HINT = (
    "Only the names of the IANA database are known, such as UTC or Asia/Kolkata: write the file again with one of them."
)

_SIZES = """
    SELECT
        any_value(row_group_num_rows),
        coalesce(sum(
            CASE type
                WHEN 'BYTE_ARRAY' THEN 16 * num_values + total_uncompressed_size
                WHEN 'FIXED_LEN_BYTE_ARRAY' THEN greatest(16 * num_values, total_uncompressed_size)
                WHEN 'BOOLEAN' THEN num_values
                ELSE 8 * num_values
            END
        ) FILTER (
            $columns IS NULL
            OR path_in_schema IN (SELECT unnest($columns::VARCHAR[]))
            OR split_part(path_in_schema, ', ', 1) IN (SELECT unnest($columns::VARCHAR[]))
        ), 0)::BIGINT
    FROM parquet_metadata($path)
    GROUP BY row_group_id
    ORDER BY row_group_id
"""
"""The rows of each row group, and an estimate of its bytes in memory. The encoded size says little about that:
300 million equal numbers take 99 bytes in a file. A text of a dictionary takes 16 bytes in memory."""

_WITH_ZONE = "SELECT name FROM parquet_schema($path) WHERE logical_type LIKE 'TimestampType(isAdjustedToUTC=1%'"


def scan(path: Path) -> pl.LazyFrame:
    """Return the rows of the file. Its name is taken literally."""
    import polars as pl

    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def schema_of(path: Path) -> pl.Schema:
    """Return the columns of the file. Raises `SourceError` if it can't be read."""
    with raised_as(partial(unreadable, path)):
        return scan(path).collect_schema()


def row_groups(paths: Sequence[Path], columns: Sequence[str] | None) -> Iterator[list[tuple[int, int]]]:
    """Yield for each file a list of its row groups: the number of rows, and the bytes that `columns` take in memory.

    Raises:
        SourceError: a file can't be read.
    """
    with _duckdb() as connection:
        for path in paths:
            with raised_as(partial(unreadable, path)):
                found = connection.execute(
                    _SIZES, {"path": _literally(path), "columns": None if columns is None else list(columns)}
                ).fetchall()
            yield found


def unreadable(path: Path, error: BaseException, columns: Sequence[str] = ()) -> SourceError:
    """Return the error for a file at which a library raised `error`; `columns` are those that can't be read."""
    hint = _HINT
    if "time zone" in str(error):
        hint = _ZONE_HINT
        columns = columns or _with_zone(path)
    named = f" ({'column' if len(columns) == 1 else 'columns'} {', '.join(map(repr, columns))})" if columns else ""
    return SourceError(f"cannot read {path} as Parquet{named}: {describe(error)}", hint=hint)


def _with_zone(path: Path) -> list[str]:
    """Return the columns that may have a time zone: Polars says which zone it doesn't know, but not of which column."""
    found: list[tuple[str]] = []
    with suppress(PipelineError), raised_as(partial(unreadable, path)), _duckdb() as connection:
        found = connection.execute(_WITH_ZONE, {"path": _literally(path)}).fetchall()
    return [name for (name,) in found]


def _duckdb() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )


def _literally(path: Path) -> str:
    # DuckDB reads every path as a glob, even one that exists: x[1].parquet would read x1.parquet.
    return glob.escape(str(path))
