"""Lines of styled text, and texts cut and padded to exact widths in terminal cells.

A line is a tuple of parts, a part is (text, style names): plain values, so that what a pane draws can be computed
and tested without a terminal, and compared to what it drew before. Style names are those of `Pane`'s component
classes, several apart by spaces; the empty string is the pane's own style. Nothing here is ever parsed as markup.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from rich.cells import cell_len

from engine.text.format import counted
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Part = tuple[str, str]
Line = tuple[Part, ...]

NO_LINE: Line = ()


def last_lines(text: str, most: int = 400) -> list[str]:
    r"""Return the lines of a text that isn't ours, each safe for a terminal; of a long one the last `most`.

    >>> last_lines("one\ntwo\n\tthree\n", most=2)
    ['(1 line left off)', 'two', '    three']
    """
    lines = text.rstrip().split("\n")
    shown = [safe(line.rstrip("\r").expandtabs(4)) for line in lines[-most:]]
    return [f"({counted(len(lines) - most, 'line')} left off)", *shown] if len(lines) > most else shown


def cut_text(text: str, width: int, ellipsis: str = "…") -> str:
    """Return the text in at most `width` cells, ending in the ellipsis where something was cut off.

    >>> cut_text("check_speed", 7), cut_text("漢字漢字", 5), cut_text("abc", 3), cut_text("abc", 0)
    ('check_…', '漢字…', 'abc', '')
    """
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room < 0:
        return ellipsis[: max(0, width)]
    return _head(text, room) + ellipsis


def cut_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """Return the text in at most `width` cells, with its middle left out: both ends of a path matter.

    >>> cut_middle("/home/ann/checkpoints/flights", 17)
    '/home/an…/flights'
    """
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room < 2:  # noqa: PLR2004 - an end on each side
        return cut_text(text, width, ellipsis)
    return _head(text, room - room // 2) + ellipsis + _head(text[::-1], room // 2)[::-1]


def fit_text(text: str, width: int, *, right: bool = False, ellipsis: str = "…") -> str:
    """Return the text in exactly `width` cells, cut or padded, aligned to the left or right.

    >>> fit_text("12", 4, right=True), fit_text("漢字漢", 4), fit_text("ab", 4)
    ('  12', '漢… ', 'ab  ')
    """
    shown = cut_text(text, width, ellipsis)
    padding = " " * max(0, width - cell_len(shown))
    return padding + shown if right else shown + padding


def wrap_text(text: str, width: int) -> list[str]:
    """Return the text in lines of at most `width` cells, broken at blanks where there are any; never empty.

    Leading blanks are kept, and continued lines hang under them, so that code stays readable.

    >>> wrap_text("one two three", 7)
    ['one two', 'three']
    >>> wrap_text("    raise ValueError", 12)
    ['    raise', '    ValueErr', '    or']
    >>> wrap_text("漢字漢字", 5)
    ['漢字', '漢字']
    """
    width = max(2, width)
    if cell_len(text) <= width:
        return [text]
    indent = " " * min(len(text) - len(text.lstrip(" ")), width // 2, width - 2)  # leaves room for a wide character
    lines: list[str] = []
    rest = text.strip(" ")
    room = width - len(indent)
    while cell_len(rest) > room:
        head = _head(rest, room)
        if not rest[len(head) :].startswith(" "):
            at_blank = head.rfind(" ")
            head = head[:at_blank] if at_blank > 0 else head
        lines.append(indent + head.rstrip(" "))
        rest = rest[len(head) :].lstrip(" ")
    return [*lines, indent + rest] if rest else lines


def line_text(line: Line) -> str:
    """Return a line's characters.

    >>> line_text((("a", ""), ("b", "bad")))
    'ab'
    """
    return "".join(text for text, _ in line)


def line_width(line: Line) -> int:
    """Return a line's width in cells."""
    return sum(cell_len(text) for text, _ in line)


def restyle_line(line: Line, styles: str) -> Line:
    """Return the line with more styles on each of its parts; a later style wins.

    >>> restyle_line((("a", "bad"),), "cursor")
    (('a', 'bad cursor'),)
    """
    return tuple((text, f"{names} {styles}".strip()) for text, names in line)


def crop_line(line: Line, width: int, ellipsis: str = "…") -> Line:
    """Return the line in at most `width` cells.

    >>> crop_line((("abc", ""), ("def", "bad")), 4)
    (('abc', ''), ('…', 'bad'))
    """
    if line_width(line) <= width:
        return line
    parts: list[Part] = []
    room = width
    for text, styles in line:
        taken = cell_len(text)
        if taken >= room:
            # Never cut at the very edge without a mark: what follows is missing.
            parts.append((cut_text(text if taken > room else text + " ", room, ellipsis), styles))
            break
        parts.append((text, styles))
        room -= taken
    return tuple(parts)


def spread_line(left: Line, right: Line, width: int) -> Line:
    """Return both on one line of exactly `width` cells, the left one cropped if they don't fit.

    >>> line_text(spread_line((("a", ""),), (("b", ""),), 5))
    'a   b'
    """
    room = width - line_width(right)
    if room <= 0:
        return crop_line(right, width)
    left = crop_line(left, room)
    return (*left, (" " * (room - line_width(left)), ""), *right)


def join_lines(lines: Iterable[Line], separator: Part) -> Line:
    """Return the lines in one, the separator between them; empty ones are left out.

    >>> line_text(join_lines([(("a", ""),), (), (("b", ""),)], (", ", "muted")))
    'a, b'
    """
    parts: list[Part] = []
    for line in lines:
        if line:
            parts.extend((separator, *line) if parts else line)
    return tuple(parts)


def centre_words(line: Line, width: int, height: int) -> list[Line]:
    """Return lines that put one message in the middle of the pane, wrapped where it is too long."""
    words, styles = line[-1]
    mark = line[:-1]
    room = max(1, width - line_width(mark))
    texts = wrap_text(words, room)[: max(1, height)]
    lines: list[Line] = [(*(mark if number == 0 else ((" " * line_width(mark), ""),)), (text, styles))
                         for number, text in enumerate(texts)]  # fmt: skip
    left = max(0, (width - max(map(line_width, lines))) // 2)
    above: list[Line] = [NO_LINE] * max(0, (height - len(lines)) // 2)
    return above + [((" " * left, ""), *line) for line in lines]


def join_fitting(lines: Sequence[Line], separator: Part, width: int, ellipsis: str = "…") -> Line:
    """Return as many of the lines in one as fit whole, from the first on; the first is cropped if it must be.

    >>> line_text(join_fitting([(("ab", ""),), (("cd", ""),), (("ef", ""),)], (" ", ""), 6))
    'ab cd'
    """
    kept: list[Line] = []
    for line in lines:
        if line_width(join_lines([*kept, line], separator)) > width:
            break
        kept.append(line)
    return join_lines(kept, separator) if kept else next((crop_line(line, width, ellipsis) for line in lines), NO_LINE)


def _head(text: str, width: int) -> str:
    """Return the longest beginning of at most `width` cells; a wide character is never split."""
    head = text[: max(0, width)]
    if head.isascii():
        return head
    # No character is narrower than nothing, so the width of a beginning never falls as it grows.
    length = bisect_right(range(1, len(text) + 1), width, key=lambda end: cell_len(text[:end]))
    return text[:length]
