"""Makes foreign text safe for a terminal: data, error messages, paths, names of columns.

A terminal executes control sequences in the text that it prints: colour codes, OSC 52 (writes the clipboard), C1
controls. Bidi marks show a line in another order than it has. So all text from outside passes `safe` before it
reaches a screen. The result is plain text: markup in it is not escaped.
"""

from __future__ import annotations

ELLIPSIS = "…"
LIMIT = 2_000

_PICTURES = 0x2400  # U+2400 … U+241F show the controls U+0000 … U+001F
_DELETE, _DELETE_PICTURE = 0x7F, "␡"
_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


def safe(text: str, limit: int = LIMIT) -> str:
    r"""Return `text` as one line of at most `limit` characters, without control characters.

    Each character becomes one character: C0 controls and DEL their pictures, other spaces a plain space, all others
    without a glyph (C1, bidi and zero-width controls, line separators, lone surrogates) U+FFFD. Text that is cut ends
    with "…".

    >>> safe("LGA\x1b[31m\n")
    'LGA␛[31m␊'
    >>> safe("a\u202eb\x9b", limit=3) == "a\ufffd…"
    True
    """
    cut = text[: max(limit, 1) + 1]
    if not cut.isprintable():
        cut = "".join(character if character.isprintable() else _shown(character) for character in cut)
    return cut if len(cut) <= limit else cut[: max(limit, 1) - 1] + ELLIPSIS


def safe_lines(text: str, limit: int = LIMIT, *, most: int = 1_000) -> list[str]:
    r"""Return the first `most` lines of `text`, each made `safe`. Only a line feed ends a line.

    >>> safe_lines("one\ntwo\rthree")
    ['one', 'two␍three']
    """
    lines = text.split("\n", most)
    return [safe(line, limit) for line in lines[:most]] + [ELLIPSIS] * (len(lines) > most)


def _shown(character: str) -> str:
    code = ord(character)
    if code < ord(" "):
        return chr(_PICTURES + code)
    if code == _DELETE:
        return _DELETE_PICTURE
    return " " if character.isspace() and code > 0x9F and character not in "\u2028\u2029" else _UNPRINTABLE  # noqa: PLR2004 (the last C1 control)
