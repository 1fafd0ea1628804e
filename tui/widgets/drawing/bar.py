"""A bar on a line, exact to half a cell, that never looks full before the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.look.glyphs import Glyphs
    from tui.widgets.drawing.line import Line


def draw_bar(fraction: float | None, earlier: float, width: int, glyphs: Glyphs, style: str) -> Line:
    """Return `width` cells: what earlier runs did, what this one did, and the rest. None: nobody knows.

    >>> from tui.look.glyphs import ASCII
    >>> from tui.widgets.drawing.line import line_text
    >>> line_text(draw_bar(0.5, 0.2, 11, ASCII, "run")), line_text(draw_bar(0.999, 0.0, 4, ASCII, "run"))
    ('==###>-----', '###>')
    >>> line_text(draw_bar(None, 0.0, 4, ASCII, "run")), line_text(draw_bar(1.0, 0.0, 4, ASCII, "run"))
    ('----', '####')
    """
    halves = int(min(1.0, max(0.0, fraction or 0.0)) * width * 2)
    whole, head = divmod(halves, 2)
    before = min(whole, int(earlier * width))
    parts = (
        (glyphs.bar_earlier * before, f"bar-{style}-earlier"),
        (glyphs.bar_done * (whole - before) + glyphs.bar_head * head, f"bar-{style}"),
        (glyphs.bar_rest * (width - whole - head), "bar-rest"),
    )
    return tuple(part for part in parts if part[0])
