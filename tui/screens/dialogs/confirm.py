"""The question before something is lost: says exactly what, and has the focus on Cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Button

from tui.screens.dialogs.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import Iterable


class ConfirmScreen(Dialog[bool]):
    """Answers True when the person says yes; `verb` is what the button says, not "OK"."""

    def __init__(self, title: str, lines: Iterable[str], *, verb: str) -> None:
        super().__init__(title, lines, harmless=False)
        self._verb = verb

    def buttons(self) -> Iterable[Button]:
        """Cancel first."""
        yield Button("Cancel", id="cancel", compact=True)
        yield Button(self._verb, id="confirm", variant="error", compact=True)

    def answer(self, button_id: str) -> None:
        """Only the destructive button says yes."""
        self.dismiss(button_id == "confirm")
