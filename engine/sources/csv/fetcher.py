"""Batches of CSV files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.errors import UsageError
from engine.sources import files
from engine.sources.csv import columns, size
from engine.sources.csv.file import CsvFile
from engine.sources.csv.format import CsvFormat
from engine.sources.csv.grammar import Grammar
from engine.sources.text.fetcher import TextFetcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from engine.sources.base import SourceSize
    from engine.sources.files import FileSource
    from engine.text.json_values import Json


class CsvFetcher(TextFetcher):
    """Fetches the rows of `source`: a CSV file, a folder of `*.csv` and `*.csv.gz`, a glob, or a list of these.

    Files are read in the order of their paths, those of a list in the order of the list. All files need the columns
    of the first one, in any order. The dtypes are those that fit the first `infer_rows` rows (0: all columns are text)
    of the first file that has rows, at most 16 MiB of them; `dtypes` replaces them by column (`schema_overrides` is its
    old name). `column_names` is for files without a header. `null_values` are texts that mean null, in all columns or
    by column. `try_parse_dates` recognises dates and times. `encoding` "utf8-lossy" replaces bytes that aren't UTF-8 by
    U+FFFD. A file may be compressed by gzip, but then a resume decompresses it from its start.

    A row that can't be read is in `Batch.unreadable`, with its file, line and text: a value doesn't fit its dtype (a
    Decimal with more digits and a Float that is too large included), a line has fewer or more fields than the header, a
    quote is never closed, bytes aren't UTF-8. `short_lines="null"` fills missing fields with nulls, and
    `long_lines="cut"` leaves out the fields after the last column. A blank line is no row, except in a file of one
    column: there it is a null. A quote opens a field only where the field begins, elsewhere it is a character like
    others; a quoted field may contain line breaks.
    """

    suffixes = (".csv", ".csv.gz")

    def __init__(
        self,
        source: FileSource,
        *,
        dtypes: Mapping[str, Any] | None = None,
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
        short_lines: Literal["error", "null"] = "error",
        long_lines: Literal["error", "cut"] = "error",
    ) -> None:
        if infer_rows < 0:
            raise UsageError(f"infer_rows must be at least 0, not {infer_rows}")
        if column_names is not None and (has_header or len(set(column_names)) < len(column_names)):
            raise UsageError("column_names needs has_header=False, and each name only once")
        if dtypes is not None and schema_overrides is not None:
            raise UsageError("dtypes and schema_overrides are one option", hint="Pass dtypes alone.")
        super().__init__(source)
        self._infer_rows = infer_rows
        self._dtypes = dict(dtypes or schema_overrides or {})
        self._names = None if column_names is None else list(column_names)
        self._format = CsvFormat(
            separator,
            has_header,
            quote_char,
            comment_prefix,
            null_values,
            decimal_comma,
            try_parse_dates,
            encoding,
            short_lines,
            long_lines,
        )
        self._grammar = Grammar(self._format)
        self.quote = self._grammar.quote

    def decide_columns(self, paths: Sequence[Path]) -> bool:
        """Read all headers, and decide the dtypes."""
        self._schema = columns.agreed_schema(
            paths,
            self._format,
            self._grammar,
            infer_rows=self._infer_rows,
            dtypes=self._dtypes,
            names=self._names,
        )
        return bool(self._schema)

    def file(self, path: Path) -> CsvFile:
        """Return the file with its header read."""
        return CsvFile(path, self._format, self._grammar, self._schema)

    def identity(self) -> Mapping[str, Json]:
        """Return the source as the user gave it, and what decides where its rows begin and end.

        Dtypes and null values are left out: the user may correct them after a value that didn't fit, and a resume
        uses the new ones, as long as the results keep their columns.
        """
        return {"kind": "csv", "source": files.source_as_json(self._source), **self._format.row_rules()}

    def size(self) -> SourceSize | None:
        """Return an estimate from the bytes of the files, or None for compressed ones."""
        return size.estimate_rows(self._found.paths, self._format, self._grammar)
