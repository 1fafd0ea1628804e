"""What is said of a batch that could not be finished: the sentence, its rows, where things stand, what to do."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from engine.text.format import instant
from engine.text.terminal_safe import safe, safe_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.events import FailureRecord

_MOST_ROWS = 3
_CELL = 60
_WIDTH = 100


def rows_in_words(failure: FailureRecord) -> Iterator[str]:
    """Yield the rows that the failure names: their number in the source, then their columns, wrapped."""
    columns, rows = failure.examples
    for index, row in enumerate(rows[:_MOST_ROWS]):
        number = f"row {failure.row_numbers[index]:,}" if index < len(failure.row_numbers) else "a row"
        cells = [f"{safe(name, _CELL)}={safe(value, _CELL)}" for name, value in zip(columns, row, strict=True)]
        yield from textwrap.wrap(
            f"{number}: {'  '.join(cells)}",
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
    if len(rows) > _MOST_ROWS:
        yield "  and others"


def record_in_words(failure: FailureRecord, *, full: bool) -> Iterator[str]:
    """Yield what the catalog knows of a failure; with `full`, the traceback too."""
    where = "the source" if failure.step is None else f"step {safe(failure.step)}"
    tries = f", {failure.attempts} tries" if failure.attempts > 1 else ""
    yield f"run {failure.run_id}, batch {failure.batch_id}, {where}, {instant(failure.at)}{tries}"
    yield from (f"  {line}" for line in safe_lines(failure.message))
    yield from rows_in_words(failure)
    if full:
        yield from (f"  | {line}" for line in safe_lines(failure.traceback.rstrip("\n")))
    elif failure.hint:
        yield f"  hint: {safe(failure.hint)}"
