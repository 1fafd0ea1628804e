"""A bar chart in a block of cells, exact to an eighth of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEVELS = 8


def average_columns(values: Sequence[int], each: int, phase: int = 0) -> list[float]:
    """Return averages of `each` values, the last of the last `phase` of them, 0 for a whole group.

    A group stays the same values while time goes on, if `phase` follows it, so that a chart moves column by
    column instead of trembling. The oldest few, which fill no group, are left off.

    >>> average_columns([9, 1, 3, 5, 7], 2), average_columns([9, 1, 3, 5, 7], 2, phase=1)
    ([2.0, 6.0], [5.0, 4.0, 7.0])
    """
    whole = len(values) - phase
    groups = [values[start : start + each] for start in range(whole % each, whole, each)]
    if phase:
        groups.append(values[whole:])
    return [sum(group) / len(group) for group in groups if group]


def draw_chart(values: Sequence[float], width: int, height: int, glyphs: str) -> list[str]:
    """Return `height` lines of `width` cells, the latest value at the right, the greatest as high as the block.

    `glyphs` goes from nothing to a full cell in nine. A value above nothing shows at least its lowest glyph.

    >>> draw_chart([1, 8, 16], 4, 2, " 12345678")
    ['   8', ' 188']
    """
    top = max(values, default=0)
    shown = list(values)[-width:] if width > 0 else []
    levels = [max(1, round(value / top * height * _LEVELS)) if value > 0 else 0 for value in shown]
    padding = " " * (width - len(shown))
    return [
        padding + "".join(glyphs[min(_LEVELS, max(0, level - row * _LEVELS))] for level in levels)
        for row in reversed(range(height))
    ]
