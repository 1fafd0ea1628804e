"""Batches of NDJSON files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import UsageError
from engine.sources import files
from engine.sources.ndjson.columns import agreed_dtypes
from engine.sources.ndjson.parser import LineParser
from engine.sources.text.fetcher import TextFetcher
from engine.sources.text.line_file import LineFile, estimated_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from engine.sources.base import SourceSize
    from engine.sources.files import FileSource
    from engine.text.json_values import Json


class NdjsonFetcher(TextFetcher):
    """Fetches the rows of `source`: a file of JSON lines, a folder of `*.ndjson` and `*.jsonl`, a glob, or a list.

    Each line is one object, and its keys are columns. Files are read in the order of their paths, those of a list in
    the order of the list; they may be compressed by gzip, but then a resume decompresses them from their start. Blank
    lines are skipped. A key that a line doesn't have is null in its row.

    Columns and dtypes are those of the first `infer_rows` rows: Boolean, Int64, Int128, Float64, String, and List and
    Struct of these. A key whose values have no dtype in common, or are all null, is String, and a String column takes
    every value, as JSON. `dtypes` replaces dtypes by column, and adds columns: a number is read as any number dtype, a
    text as Date, Time, Datetime (ISO 8601; digits beyond its time unit are cut), Decimal, Enum or Categorical.

    A line can't be read if it isn't an object, if a value doesn't fit its dtype, if a key comes twice, or if a key
    with a value has no column. `columns` names the keys to read, in that order; then all others are ignored.
    """

    suffixes = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")

    def __init__(
        self,
        source: FileSource,
        *,
        dtypes: Mapping[str, Any] | None = None,
        columns: Sequence[str] | None = None,
        infer_rows: int = 10_000,
    ) -> None:
        super().__init__(source)
        self._dtypes = dict(dtypes or {})
        self._columns = None if columns is None else list(columns)
        self._infer_rows = infer_rows
        if infer_rows < 0 or (not infer_rows and not self._dtypes):
            raise UsageError(f"infer_rows must be at least 1, not {infer_rows}; 0 needs dtypes for all columns")
        if self._columns is not None and (not self._columns or len(set(self._columns)) < len(self._columns)):
            raise UsageError(f"columns must name at least one key, each once, not {self._columns}")

    def decide_columns(self, paths: Sequence[Path]) -> bool:
        """Decide them from the first rows."""
        dtypes = agreed_dtypes(paths, infer_rows=self._infer_rows, dtypes=self._dtypes, columns=self._columns)
        self._lines = LineParser(dtypes, all_keys=self._columns is None)
        return bool(dtypes)

    def file(self, path: Path) -> LineFile:
        """Return the file; a byte order mark at its start is left out."""
        return LineFile(path, self._lines)

    def size(self) -> SourceSize | None:
        """Return an estimate from the bytes of the files, or None for compressed ones."""
        return estimated_rows(self._found.paths)

    def identity(self) -> Mapping[str, Json]:
        """Return the source as the user gave it, and the columns that were chosen.

        Dtypes are left out: the user may correct them after a value that didn't fit, and a resume uses the new ones,
        as long as the results keep their columns.
        """
        return {"kind": "ndjson", "source": files.source_as_json(self._source), "columns": self._columns}
