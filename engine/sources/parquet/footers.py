"""What the footers of Parquet files say: where row groups begin, and how much memory they take."""

from __future__ import annotations

import glob
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import PipelineError, SourceError, describe, raised_as
from engine.sources.parquet.file_format import FileFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb
    import polars as pl

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


class ParquetFormat(FileFormat):
    """Parquet. Polars doesn't say where row groups begin, so DuckDB reads that from the footers."""

    name = "Parquet"
    kind = "parquet"
    suffixes = (".parquet",)
    trailer = 8
    divisible = True

    def scan(self, path: Path) -> pl.LazyFrame:
        """Return the rows of the file. Its name is taken literally."""
        import polars as pl

        return pl.scan_parquet(path, glob=False, hive_partitioning=False)

    def row_groups(self, paths: Sequence[Path], columns: Sequence[str] | None) -> Iterator[list[tuple[int, int]]]:
        """Yield for each file a list of its row groups: the number of rows, and the bytes of `columns` in memory."""
        with _duckdb() as connection:
            for path in paths:
                with raised_as(partial(self.unreadable, path)):
                    found = connection.execute(
                        _SIZES, {"path": _literally(path), "columns": None if columns is None else list(columns)}
                    ).fetchall()
                yield found

    def columns_with_zone(self, path: Path) -> list[str]:
        """Return the columns that may have a time zone."""
        found: list[tuple[str]] = []
        with suppress(PipelineError), raised_as(lambda error: SourceError(describe(error))), _duckdb() as connection:
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
