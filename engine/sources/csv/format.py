"""The format of a CSV file, and the only place that passes it to Polars.

Invariant: every read of a source uses the same format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    short_lines: Literal["error", "null"] = "error"
    long_lines: Literal["error", "cut"] = "error"

    def __post_init__(self) -> None:
        for name, value in (("separator", self.separator), ("quote_char", self.quote_char)):
            if value is not None and (len(value.encode()) != 1 or value in "\r\n"):
                raise UsageError(f"{name} must be one ASCII character, not {value!r}")
        if self.encoding not in ("utf8", "utf8-lossy"):
            raise UsageError(
                f"encoding must be 'utf8' or 'utf8-lossy', not {self.encoding!r}",
                hint="Convert other files first: iconv -f LATIN1 -t UTF-8 old.csv > new.csv",
            )
        if self.short_lines not in ("error", "null"):
            raise UsageError(f"short_lines must be 'error' or 'null', not {self.short_lines!r}")
        if self.long_lines not in ("error", "cut"):
            raise UsageError(f"long_lines must be 'error' or 'cut', not {self.long_lines!r}")

    def infer(self, rows: bytes, columns: Sequence[str]) -> list[pl.DataType]:
        """Return dtypes that fit all of some rows without a header, by column."""
        import polars as pl

        nulls = self.null_values
        if isinstance(nulls, dict):
            nulls = {f"column_{number}": nulls[name] for number, name in enumerate(columns) if name in nulls}
        schema = pl.scan_csv(
            rows,
            has_header=False,
            infer_schema_length=None,
            try_parse_dates=self.try_parse_dates,
            **self._options() | {"null_values": nulls, "comment_prefix": None},
        ).collect_schema()
        return schema.dtypes()

    def scan(self, rows: bytes, schema: Mapping[str, pl.DataType], *, ignore_errors: bool = False) -> pl.LazyFrame:
        """Return the plan that reads complete rows without a header; columns are found by their order in `schema`.

        A short row is filled with nulls. With `ignore_errors` a value that doesn't fit is null.
        """
        import polars as pl

        return pl.scan_csv(
            rows,
            has_header=False,
            schema=pl.Schema(schema),
            missing_columns="insert",
            ignore_errors=ignore_errors,
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
