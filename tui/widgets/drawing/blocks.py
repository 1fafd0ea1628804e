"""Blocks of words: paragraphs, named values and tables, which are laid out for a width or copied as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.widgets.drawing.line import Line, last_lines, line_text, wrap_text
from tui.widgets.drawing.table import table_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNBOUNDED = 100_000


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text, which may be foreign; each of its lines is wrapped on its own."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class NamedValues:
    """Names with their values; an empty value is left out."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts, which may be foreign. One that `may_turn` is laid on its side where it is too wide."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    may_turn: bool = True


Block = Paragraph | NamedValues | Table


def block_lines(blocks: Iterable[Block], width: int, ellipsis: str) -> list[Line]:
    """Return the blocks as lines of at most `width` cells, an empty line between two."""
    lines: list[Line] = []
    for block in blocks:
        if lines:
            lines.append(())
        match block:
            case Paragraph(text, style):
                lines.extend(((piece, style),) for line in last_lines(text) for piece in wrap_text(line, width))
            case NamedValues(pairs):
                lines.extend(_value_lines([pair for pair in pairs if pair[1]], width))
            case Table(columns, rows, may_turn):
                lines.extend(table_lines(columns, rows, width, ellipsis, may_turn=may_turn))
    return lines


def block_text(blocks: Iterable[Block]) -> str:
    """Return the blocks as text that can be copied: nothing wrapped, nothing cut, nothing a terminal obeys."""
    return "\n".join(line_text(line).rstrip() for line in block_lines(blocks, _UNBOUNDED, ""))


def _value_lines(pairs: list[tuple[str, str]], width: int) -> list[Line]:
    margin = max((len(name) for name, _ in pairs), default=0) + 2
    return [
        ((f"{'' if number else name:<{margin}}", "muted"), (piece, ""))
        for name, value in pairs
        for number, piece in enumerate(wrap_text(value, max(4, width - margin)))
    ]
