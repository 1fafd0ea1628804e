"""The format of a CSV file, and the only place that passes it to Polars.

Invariant: every read of a source uses the same format, and a file name is taken literally.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from engine.text.json_values import Json


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """The options of `CsvFetcher` for the format of its files; they are explained there."""

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

    @property
    def quote_byte(self) -> bytes | None:
        """The quote character as it is in a file."""
        return None if self.quote_char is None else self.quote_char.encode()

    @property
    def comment_bytes(self) -> bytes | None:
        """The start of a comment as it is in a file."""
        return None if self.comment_prefix is None else self.comment_prefix.encode()

    def infer(self, source: Path | bytes, rows: int) -> pl.Schema:
        """Return the columns, with dtypes that fit the first `rows` rows; no columns if there is no line.

        With `rows=0` only the header is read (the first line if there is no header), and every dtype is String.
        """
        import polars as pl

        return pl.scan_csv(
            source,
            has_header=self.has_header,
            infer_schema_length=rows,
            try_parse_dates=self.try_parse_dates and rows > 0,
            **self._options(),
        ).collect_schema()

    def scan(self, block: bytes, schema: Mapping[str, pl.DataType], *, first: bool) -> pl.LazyFrame:
        """Return the plan that reads a block of complete rows.

        In the `first` block of a file, columns are found by the names in the header, if there is one; in later
        blocks by their order in `schema`. A short row is filled with nulls, in any block.
        """
        import polars as pl

        return pl.scan_csv(
            block,
            has_header=self.has_header and first,
            schema=pl.Schema(schema),
            missing_columns="raise" if first else "insert",
            **self._options(),
        )

    def row_rules(self) -> dict[str, Json]:
        """Return the options that decide where rows begin and end: if one changes, row 7 is another row."""
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
            "quote_char": self.quote_char,
            "comment_prefix": self.comment_prefix,
            "null_values": nulls if nulls is None or isinstance(nulls, (str, dict)) else list(nulls),
            "decimal_comma": self.decimal_comma,
            "encoding": self.encoding,
            "glob": False,
            "raise_if_empty": False,
        }
