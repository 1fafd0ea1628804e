"""Questions that are answered by yes or no: each says exactly what happens, and has the focus on no."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from engine.text.format import counted
from tui.actions import key_of, keys_of
from tui.screens.dialogs.dialog import Dialog

if TYPE_CHECKING:
    from textual.widgets.button import ButtonVariant

    from tui.backend.jobs import ErrorReport


class ConfirmScreen(Dialog[bool]):
    """Answers True when the person says yes; `verb` is what that button says, not "OK"."""

    variant: ButtonVariant = "error"

    def accept(self) -> None:
        """Answer yes."""
        self.dismiss(True)


class ChangedScreen(ConfirmScreen):
    """Asks whether to continue with a pipeline that is not the one of the checkpoint, and says what changed."""

    variant = "warning"

    def __init__(self, error: ErrorReport, *, committed: str) -> None:
        lines = [
            "Changed since the last run:",
            *(f"• {line}" for line in error.differences),
            "",
            f"{committed} as the steps were before.",
            "If you continue, they stay: the results then hold rows of both kinds.",
            "To process them again, cancel and rewind or reset.",
        ]
        super().__init__("The pipeline has changed", lines, verb="Continue with the new steps")


class QuitScreen(ConfirmScreen):
    """Asks whether to stop the run and quit. The key that asked, pressed again, means yes."""

    variant = "warning"
    BINDINGS: ClassVar[list[BindingType]] = [Binding(keys_of("leave"), "accept", "Stop and quit", show=False)]

    def __init__(self, in_flight: int) -> None:
        flight = f"the {counted(in_flight, 'batch')} in flight" if in_flight != 1 else "the batch in flight"
        lines = [
            f"Quitting stops it after {flight}; the next start continues there.",
            f"Nothing that is committed is lost. {key_of('interrupt')} twice gives up what is in flight.",
        ]
        super().__init__("A run is in progress", lines, verb="Stop and quit", refusal="Stay")

    def action_accept(self) -> None:
        """Answer yes."""
        self.accept()
