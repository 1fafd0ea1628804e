"""Batches of CSV files, read once from front to back.

Invariant: all batches have one schema, and a batch is short only at the end of the last file.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import SourceChanged, SourceError, UsageError, describe
from engine.fetchers import csv_columns, csv_size, file_cursor, source_files
from engine.fetchers.csv_faults import HINT, rows_up_to_fault
from engine.fetchers.csv_format import CsvFormat
from engine.fetchers.row_stream import behind
from engine.fetchers.stream_fetcher import StreamFetcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from engine.batch import Batch
    from engine.fetcher import Position, SourceSize
    from engine.fetchers.source_files import FileSource
    from engine.jsonable import Json


class CsvFetcher(StreamFetcher):
    """Fetches the rows of `source`: a CSV file, a folder of `*.csv`, a glob, or a list of these.

    Files come sorted by path, those of a list in its order, and all need the first one's columns. The
    dtypes are those that fit the first `infer_rows` rows (0: all columns are text) of the first file that
    has rows, with `schema_overrides` on top; a later value that doesn't fit is an error, never a null.
    `column_names` are for files without a header. `null_values` are texts that mean null, in all columns
    or by column. `try_parse_dates` finds dates and times. `encoding` "utf8-lossy" puts � for bytes that
    are no UTF-8. A quoted field may hold line breaks, and a file may be compressed by gzip, zlib or zstd.
    As Polars has it, a line that is too short is filled with nulls, and one that is too long is an error.
    """

    def __init__(
        self,
        source: FileSource,
        *,
        schema_overrides: Mapping[str, Any] | None = None,
        infer_rows: int = 10_000,
        separator: str = ",",
        has_header: bool = True,
        column_names: Sequence[str] | None = None,
        quote_char: str | None = '"',
        comment_prefix: str | None = None,
        null_values: str | Sequence[str] | Mapping[str, str] | None = None,
        decimal_comma: bool = False,
        try_parse_dates: bool = False,
        encoding: Literal["utf8", "utf8-lossy"] = "utf8",
    ) -> None:
        if infer_rows < 0:
            raise UsageError(f"infer_rows can't be negative, and is {infer_rows}")
        if column_names is not None and (has_header or len(set(column_names)) < len(column_names)):
            raise UsageError("column_names need has_header=False, and each name once")
        self._source = source
        self._infer_rows = infer_rows
        self._overrides = dict(schema_overrides or {})
        self._names = None if column_names is None else list(column_names)
        self._format = CsvFormat(
            separator, has_header, quote_char, comment_prefix, null_values, decimal_comma, try_parse_dates, encoding
        )

    def open(self, position: Position) -> None:
        """Read all headers and pin the dtypes; when rows are done, skip them.

        Raises:
            SourceNotFound: no file is there.
            SourceError: a file can't be read, or has other columns than the first.
            SourceChanged: the files have fewer rows than are done, or not where they were.
            UsageError: an override or a name that fits no column.
        """
        self._found = source_files.find(self._source, ".csv")
        self._schema = csv_columns.pin(
            self._found.paths,
            self._format,
            infer_rows=self._infer_rows,
            overrides=self._overrides,
            names=self._names,
        )
        place = file_cursor.place(self._found, position.cursor) if position.next_row else None
        self._first_file, rows_done = place or (0, position.next_row)
        # The source row that each file begins with, as far as that is known, from `_first_file` on.
        self._starts = [position.next_row - rows_done]
        if place is None and not self._found.fixed:
            self._count_up_to(position.next_row)
        super().open(position)

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return how many rows are done and, unless the source is one named file, where the last one is."""
        next_row = batch.end_row + 1
        index = self._start_before(next_row)
        return file_cursor.make(self._found, next_row, self._first_file + index, next_row - self._starts[index])

    def identity(self) -> Mapping[str, Json]:
        """Return the source as it was given, and what decides where its rows begin and end.

        Dtypes and null values are left out: they may be mended after a value that didn't fit, and a run
        goes on with the new ones as long as the results keep their columns.
        """
        return {"kind": "csv", "source": source_files.as_given(self._source), **self._format.row_rules()}

    def size(self) -> SourceSize | None:
        """Return an estimate from the bytes of the files, or None for compressed ones."""
        return csv_size.estimate(self._found.paths, self._format)

    def _start_before(self, next_row: int) -> int:
        """Return the index in `_starts` of the file that holds the row before `next_row`."""
        return max(bisect_left(self._starts, next_row) - 1, 0)

    def _count_up_to(self, next_row: int) -> None:
        """Find the file that holds the row before `next_row` by counting: there is no cursor that says it."""
        import polars as pl

        for path in self._found.paths[:-1]:
            try:
                count = self._format.scan(path, self._schema).select(pl.len()).collect().item()
            except pl.exceptions.PolarsError as error:
                raise SourceError(f"cannot count the rows of {path}: {describe(error)}", hint=HINT) from error
            if self._starts[-1] + count >= next_row:
                break
            self._starts.append(self._starts[-1] + count)

    def _frames_from(self, next_row: int) -> Iterator[pl.DataFrame]:
        index = self._start_before(next_row)
        del self._starts[index + 1 :]
        row = next_row - self._starts[index]
        paths = self._found.paths[self._first_file + index :]
        for path in paths:
            for frame in self._rows(path, row):
                row += frame.height
                yield frame
            self._starts.append(self._starts[-1] + row)
            row = 0

    def _rows(self, path: Path, row: int) -> Iterator[pl.DataFrame]:
        if not row:
            return self._read(path, 0)
        gone = SourceChanged(f"{row:,} rows of {path} are committed, and it no longer has as many")
        return behind(gone, self._read(path, row - 1))

    def _read(self, path: Path, row: int) -> Iterator[pl.DataFrame]:
        import polars as pl

        if not self._schema:
            return
        try:
            # No chunk_size: the blocks come as they are parsed, a third faster and without another buffer.
            for frame in self._format.scan(path, self._schema).slice(row).collect_batches(engine="streaming"):
                yield frame
                row += frame.height
        except pl.exceptions.PolarsError as error:
            yield from rows_up_to_fault(path, self._format, self._schema, row, error)
