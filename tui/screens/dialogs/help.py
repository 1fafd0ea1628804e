"""The help: all keys and what they do, made from the registries of actions and panes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.actions import ACTIONS, Scope, key_of, keys_of
from tui.screens.panes import PANES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult
    from textual.widget import Widget

    from tui.actions import Action, Situation

_MOVES = (
    (f"{PANES[0].digit} … {PANES[-1].digit}", f"Go to a pane: {', '.join(pane.name for pane in PANES)}."),
    ("Tab", "Go to the next pane."),
    ("arrows", "Choose in a list or in the grid of batches; Enter shows the details."),
)


class HelpRow(Horizontal):
    """A key, and beside it what it does, wrapped."""

    def __init__(self, key: str, description: str, *, classes: str = "") -> None:
        super().__init__(
            Static(key, classes="help-key", markup=False), Static(description, classes="help-tells", markup=False),
            classes=classes,
        )  # fmt: skip


class HelpScreen(ModalScreen[None]):
    """All keys; those that do nothing now are dimmed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(f"enter,{keys_of('back', 'help', 'leave')}", "close", "Close", show=False),
    ]

    def __init__(self, situation: Situation) -> None:
        super().__init__()
        self._situation = situation

    def compose(self) -> ComposeResult:
        """Three groups of keys."""
        with VerticalScroll(classes="dialog help") as frame:
            frame.border_title = "Help"
            frame.border_subtitle = f"{key_of('back')} closes"
            for title, scope in (("Pipeline", Scope.DASHBOARD), ("Everywhere", Scope.APP)):
                yield Static(title, classes="help-title")
                for action in ACTIONS:
                    if action.scope is scope:
                        yield from self._row(action)
            yield Static("Panes", classes="help-title")
            for key, description in _MOVES:
                yield HelpRow(key, description)
            yield Static("Dimmed keys do nothing in the present state.", classes="help-note")

    def _row(self, action: Action) -> Iterator[Widget]:
        description = f"{action.words}: {action.help}"
        yield HelpRow(action.key_words, description, classes="" if action.possible(self._situation) else "-not-now")

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)
