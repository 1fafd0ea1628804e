"""Plain tables: the first column is aligned left, all others right."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def render(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table as text.

    >>> print(render(["what", "s"], [["one", "1.00"], ["twelve", "12.00"]]))
    what        s
    one      1.00
    twelve  12.00
    """
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        ).rstrip()
        for line in lines
    )


def median(values: Sequence[float], digits: int = 2) -> str:
    """Return the median."""
    return f"{statistics.median(values):.{digits}f}"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median with the least and the greatest value.

    >>> spread([1.0, 1.5, 1.1])
    '1.10 (1.00 … 1.50)'
    """
    return f"{median(values, digits)} ({min(values):.{digits}f} … {max(values):.{digits}f})"
