"""Which row of a CSV file stops the reading, and every row before it.

A value that doesn't parse fails the whole block it is in, tens of thousands of rows, and Polars doesn't say
where it is. This reads again from the last good row, slowly, so that the frontier comes up to the batch of
the bad row, and the error names row, column and value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import SourceError, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import polars as pl

    from engine.fetchers.csv_format import CsvFormat

ROWS_AT_ONCE = 10_000
VALUE_LENGTH_SHOWN = 60

HINT = (
    "Mend the file, or say what such values mean: null_values=[…] makes them null, schema_overrides={column: dtype} "
    "reads a column as something else (pl.String takes everything), encoding='utf8-lossy' forgives bad bytes. "
    "Then run again to go on from there."
)


def rows_up_to_fault(
    path: Path, written: CsvFormat, schema: Mapping[str, pl.DataType], row: int, error: Exception
) -> Iterator[pl.DataFrame]:
    """Yield the file's rows from `row` (0-based, the header not counted) to the one before the bad value, then raise.

    `error` is what Polars raised when it read on from there.

    Raises:
        SourceError: always, at the end.
    """
    import polars as pl

    as_text = dict.fromkeys(schema, pl.String())
    try:
        parsed = _frames(written.scan(path, schema, ignore_errors=True), row)
        texts = _frames(written.scan(path, as_text), row)
        for good, text in zip(parsed, texts, strict=True):
            fault = _first_fault(good, text)
            if fault is not None:
                offset, name = fault
                yield good.head(offset)
                raise SourceError(
                    f"{path}, row {row + offset:,} (the first below the header is 0): column '{name}' has "
                    f"{_shown(text.item(offset, name))}, which is no {schema[name]}",
                    hint=HINT,
                ) from error
            yield good
            row += good.height
    except pl.exceptions.PolarsError as other:
        error = other
    raise SourceError(f"cannot read {path} after its row {row:,}: {describe(error)}", hint=HINT) from error


def _frames(plan: pl.LazyFrame, row: int) -> Iterator[pl.DataFrame]:
    # Exact chunks, so that both readings stay in step.
    return plan.slice(row).collect_batches(chunk_size=ROWS_AT_ONCE, maintain_order=True, engine="streaming")


def _first_fault(good: pl.DataFrame, text: pl.DataFrame) -> tuple[int, str] | None:
    """Return the first row, and its column, where a value was given and none was understood."""
    import polars as pl

    faults = []
    for name, dtype in good.schema.items():
        if dtype != pl.String:
            given = text[name].str.strip_chars().fill_null("") != ""  # Polars reads blanks as null
            rows = (given & good[name].is_null()).arg_true()
            if len(rows):
                faults.append((int(rows[0]), name))
    return min(faults, default=None)


def _shown(value: str) -> str:
    return repr(value if len(value) <= VALUE_LENGTH_SHOWN else value[:VALUE_LENGTH_SHOWN] + "…")
