"""Rows in quarantine as lines of a table. Pure functions; everything but the numbers comes from user code and data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

from engine.text.terminal_safe import safe
from tui.look.format import NONE, count
from tui.widgets.drawing.line import Line, cut_text, fit_text
from tui.widgets.drawing.rows_pane import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.results.quarantine import QuarantinedRow
    from tui.look.glyphs import Glyphs

_GAP = "  "
_NAME = 100
_MESSAGE = 400
"""Characters of a name and of a message that a line looks at; the detail shows all."""

RowKey = tuple[int, int | None, int]


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells; the message gets what the rest leaves."""

    batch: int
    row: int
    step: int
    error: int
    message: int


def quarantine_message(row: QuarantinedRow) -> str:
    """Return the error without its type, which stands beside it.

    >>> from engine.results.quarantine import QuarantinedRow
    >>> quarantine_message(QuarantinedRow(21, 7, "parse", "ValueError", "ValueError: no number", None))
    'no number'
    """
    return row.error.removeprefix(f"{row.error_type}: ")


def quarantine_keys(rows: Sequence[QuarantinedRow]) -> list[RowKey]:
    """Return a key for each row that stays its own when others leave: batch, source row, and which of several such."""
    seen: Counter[tuple[int, int | None]] = Counter()
    found: list[RowKey] = []
    for row in rows:
        place = (row.batch_id, row.source_row)
        found.append((*place, seen[place]))
        seen[place] += 1
    return found


def columns(rows: Sequence[QuarantinedRow], width: int) -> Columns:
    """Return the widths for so many cells."""
    quarter = max(8, width // 4)
    batch = max([len("batch"), *(len(count(row.batch_id)) for row in rows)])
    number = max([len("row"), *(len(count(row.source_row)) for row in rows)])
    step = min(max([len("step"), *(cell_len(safe(row.step, _NAME)) for row in rows)]), quarter)
    error = min(max([len("error"), *(cell_len(safe(row.error_type, _NAME)) for row in rows)]), quarter)
    return Columns(batch, number, step, error, max(0, width - batch - number - step - error - 4 * len(_GAP)))


def header(widths: Columns, ellipsis: str) -> Line:
    """Return the column names."""
    return (("".join(_cells(widths, ("batch", "row", "step", "error"), ellipsis)) + "message", "muted"),)


def lines(rows: Sequence[QuarantinedRow], widths: Columns, glyphs: Glyphs) -> list[Row]:
    """Return a line for each row."""
    return [Row(key, _line(row, widths, glyphs)) for key, row in zip(quarantine_keys(rows), rows, strict=True)]


def _line(row: QuarantinedRow, widths: Columns, glyphs: Glyphs) -> Line:
    number = NONE if row.source_row is None else count(row.source_row)
    texts = (count(row.batch_id), number, safe(row.step, _NAME), safe(row.error_type, _NAME))
    batch, place, step, error = _cells(widths, texts, glyphs.ellipsis)
    message = cut_text(safe(quarantine_message(row), _MESSAGE), widths.message, glyphs.ellipsis)
    return ((batch + place + step, ""), (error, "warn"), (message, ""))


def _cells(widths: Columns, texts: tuple[str, str, str, str], ellipsis: str) -> list[str]:
    every = zip(texts, (widths.batch, widths.row, widths.step, widths.error), (True, True, False, False), strict=True)
    return [fit_text(text, width, right=right, ellipsis=ellipsis) + _GAP for text, width, right in every]
