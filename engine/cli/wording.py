"""Numbers in words, the same way everywhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from engine.checkpoint.loss import Loss

_THOUSAND = 1_000
_TEN = 10
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def counted(number: int, one: str, many: str = "") -> str:
    """Return the number with its noun.

    >>> counted(1, "batch", "batches"), counted(21_000, "row")
    ('1 batch', '21,000 rows')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def loss_in_words(loss: Loss) -> str:
    """Return what goes, as in "21 batches, 210,000 source rows, 206,170 result rows"; what is in quarantine as well."""
    words = [
        counted(loss.batches, "batch", "batches"),
        counted(loss.source_rows, "source row"),
        counted(loss.result_rows, "result row"),
    ]
    if loss.quarantined_rows:
        words.append(f"{counted(loss.quarantined_rows, 'row')} in quarantine")
    return ", ".join(words)


def duration(seconds: float) -> str:
    """Return a span of time in its two greatest units.

    >>> duration(0.42), duration(42), duration(160), duration(3_900), duration(100_000)
    ('0.4s', '42s', '2m40s', '1h05m', '1d03h')
    """
    if seconds < _TEN:
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def short(number: float) -> str:
    """Return a number in three or four characters.

    >>> short(0.5), short(950), short(14_800), short(1_480_000)
    ('0.5', '950', '14.8k', '1.48M')
    """
    if number < _TEN:
        return f"{number:.2g}"
    if number < _THOUSAND:
        return f"{number:.0f}"
    for unit in "kMG":
        number /= _THOUSAND
        if number < _THOUSAND or unit == "G":
            break
    return f"{number:.3g}{unit}"


def size(byte_count: int) -> str:
    """Return a number of bytes.

    >>> size(999), size(4_100_000)
    ('999 B', '4.1 MB')
    """
    return f"{byte_count} B" if byte_count < _THOUSAND else f"{short(byte_count)[:-1]} {short(byte_count)[-1]}B"


def wait_in_words(failed: int, most: int, seconds: float) -> str:
    """Return what follows a try that failed: which one, of how many, and how soon.

    >>> wait_in_words(1, 5, 7.2), wait_in_words(1, 5, 0)
    ('retry 2/5 in 8 s', 'retry 2/5')
    """
    return f"retry {failed + 1}/{most}" + (f" in {math.ceil(seconds)} s" if seconds > 0 else "")


def moment(at: datetime) -> str:
    """Return a moment in local time, to the second."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def percent(fraction: float) -> str:
    """Return a share with one digit, rounded down: 100 % means all of it.

    >>> percent(0.6236), percent(0.99999), percent(1.0)
    ('62.3%', '99.9%', '100.0%')
    """
    return f"{int(fraction * 1_000) / 10:.1f}%"


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
