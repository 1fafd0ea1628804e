"""Losses, frontiers and tables in words, the same way in every command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.text.format import counted
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.checkpoint.loss import Loss


def loss_in_words(loss: Loss) -> str:
    """Return what goes, as in "21 batches, 210,000 source rows, 206,170 result rows"; what is in quarantine as well."""
    words = [
        counted(loss.batches, "batch"),
        counted(loss.source_rows, "source row"),
        counted(loss.result_rows, "result row"),
    ]
    if loss.quarantined_rows:
        words.append(f"{counted(loss.quarantined_rows, 'row')} in quarantine")
    return ", ".join(words)


def frontier_in_words(batch_id: int, rows: int, rows_to_go: int | None = None) -> str:
    """Return where the frontier stands, in source rows.

    >>> frontier_in_words(20, 210_000, 126_776)
    'batch 20; 210,000 rows done, 126,776 to go'
    """
    to_go = "" if rows_to_go is None else f", {rows_to_go:,} to go"
    return (
        f"batch {batch_id}; {rows:,} rows done{to_go}" if batch_id >= 0 else f"at the very start; no rows done{to_go}"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, cell_limit: int = 100) -> list[str]:
    """Return the lines of a plain table, each cell made safe."""
    cells = [list(head), *([safe(cell, cell_limit) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
