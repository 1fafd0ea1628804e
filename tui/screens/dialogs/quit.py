"""The question when somebody leaves while a run is going on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Button

from tui.actions import key_of, keys_of
from tui.screens.dialogs.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import Iterable


class QuitScreen(Dialog[bool]):
    """Answers True to stop after the batches in flight and quit."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding(keys_of("leave"), "answer_yes", "Stop and quit", show=False)]

    def __init__(self, in_flight: int) -> None:
        flight = "the batch in flight" if in_flight == 1 else f"the {in_flight:,} batches in flight"
        super().__init__(
            "A run is going on",
            [
                f"Quitting stops it after {flight}; the next start goes on there.",
                f"Nothing that is committed is lost. {key_of('interrupt')} twice gives up what is in flight.",
            ],
            harmless=False,
        )

    def buttons(self) -> Iterable[Button]:
        """Stay first."""
        yield Button("Stay", id="stay", compact=True)
        yield Button("Stop and quit", id="quit", variant="warning", compact=True)

    def answer(self, button_id: str) -> None:
        """Only one button leaves."""
        self.dismiss(button_id == "quit")

    def action_answer_yes(self) -> None:
        """The key that asked, again, means yes."""
        self.dismiss(True)
