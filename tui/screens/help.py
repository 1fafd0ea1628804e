"""All keys and what they do, made from the registry of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.actions import ACTIONS, Scope

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.actions import Action, Situation

PANES = (
    ("1 … 8", "Go to a pane: Steps, Throughput, Batches, Runs, Failures, Results, Log, Detail."),
    ("Tab", "Go to the next pane."),
    ("↑ ↓ ⏎", "Choose in a list or in the grid of batches; Enter shows the details."),
)


class HelpScreen(ModalScreen[None]):
    """The keys, those that can be used now in bold."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "close", "Close", show=False),
    ]

    def __init__(self, situation: Situation) -> None:
        super().__init__()
        self._situation = situation

    def compose(self) -> ComposeResult:
        """Three groups of keys."""
        with VerticalScroll(classes="dialog help") as frame:
            frame.border_title = "Help"
            frame.border_subtitle = "Esc closes"
            yield Static(self._text())

    def _text(self) -> Content:
        lines: list[Content] = []
        for title, scope in (("Pipeline", Scope.DASHBOARD), ("Everywhere", Scope.APP)):
            lines.append(Content.styled(title, "bold $text-primary"))
            lines += [self._line(action) for action in ACTIONS if action.scope is scope]
            lines.append(Content(""))
        lines.append(Content.styled("Panes", "bold $text-primary"))
        lines += [_row(key, tells, "") for key, tells in PANES]
        lines.append(Content(""))
        lines.append(Content.styled("Dimmed keys do nothing in the present state.", "$text-muted"))
        return Content("\n").join(lines)

    def _line(self, action: Action) -> Content:
        style = "bold" if action.possible(self._situation) else "$text-muted"
        asks = "" if not action.destructive or "asks" in action.tells else " Asks first."
        return _row(action.key_words, f"{action.words}: {action.tells}{asks}", style)

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)


def _row(key: str, tells: str, style: str) -> Content:
    return Content.assemble((f"  {key:<7}", style), tells)
