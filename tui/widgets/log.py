"""What was said, line by line, the latest below: plain text, never markup, and only the last thousand lines."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from engine.text.format import counted
from engine.text.terminal_safe import safe
from tui.widgets.drawing.line import Line, wrap_text
from tui.widgets.drawing.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_LINES = 1_000


class LogPane(Pane[tuple[str, ...]]):
    """The log. It follows its end until someone scrolls up."""

    TITLE = "Log"
    EMPTY = "nothing logged yet"

    def add(self, lines: Iterable[str]) -> None:
        """Add lines, which may come from anywhere: each is made safe; one with line feeds becomes several."""
        fresh = tuple(safe(part.expandtabs(4)) for line in lines for part in line.splitlines() or [""])
        if not fresh:
            return
        follows = self.scroll_y >= self.max_scroll_y
        self.accept(((self._shown or ()) + fresh)[-MOST_LINES:])
        if follows:
            self.scroll_end(animate=False)

    def clear(self) -> None:
        """Forget all lines."""
        self.accept(())

    @property
    def plain_text(self) -> str:
        """All lines."""
        return "\n".join(self._shown or ())

    def draw(self, shown: tuple[str, ...], width: int, height: int) -> list[Line]:  # noqa: ARG002 - it may scroll
        """Return the lines, wrapped."""
        return [line for text in shown for line in _wrapped_lines(text, width)]

    def footing(self, shown: tuple[str, ...], width: int) -> tuple[str, ...]:  # noqa: ARG002 - the pane cuts it
        """Return how many lines there are."""
        return (counted(len(shown), "line"),) if shown else ()


@lru_cache(maxsize=2 * MOST_LINES)
def _wrapped_lines(text: str, width: int) -> tuple[Line, ...]:
    """Return one line of the log, wrapped; remembered, since all but the newest are drawn again and again."""
    return tuple(((piece, ""),) for piece in wrap_text(text, width))
