"""The last line of the screen: the keys that are possible now, as many as fit, each of them a button.

Textual's own footer mounts a widget for each key and was seen to leak them. This one is a single line, and is drawn
again only when the situation changes.
"""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from tui.actions import Scope, Situation, footer_actions


class KeyFooter(Widget):
    """Shows the footer of the registry for a situation."""

    DEFAULT_CSS = """
    KeyFooter {
        dock: bottom;
        height: 1;
        background: $panel;
        color: $foreground;
        link-color: $foreground;
        link-style: none;
        link-background-hover: $primary 30%;
        link-color-hover: $foreground;
        link-style-hover: none;
    }
    """

    def __init__(self, *, dashboard: bool = False) -> None:
        super().__init__()
        self._dashboard = dashboard
        self._situation = Situation()

    def show(self, situation: Situation | None = None) -> None:
        """Draw the keys of a situation."""
        self._situation = situation or Situation()
        self.refresh()

    def render(self) -> Content:
        """One line."""
        shown = footer_actions(self._situation, self.size.width - 1, dashboard=self._dashboard)
        parts: list[Content] = [Content(" ")]
        for action in shown:
            space = "app" if action.scope is Scope.APP else "screen"
            style = "$error" if action.destructive else "$accent"
            words = f"[bold {style}]{action.key_words}[/] {action.words}"
            key = Content.from_markup(f"[@click={space}.{action.id}]{words}[/]")
            parts += [key, Content("  ")]
        return Content("").join(parts)
