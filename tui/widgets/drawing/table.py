"""Tables as lines: a list under its header, and a small table that is turned on its side where it is too wide."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len

from engine.text.format import counted
from engine.text.terminal_safe import safe
from tui.widgets.drawing.line import Line, crop_line, cut_text, fit_text

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = "  "
_TEXT = 1_000
"""Characters of one value that are looked at."""
_RECORD_LEAST = 8
"""Cells that a value needs beside others, when each line is a column."""
_UNBOUNDED = 100_000


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its name, a text for each row, and at most so many cells. All texts are safe for a terminal."""

    name: str
    texts: Sequence[str]
    style: str = ""
    right: bool = False
    most: int = _UNBOUNDED


def align_texts(texts: Sequence[str], most: int, ellipsis: str, *, right: bool = False) -> list[str]:
    """Return the texts, each in the cells of the widest of them, but in at most `most`.

    >>> align_texts(["batch", "21"], 9, "…", right=True), align_texts(["check_speed", "a"], 6, "…")
    (['batch', '   21'], ['check…', 'a     '])
    """
    width = min(max(map(cell_len, texts), default=0), most)
    return [fit_text(text, width, right=right, ellipsis=ellipsis) for text in texts]


def list_lines(columns: Sequence[TableColumn], width: int, ellipsis: str) -> list[Line]:
    """Return the column names, and a line for each row; the last column has what cells the others leave.

    >>> list_lines([TableColumn("batch", ["21"], right=True), TableColumn("error", ["no number"], "bad")], 12, "…")
    [(('batch  error', 'muted'),), (('   21  ', ''), ('no n…', 'bad'))]
    """
    *aligned, last = columns
    padded = [
        align_texts([column.name, *column.texts], column.most, ellipsis, right=column.right) for column in aligned
    ]
    styles = [column.style for column in columns]
    lines: list[Line] = []
    for number, cells in enumerate(zip(*padded, [last.name, *last.texts], strict=True)):
        texts = [*(cell + GAP for cell in cells[:-1]), cells[-1]]
        parts = groupby(zip(texts, styles if number else ["muted"] * len(texts), strict=True), key=lambda part: part[1])
        line = tuple(("".join(text for text, _ in group), style) for style, group in parts)
        lines.append(crop_line(line, width, ellipsis))
    return lines


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
    turned = list(zip(names, *texts, strict=True))
    widths = [max(map(cell_len, column)) for column in turned]
    missing = max(0, sum(widths) + len(GAP) * (len(widths) - 1) - width)
    if missing and may_turn:
        return _records(names, texts, width, ellipsis)
    widths[0] = max(1, widths[0] - missing)
    list_columns = [TableColumn(name, cells, most=most) for (name, *cells), most in zip(turned, widths, strict=True)]
    return list_lines(list_columns, width, ellipsis)


def _records(names: Sequence[str], rows: Sequence[Sequence[str]], width: int, ellipsis: str) -> list[Line]:
    """Return a line for each column, with as many rows beside each other as there is room for."""
    if not rows:
        return [((cut_text(name, width, ellipsis), "muted"),) for name in names]
    name_width = min(max(map(cell_len, names)), max(4, width // 2))
    room = max(1, width - name_width - len(GAP))
    widest = max(1, *(cell_len(text) for row in rows for text in row))
    each = min(widest, room)
    beside = max(1, min(len(rows), (room + len(GAP)) // (max(each, _RECORD_LEAST) + len(GAP))))
    lines: list[Line] = []
    for number, name in enumerate(names):
        values = GAP.join(fit_text(row[number], each, ellipsis=ellipsis) for row in rows[:beside]).rstrip()
        lines.append(((fit_text(name, name_width, ellipsis=ellipsis) + GAP, "muted"), (values, "")))
    if len(rows) > beside:
        lines.append(((cut_text(f"and {counted(len(rows) - beside, 'more row')}", width, ellipsis), "muted"),))
    return lines
