"""One failure, batch or run on the whole screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen

from tui.actions import key_hints, keys_of
from tui.screens.panes import PANE
from tui.widgets.detail import DetailPane

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult


class DetailScreen(Screen[None]):
    """Shows what `fill` puts into a detail pane."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(f"enter,{keys_of('back', 'leave', 'zoom')}", "close", "Back", show=False),
        Binding(keys_of("copy"), "copy", "Copy", show=False),
    ]

    def __init__(self, fill: Callable[[DetailPane], None] | None) -> None:
        super().__init__()
        self._fill = fill

    def compose(self) -> ComposeResult:
        """One pane."""
        yield DetailPane(title=PANE["detail"].title)

    def on_mount(self) -> None:
        """Fill the pane as soon as it exists."""
        pane = self.query_one(DetailPane)
        pane.set_keys(pane.glyphs.spelled(key_hints("back", "copy")))
        if self._fill is not None:
            self._fill(pane)
        pane.focus()

    def fill(self, fill: Callable[[DetailPane], None]) -> None:
        """Show something else."""
        fill(self.query_one(DetailPane))

    def action_copy(self) -> None:
        """Copy the text."""
        self.app.copy_to_clipboard(self.query_one(DetailPane).plain_text)
        self.notify("Copied.")

    def action_close(self) -> None:
        """Go back to the dashboard."""
        self.dismiss(None)
