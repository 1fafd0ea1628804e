"""The words in which panes speak of colour, and what they look like in every theme.

A line's parts name styles (`bad`, `bar-run`, …), Textual resolves them as component classes `pane--bad` and so on
from the theme's own variables. In ANSI themes, whose colours can't be mixed, faint is the terminal's dim.
"""

from __future__ import annotations

from functools import lru_cache

from engine import RunState

STYLES = (
    "muted", "faint", "strong", "run", "good", "bad", "warn", "accent",
    "bar-run", "bar-run-earlier", "bar-good", "bar-good-earlier", "bar-bad", "bar-rest", "cursor",
)  # fmt: skip
REVERSE = "reverse"
"""A style that isn't a component class: Textual's lose `text-style: reverse` on the way to the screen."""

COMPONENT_CLASSES = frozenset(f"pane--{name}" for name in STYLES)

RUN_STYLES = {
    RunState.IDLE: "muted",
    RunState.RESUMABLE: "warn",
    RunState.RUNNING: "run",
    RunState.STOPPING: "warn",
    RunState.FAILED: "bad",
    RunState.FINISHED: "good",
    RunState.INCOMPLETE: "warn",
    RunState.CRASHED: "bad",
}
"""The style of each state of a run."""

CSS = """
Pane {
    width: 1fr;
    height: 1fr;
    padding: 0 0 0 1;
    overflow-x: hidden;
    overflow-y: auto;
    scrollbar-size: 0 1;
    scrollbar-color: $foreground 20%;
    scrollbar-color-hover: $foreground 40%;
    scrollbar-color-active: $foreground 40%;
    scrollbar-background: transparent;
    scrollbar-background-hover: transparent;
    scrollbar-background-active: transparent;
    background: transparent;
    border: round $foreground 25%;
    border-title-color: $text-muted;
    border-subtitle-color: $text-muted;
    &:focus {
        border: round $border;
        border-title-color: $text;
        border-title-style: bold;
    }
    &.-ascii { border: ascii $foreground 25%; }
    &.-ascii:focus { border: ascii $border; }
    &:ansi { border: round ansi_bright_black; }
    &:ansi:focus { border: round $border; }
    &.-ascii:ansi { border: ascii ansi_bright_black; }
    &.-ascii:ansi:focus { border: ascii $border; }
    &.-bare { border: none !important; }
    .pane--muted { color: $text-muted; }
    .pane--faint { color: $text-disabled; }
    .pane--strong { text-style: bold; }
    .pane--run { color: $text-primary; }
    .pane--good { color: $text-success; }
    .pane--bad { color: $text-error; text-style: bold; }
    .pane--warn { color: $text-warning; }
    .pane--accent { color: $text-accent; }
    .pane--bar-run { color: $primary; }
    .pane--bar-run-earlier { color: $primary 50%; }
    .pane--bar-good { color: $success; }
    .pane--bar-good-earlier { color: $success 50%; }
    .pane--bar-bad { color: $error; text-style: bold; }
    .pane--bar-rest { color: $foreground 25%; }
    .pane--cursor { background: $foreground 8%; }
    &:focus .pane--cursor { background: $block-cursor-background 40%; }
    &:ansi .pane--cursor, &:ansi:focus .pane--cursor { background: transparent; text-style: bold; }
    &:ansi .pane--muted, &:ansi .pane--faint, &:ansi .pane--bar-rest { text-style: dim; }
    &:ansi .pane--bar-run-earlier, &:ansi .pane--bar-good-earlier { text-style: dim; }
}
"""


@lru_cache(maxsize=256)
def component_classes(names: str) -> tuple[str, ...]:
    """Return the component classes of style names that stand apart by spaces.

    >>> component_classes("bad reverse")
    ('pane--bad',)
    """
    return tuple(f"pane--{name}" for name in names.split() if name != REVERSE)
