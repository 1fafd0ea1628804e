"""The question when the pipeline isn't the one that made the checkpoint: which steps changed, and go on?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Button

from tui.screens.dialogs.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tui.backend.jobs import ErrorReport


class ChangedScreen(Dialog[bool]):
    """Answers True to go on with the new pipeline from the frontier."""

    def __init__(self, error: ErrorReport, *, committed: str) -> None:
        lines = [
            "Changed since the last run:",
            *(f"• {line}" for line in error.differences),
            "",
            f"{committed} as the steps were before.",
            "Going on keeps them: the results then hold rows of both kinds.",
            "To do them again, cancel and rewind or reset.",
        ]
        super().__init__("The pipeline has changed", lines, harmless=False)

    def buttons(self) -> Iterable[Button]:
        """Cancel first."""
        yield Button("Cancel", id="cancel", compact=True)
        yield Button("Go on with the new steps", id="go-on", variant="warning", compact=True)

    def answer(self, button_id: str) -> None:
        """Only one button goes on."""
        self.dismiss(button_id == "go-on")
