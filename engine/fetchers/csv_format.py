"""How a CSV file is written, and the one place where Polars is told so.

Invariant: every read of a source uses the same format, and a file's name is taken literally.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from engine.jsonable import Json


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """The options of `CsvFetcher` that say how its files are written; it explains them."""

    separator: str = ","
    has_header: bool = True
    quote_char: str | None = '"'
    comment_prefix: str | None = None
    null_values: str | Sequence[str] | Mapping[str, str] | None = None
    decimal_comma: bool = False
    try_parse_dates: bool = False
    encoding: Literal["utf8", "utf8-lossy"] = "utf8"

    def __post_init__(self) -> None:
        for name, value in (("separator", self.separator), ("quote_char", self.quote_char)):
            if value is not None and len(value.encode()) != 1:
                raise UsageError(f"{name} must be one ASCII character, not {value!r}")
        if self.encoding not in ("utf8", "utf8-lossy"):
            raise UsageError(
                f"encoding must be 'utf8' or 'utf8-lossy', not {self.encoding!r}",
                hint="Convert other files first: iconv -f LATIN1 -t UTF-8 old.csv > new.csv",
            )

    def scan(
        self, path: Path | bytes, schema: Mapping[str, pl.DataType], *, ignore_errors: bool = False
    ) -> pl.LazyFrame:
        """Return the plan that reads the file's rows with `schema`, its columns in that order.

        A file without any line has no rows. With `ignore_errors` a value that doesn't parse becomes null.
        """
        import polars as pl

        return pl.scan_csv(path, schema=pl.Schema(schema), ignore_errors=ignore_errors, **self._options())

    def infer(self, path: Path | bytes, rows: int) -> pl.Schema:
        """Return the columns of the file, with dtypes that fit its first `rows` rows; none when it is empty.

        With `rows=0` only the header is read (without one, the first line), and every dtype is String.
        """
        import polars as pl

        scan = pl.scan_csv(
            path, infer_schema_length=rows, try_parse_dates=self.try_parse_dates and rows > 0, **self._options()
        )
        return scan.collect_schema()

    def row_rules(self) -> dict[str, Json]:
        """Return the options that decide where rows begin and end: after a change, row 7 is another row."""
        return {
            "separator": self.separator,
            "has_header": self.has_header,
            "quote_char": self.quote_char,
            "comment_prefix": self.comment_prefix,
        }

    def _options(self) -> dict[str, Any]:
        nulls = self.null_values
        return {
            "separator": self.separator,
            "has_header": self.has_header,
            "quote_char": self.quote_char,
            "comment_prefix": self.comment_prefix,
            "null_values": nulls if nulls is None or isinstance(nulls, (str, dict)) else list(nulls),
            "decimal_comma": self.decimal_comma,
            "encoding": self.encoding,
            "glob": False,
            "raise_if_empty": False,
        }
