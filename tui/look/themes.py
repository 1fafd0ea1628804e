"""The themes: two of our own, one of high contrast, and the terminal's own sixteen colours."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="batchpipe-dark",
    primary="#6ea8fe",
    secondary="#9d8cff",
    accent="#5cc8c2",
    success="#63c174",
    warning="#e0af4a",
    error="#f2727f",
    foreground="#d7dce4",
    background="#14171c",
    surface="#1a1e25",
    panel="#20252d",
    dark=True,
)

LIGHT = Theme(
    name="batchpipe-light",
    primary="#1f5fbf",
    secondary="#6a4fc8",
    accent="#0b7a75",
    success="#1f7a36",
    warning="#8a5a00",
    error="#b3202f",
    foreground="#1d232b",
    background="#fbfbf9",
    surface="#f3f3f0",
    panel="#e9e9e5",
    dark=False,
)

CONTRAST = Theme(
    name="high-contrast",
    primary="#00d7ff",
    secondary="#ffff00",
    accent="#00ffff",
    success="#00ff5f",
    warning="#ffff00",
    error="#ff5f5f",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
    dark=True,
    luminosity_spread=0.2,
    text_alpha=1.0,
)

OWN = (DARK, LIGHT, CONTRAST)
NAMES = (*(theme.name for theme in OWN), "ansi-dark", "ansi-light")
DEFAULT = DARK.name


def next_theme(name: str) -> str:
    """Return the theme after this one, and the first after the last; the default one after a theme of Textual's.

    >>> next_theme("batchpipe-dark"), next_theme("ansi-light"), next_theme("nord")
    ('batchpipe-light', 'batchpipe-dark', 'batchpipe-dark')
    """
    return NAMES[(NAMES.index(name) + 1) % len(NAMES)] if name in NAMES else DEFAULT
