"""Our own sentences in the characters that a terminal has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.look.glyphs import Glyphs

_IN_ASCII = str.maketrans({"…": "...", "\N{EN DASH}": "-", "│": "|", "•": "*", "→": "->", "·": "|"})


def in_glyphs(text: str, glyphs: Glyphs) -> str:
    """Return the text, with its few signs spelled out where the terminal draws ASCII only.

    >>> from tui.look.glyphs import ASCII
    >>> in_glyphs("batches 0…", ASCII)
    'batches 0...'
    """
    return text.translate(_IN_ASCII) if glyphs.name == "ascii" else text
