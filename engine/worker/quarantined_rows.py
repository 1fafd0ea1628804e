"""Rows of one batch that were quarantined, as the frame that goes into the quarantine's file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from engine.checkpoint.parts.manifest import FROM_SOURCE, QuarantineFile
from engine.checkpoint.parts.quarantine import SCHEMA, SOURCE_ROW
from engine.errors import RowsUnreadable, describe
from engine.text.format import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.batch import Batch, SourceRow
    from engine.errors import StepFailed
    from engine.worker.bisect import BisectResult

_CHARACTERS = 2_000
UNREADABLE = "Unreadable"
"""The type of the error of a row that the source can't read."""


@dataclass(slots=True)
class QuarantinedRows:
    """Rows of one batch that were quarantined at one point of the chain, or before it.

    `frame` is what goes into the quarantine's file (columns of `quarantine.SCHEMA`, and `row`); `from_step` is where a
    replay begins; `whole` says whether these are all rows of the batch; `obstacle` says why no replay is possible.
    """

    from_step: str
    frame: pl.DataFrame
    first_error: StepFailed | RowsUnreadable
    whole: bool = False
    obstacle: str = ""

    @property
    def about(self) -> QuarantineFile:
        """What the manifest says about these rows."""
        step, error = self.frame["step"][0], self.frame["error"][0]
        if isinstance(self.first_error, RowsUnreadable):
            error = f"{storable(self.first_error.rows[0].place)}: {error}"
        return QuarantineFile(self.frame.height, step, error, self.from_step, self.whole, self.obstacle)


def unreadable_rows(batch: Batch, *, obstacle: str) -> QuarantinedRows:
    """Return the rows that the source can't read. Their places are those among the rows that it can read."""
    rows = batch.unreadable
    frame = pl.DataFrame(
        {
            "source_row": [row.row for row in rows],
            "position": [None if obstacle else row.row - batch.start_row - number for number, row in enumerate(rows)],
            "step": [SOURCE] * len(rows),
            "error_type": [UNREADABLE] * len(rows),
            "error": [storable(row.reason) for row in rows],
            "input": [storable(row.text) for row in rows],
            "row": pl.Series([as_struct(row) for row in rows], dtype=SOURCE_ROW),
        },
        schema_overrides=SCHEMA,
    )
    return QuarantinedRows(FROM_SOURCE, frame, RowsUnreadable(batch), obstacle=obstacle)


def as_struct(row: SourceRow, *, mended: bool = False) -> dict[str, object]:
    """Return a row of the source as the quarantine's file keeps it."""
    text, file, hint = (value.encode("utf-8", "backslashreplace").decode() for value in (row.text, row.file, row.hint))
    return {"file": file, "line": row.line, "byte": row.byte, "text": text, "hint": hint, "mended": mended}


def bad_rows(batch: Batch, found: BisectResult, *, at_source: bool, places: bool) -> pl.DataFrame:
    """Return the bad rows as a frame for the quarantine's file.

    `at_source` says whether the batch has the source's own rows, so that their numbers are known. `places` says whether
    its results are the final ones, so that the places of the bad rows among them are known.
    """
    numbers = [number for number, _, _ in found.bad]
    readable = batch.readable if at_source else []
    return pl.DataFrame(
        {
            "source_row": [readable[number] if at_source else None for number in numbers],
            "position": [point if places else None for _, point, _ in found.bad],
            **errors_as_columns([error for _, _, error in found.bad]),
            "row": batch.data[numbers].to_struct("row"),
        },
        schema_overrides=SCHEMA,
    )


def whole_batch(batch: Batch, error: StepFailed, *, at_source: bool, places: bool) -> pl.DataFrame:
    """Return all rows of a batch as a frame for the quarantine's file, each with the same error."""
    height = batch.data.height
    return pl.DataFrame(
        {
            "source_row": pl.Series(batch.readable if at_source else [None] * height, dtype=pl.Int64),
            "position": [0 if places else None] * height,
            **{name: values * height for name, values in errors_as_columns([error], whole=True).items()},
            "row": batch.data.to_struct("row"),
        },
        schema_overrides=SCHEMA,
    )


def errors_as_columns(errors: Sequence[StepFailed], *, whole: bool = False) -> dict[str, list[str | None]]:
    """Return errors as columns: step, type, message, and the row as the step got it.

    `whole` says that the error is that of a whole batch, so that there is no such row.
    """
    causes = [error.__cause__ or error for error in errors]
    return {
        "step": [error.step for error in errors],
        "error_type": [type(cause).__name__ for cause in causes],
        "error": [storable(describe(cause)) for cause in causes],
        "input": [None if whole else _as_text(error.input) for error in errors],
    }


def _as_text(rows: pl.DataFrame | None) -> str | None:
    if rows is None or rows.height != 1:
        return None
    return storable(json.dumps(rows.row(0, named=True), default=str, ensure_ascii=False))


def storable(text: str) -> str:
    """Return text as a file can store it: text from file names that aren't UTF-8 has lone surrogates."""
    return text[:_CHARACTERS].encode("utf-8", "backslashreplace").decode()
