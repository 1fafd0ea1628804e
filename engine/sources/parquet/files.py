"""The row groups of a list of Parquet files, and the decoding of any range of their rows.

Invariant: rows are numbered over all files, one after the other, and only the row groups that a range touches are
read. This module must not know about batches.

Polars doesn't say where row groups begin, so DuckDB reads that from the footers, with what is needed to estimate their
size in memory. A row group that takes too much memory is divided into pieces: Polars skips the pages before a slice
without decompressing them, so the pieces together take little more time than the whole.
"""

from __future__ import annotations

import glob
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.errors import SourceChanged, SourceError, UsageError, describe
from engine.sources.memory import Piece

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import polars as pl

SCANS_KEPT = 4
"""How many parsed footers are kept: parsing one costs 0.7 ms, a tenth of the time to decode a row group."""

_HINT = "Check that the file is complete and is Parquet; write it again, or take it out of the source."


PIECE_BYTES = 64 << 20
"""How much memory a row group may take when it is decoded; a greater one is divided."""

_PIECES_IN_A_BATCH = 4
"""The least number of pieces in a batch that is bounded by bytes: it ends with a piece, so it wastes one at most."""


@dataclass(frozen=True, slots=True)
class RowGroup(Piece):
    """Rows of a row group, or of a part of one; the first one is row `offset` of file number `file`."""

    file: int
    offset: int


class ParquetFiles:
    """Open Parquet files with the same columns. May be used from several threads.

    `columns` names the columns to read, in that order; None reads all columns of the first file. `batch_bytes` is how
    much memory a batch may take.

    Raises:
        SourceError: a file isn't Parquet, or its columns or dtypes differ from those of the first file.
        UsageError: the first file lacks one of `columns`.
    """

    def __init__(
        self, paths: Sequence[Path], columns: Sequence[str] | None = None, batch_bytes: int | None = None
    ) -> None:
        self.paths = tuple(paths)
        self._columns = _agreed_columns(self.paths, columns)
        self._scan = lru_cache(maxsize=SCANS_KEPT)(lambda file: _scan(self.paths[file]).select(self._columns))
        most = PIECE_BYTES if batch_bytes is None else min(PIECE_BYTES, batch_bytes // _PIECES_IN_A_BATCH)
        self.groups = tuple(_row_groups(self.paths, columns, most))
        self.rows = self.groups[-1].stop if self.groups else 0
        self._starts = [group.start for group in self.groups]

    def groups_of(self, start: int, stop: int) -> Sequence[RowGroup]:
        """Return the row groups that contain rows `start … stop - 1`, in order."""
        return self.groups[bisect_right(self._starts, start) - 1 : bisect_left(self._starts, stop)]

    def decode(self, group: RowGroup) -> pl.DataFrame:
        """Return the rows of the group; `group` may also be several adjacent groups of one file, joined.

        Raises:
            SourceError: the file can't be decoded.
            SourceChanged: the file has become shorter since it was opened.
        """
        import polars as pl

        rows = group.stop - group.start
        try:
            frame = self._scan(group.file).slice(group.offset, rows).collect()
        except pl.exceptions.PolarsError as error:
            raise SourceError(f"cannot decode {self.paths[group.file]}: {describe(error)}", hint=_HINT) from error
        if frame.height != rows:
            raise SourceChanged(f"{self.paths[group.file]} became shorter while it was read")
        return frame


def _scan(path: Path) -> pl.LazyFrame:
    import polars as pl

    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _schema(path: Path) -> pl.Schema:
    import polars as pl

    try:
        return _scan(path).collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"cannot read {path} as Parquet: {describe(error)}", hint=_HINT) from error


def _agreed_columns(paths: Sequence[Path], columns: Sequence[str] | None) -> list[str]:
    first = _schema(paths[0])
    for name in columns or ():
        if name not in first:
            raise UsageError(f"{paths[0]} has no column '{name}'", hint=f"Its columns are {', '.join(first)}.")
    wanted = list(first if columns is None else columns)
    if not wanted:
        raise SourceError(f"{paths[0]} has no columns", hint=_HINT)
    for path in paths[1:]:
        schema = _schema(path)
        problems = [f"no column '{name}'" for name in wanted if name not in schema]
        problems += [
            f"column '{name}' as {schema[name]}, not {first[name]}"
            for name in wanted
            if name in schema and schema[name] != first[name]
        ]
        if columns is None:
            problems += [f"another column '{name}'" for name in schema if name not in first]
        if problems:
            raise SourceError(
                f"{path} doesn't match {paths[0]}: it has {'; '.join(problems)}",
                hint="All files must have the columns and dtypes of the first one: write that file again, read it "
                "separately, or use columns=[…] to name only the columns that match.",
            )
    return wanted


def _row_groups(paths: Sequence[Path], columns: Sequence[str] | None, most_bytes: int) -> Iterator[RowGroup]:
    import duckdb

    start = 0
    with duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    ) as connection:
        for file, path in enumerate(paths):
            try:
                # DuckDB reads every path as a glob, even one that exists: x[1].parquet would read x1.parquet.
                found = connection.execute(
                    _SIZES, {"path": glob.escape(str(path)), "columns": None if columns is None else list(columns)}
                ).fetchall()
            except duckdb.Error as error:
                raise SourceError(f"cannot read {path} as Parquet: {describe(error)}", hint=_HINT) from error
            offset = 0
            for rows, size in found:
                step = max(1, rows * most_bytes // max(size, 1)) if size > most_bytes else max(rows, 1)
                for first in range(0, rows, step):
                    height = min(step, rows - first)
                    yield RowGroup(
                        start + offset + first,
                        start + offset + first + height,
                        -(-size * height // rows),
                        file,
                        offset + first,
                    )
                offset += rows
            start += offset


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
