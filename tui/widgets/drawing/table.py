"""A small table as lines: columns beside each other while they fit, else one line a column, as records are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len

from engine.text.terminal_safe import safe
from tui.look.format import counted
from tui.widgets.drawing.line import Line, crop_line, cut_text, fit_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = "  "
_TEXT = 1_000
"""Characters of one value that are looked at."""
_RECORD_LEAST = 8
"""Cells that a value needs beside others, when each line is a column."""


def table_lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, ellipsis: str, *, may_turn: bool = True
) -> list[Line]:
    """Return the table in lines of at most `width` cells; one that may not turn has its first column cut.

    All texts may be foreign.

    >>> from tui.widgets.drawing.line import line_text
    >>> [line_text(line) for line in table_lines(["id", "name"], [["1", "ann"]], 20, "…")]
    ['id  name', '1   ann']
    >>> [line_text(line) for line in table_lines(["id", "name"], [["1", "ann"]], 7, "…")]
    ['id    1', 'name  …']
    """
    names = [safe(name, _TEXT) for name in columns]
    texts = [[safe(text, _TEXT) for text in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(names, *texts, strict=True)]
    missing = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    if missing > 0 and may_turn:
        return _records(names, texts, width, ellipsis)
    widths[0] = max(1, widths[0] - max(0, missing))
    header = _line(names, widths, "muted", ellipsis)
    return [crop_line(line, width, ellipsis) for line in (header, *(_line(row, widths, "", ellipsis) for row in texts))]


def _line(cells: Sequence[str], widths: Sequence[int], style: str, ellipsis: str) -> Line:
    padded = [fit_text(text, width, ellipsis=ellipsis) for text, width in zip(cells, widths, strict=True)]
    return ((_GAP.join(padded).rstrip(), style),)


def _records(names: Sequence[str], rows: Sequence[Sequence[str]], width: int, ellipsis: str) -> list[Line]:
    """Return a line for each column, with as many rows beside each other as there is room for."""
    if not rows:
        return [((cut_text(name, width, ellipsis), "muted"),) for name in names]
    name_width = min(max(map(cell_len, names)), max(4, width // 2))
    room = max(1, width - name_width - len(_GAP))
    widest = max(1, *(cell_len(text) for row in rows for text in row))
    each = min(widest, room)
    beside = max(1, min(len(rows), (room + len(_GAP)) // (max(each, _RECORD_LEAST) + len(_GAP))))
    lines: list[Line] = []
    for number, name in enumerate(names):
        values = _GAP.join(fit_text(row[number], each, ellipsis=ellipsis) for row in rows[:beside]).rstrip()
        lines.append(((fit_text(name, name_width, ellipsis=ellipsis) + _GAP, "muted"), (values, "")))
    if len(rows) > beside:
        lines.append(((cut_text(f"and {counted(len(rows) - beside, 'more row')}", width, ellipsis), "muted"),))
    return lines
