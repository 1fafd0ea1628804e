"""Batches of files whose columns have fixed places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.errors import UsageError
from engine.sources import files
from engine.sources.fixed_width.layout import Layout, dtypes_of, places_of
from engine.sources.fixed_width.parser import LineCutter
from engine.sources.text.fetcher import TextFetcher
from engine.sources.text.line_file import LineFile, estimated_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from engine.sources.base import SourceSize
    from engine.sources.files import FileSource
    from engine.sources.fixed_width.layout import Columns
    from engine.text.json_values import Json


class FixedWidthFetcher(TextFetcher):
    """Fetches the rows of `source`: a text file with columns of fixed width, a folder of `*.txt`, a glob, or a list.

    `columns` says where they are: `{"id": (0, 5), "name": (5, 20)}` by start, from 0, and width; or
    `[("id", 5), ("name", 20)]`, one after the other. `units` says what is counted: characters, or the bytes of UTF-8,
    as programs write that know no characters. Columns may have gaps between them, and may overlap.

    All columns are String, except those in `dtypes`: numbers, Boolean (true, false), Date, Time, Datetime (ISO 8601;
    digits beyond its time unit are cut), Decimal, Enum or Categorical. Spaces around a text are left out, and a blank
    text is null; with `strip=False` String columns keep their spaces. `null_values` are texts that mean null.
    `encoding` is "utf8", "utf8-lossy", which replaces bytes that aren't UTF-8 by U+FFFD, or a codec of Python such as
    "cp1252". `skip_lines` is how many lines each file has before its rows. Empty lines are skipped.

    A line can't be read if it isn't in the encoding, if a text doesn't fit its dtype, or if the line is shorter than
    the columns, or longer (spaces at its end don't count). `short_lines="null"` reads what is there, and makes the
    missing columns null; `long_lines="cut"` leaves out what comes after the columns. A file may be compressed by gzip.
    """

    suffixes = (".txt", ".txt.gz")

    def __init__(
        self,
        source: FileSource,
        columns: Columns,
        *,
        dtypes: Mapping[str, Any] | None = None,
        units: Literal["characters", "bytes"] = "characters",
        strip: bool = True,
        null_values: str | Sequence[str] = (),
        encoding: str = "utf8",
        skip_lines: int = 0,
        short_lines: Literal["error", "null"] = "error",
        long_lines: Literal["error", "cut"] = "error",
    ) -> None:
        super().__init__(source)
        if skip_lines < 0:
            raise UsageError(f"skip_lines must be at least 0, not {skip_lines}")
        self._skip_lines = skip_lines
        nulls = [null_values] if isinstance(null_values, str) else list(null_values)
        places = places_of(columns)
        self._layout = Layout(
            places, dtypes_of(places, dtypes or {}), units, strip, nulls, encoding, short_lines, long_lines
        )
        self._lines = LineCutter(self._layout)

    def decide_columns(self, paths: Sequence[Path]) -> bool:  # noqa: ARG002
        """Do nothing: they are known."""
        return True

    def file(self, path: Path) -> LineFile:
        """Return the file without the lines to skip, and without a byte order mark."""
        return LineFile(path, self._lines, self._skip_lines)

    def size(self) -> SourceSize | None:
        """Return an estimate from the bytes of the files, or None for compressed ones."""
        return estimated_rows(self._found.paths, self._skip_lines)

    def identity(self) -> Mapping[str, Json]:
        """Return the source as the user gave it, and where its rows and columns are.

        Dtypes and null values are left out: the user may correct them after a value that didn't fit, and a resume
        uses the new ones, as long as the results keep their columns.
        """
        return {
            "kind": "fixed width",
            "source": files.source_as_json(self._source),
            "columns": [[name, *place] for name, place in self._layout.places.items()],
            "units": self._layout.units,
            "skip_lines": self._skip_lines,
        }
