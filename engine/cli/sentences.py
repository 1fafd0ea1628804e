"""Losses, frontiers and failures in words, and commands to try next: the same in every command."""

from __future__ import annotations

import shlex
import textwrap
from typing import TYPE_CHECKING

from engine.text.format import counted, instant
from engine.text.terminal_safe import safe, safe_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine import FailureRecord, Loss

_MAX_ROWS = 3
_CELL_WIDTH = 60
_LINE_WIDTH = 100


def loss_in_words(loss: Loss) -> str:
    """Return what is lost, as in "21 batches, 210,000 source rows, 206,170 result rows, 12 rows in quarantine"."""
    words = [
        counted(loss.batches, "batch"),
        counted(loss.source_rows, "source row"),
        counted(loss.result_rows, "result row"),
    ]
    if loss.quarantined_rows:
        words.append(f"{counted(loss.quarantined_rows, 'row')} in quarantine")
    return ", ".join(words)


def frontier_in_words(batch_id: int, rows: int, rows_to_go: int | None = None) -> str:
    """Return the frontier: the last committed batch, -1 for none, and source rows.

    >>> frontier_in_words(20, 210_000, 126_776)
    'batch 20; 210,000 rows done, 126,776 to go'
    """
    to_go = "" if rows_to_go is None else f", {rows_to_go:,} to go"
    if batch_id < 0:
        return f"at the very start; no rows done{to_go}"
    return f"batch {batch_id}; {rows:,} rows done{to_go}"


def failed_rows(failure: FailureRecord) -> Iterator[str]:
    """Yield the rows that the failure names: their number in the source, then their columns, wrapped."""
    columns, rows = failure.examples
    for index, row in enumerate(rows[:_MAX_ROWS]):
        number = f"row {failure.row_numbers[index]:,}" if index < len(failure.row_numbers) else "a row"
        cells = [
            f"{safe(name, _CELL_WIDTH)}={safe(value, _CELL_WIDTH)}" for name, value in zip(columns, row, strict=True)
        ]
        yield from textwrap.wrap(
            f"{number}: {'  '.join(cells)}",
            _LINE_WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
    if len(rows) > _MAX_ROWS:
        yield "  and others"


def failure_in_words(failure: FailureRecord, *, full: bool) -> Iterator[str]:
    """Yield the lines about a failure; with `full`, its traceback too."""
    place = "the source" if failure.step is None else f"step {safe(failure.step)}"
    attempts = f", {failure.attempts} attempts" if failure.attempts > 1 else ""
    yield f"run {failure.run_id}, batch {failure.batch_id}, {place}, {instant(failure.at)}{attempts}"
    yield from (f"  {line}" for line in safe_lines(failure.message))
    yield from failed_rows(failure)
    if full:
        yield from (f"  | {line}" for line in safe_lines(failure.traceback.rstrip("\n")))
    elif failure.hint:
        yield f"  hint: {safe(failure.hint)}"


def list_quarantine(checkpoint_dir: Path) -> str:
    """Return the command that lists the rows in quarantine."""
    return f"batch-pipeline quarantine list --checkpoint-dir {shell_quoted(checkpoint_dir)}"


def shell_quoted(path: Path) -> str:
    """Return a path as a shell accepts it, safe for a terminal."""
    return safe(shlex.quote(str(path)))
