"""The row groups of a list of files, and the decoding of any range of their rows.

Invariant: rows are numbered over all files, one after the other, and only the row groups that a range touches are
read. This module must not know about batches.

A row group that takes too much memory is divided into pieces: Polars skips the pages before a slice without
decompressing them, so the pieces together take little more time than the whole.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.errors import PipelineError, SourceError, UsageError, raised_as
from engine.sources import identity
from engine.sources.memory import Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import polars as pl

    from engine.sources.parquet.file_format import FileFormat

SCANS_KEPT = 4
"""How many parsed footers are kept: parsing one costs 0.7 ms, a tenth of the time to decode a row group."""

PIECE_BYTES = 64 << 20
"""How much memory a row group may take when it is decoded; a greater one is divided."""

_PIECES_IN_A_BATCH = 4
"""The least number of pieces in a batch that is bounded by bytes: it ends with a piece, so it wastes one at most."""


@dataclass(frozen=True, slots=True)
class RowGroup(Piece):
    """Rows of a row group, or of a part of one; the first one is row `offset` of file number `file`."""

    file: int
    offset: int


class ColumnFiles:
    """Open files of one format with the same columns. May be used from several threads.

    `columns` names the columns to read, in that order; None reads all columns of the first file. `partitions` has the
    columns that the folders of the files stand for, one row for each file; see `engine.sources.parquet.hive`.
    `batch_bytes` is how much memory a batch may take.

    Raises:
        SourceError: a file can't be read, or its columns or dtypes differ from those of the first file.
        UsageError: the first file lacks one of `columns`.
    """

    def __init__(
        self,
        file_format: FileFormat,
        paths: Sequence[Path],
        columns: Sequence[str] | None,
        *,
        partitions: pl.DataFrame,
        batch_bytes: int | None,
    ) -> None:
        self.paths = tuple(paths)
        self._format = file_format
        self._partitions = partitions
        self._columns = self._agreed_columns(columns)
        self._scan = lru_cache(maxsize=SCANS_KEPT)(lambda file: self._scanned(file).select(self._columns))
        most = PIECE_BYTES if batch_bytes is None else min(PIECE_BYTES, batch_bytes // _PIECES_IN_A_BATCH)
        if not file_format.divisible:
            most = sys.maxsize
        self.groups = tuple(_pieces(file_format.row_groups(self.paths, columns), most))
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
        rows = group.stop - group.start
        path = self.paths[group.file]
        whole = self._scan(group.file)

        def decoded(columns: Sequence[str]) -> pl.DataFrame:
            return whole.select(columns).slice(group.offset, rows).collect()

        with raised_as(lambda error: self._format.unreadable(path, error, _broken_columns(decoded, self._columns))):
            frame = whole.slice(group.offset, rows).collect()
        if frame.height != rows:
            raise identity.changed(f"{path} became shorter while it was read")
        return frame

    def _scanned(self, file: int) -> pl.LazyFrame:
        import polars as pl

        return self._format.scan(self.paths[file]).with_columns(
            pl.lit(self._partitions[name][file], dtype=dtype).alias(name)
            for name, dtype in self._partitions.schema.items()
        )

    def _schema(self, file: int) -> dict[str, pl.DataType]:
        return {**self._format.schema_of(self.paths[file]), **self._partitions.schema}

    def _agreed_columns(self, columns: Sequence[str] | None) -> list[str]:
        paths, first = self.paths, self._schema(0)
        for name in columns or ():
            if name not in first:
                raise UsageError(f"{paths[0]} has no column '{name}'", hint=f"Its columns are {', '.join(first)}.")
        wanted = list(first if columns is None else columns)
        if not wanted:
            raise SourceError(f"{paths[0]} has no columns", hint="Write it again, or take it out of the source.")
        for file, path in enumerate(paths[1:], start=1):
            schema = self._schema(file)
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


def _pieces(files: Iterator[list[tuple[int, int]]], most_bytes: int) -> Iterator[RowGroup]:
    start = 0
    for file, groups in enumerate(files):
        offset = 0
        for rows, size in groups:
            step = max(1, rows if size <= most_bytes else rows * most_bytes // size)
            for first in range(offset, offset + rows, step):
                height = min(step, offset + rows - first)
                yield RowGroup(start + first, start + first + height, -(-size * height // rows), file, first)
            offset += rows
        start += offset


def _broken_columns(decode: Callable[[Sequence[str]], object], columns: Sequence[str]) -> list[str]:
    """Return the first of `columns` that can't be decoded, found by bisection; none if each can be decoded now."""
    while True:
        half = columns[: (len(columns) + 1) // 2]
        try:
            with raised_as(lambda error: SourceError(str(error))):
                decode(half)
        except PipelineError:
            if len(half) == len(columns):
                return list(half)
            columns = half
        else:
            if len(half) == len(columns):
                return []
            columns = columns[len(half) :]
