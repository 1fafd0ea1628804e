"""The frame that all dialogs share: a title, lines of text that is never markup, and two buttons.

Escape always gives the harmless answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from engine.text.terminal_safe import safe
from tui.look.glyphs import UNICODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.app import App, ComposeResult
    from textual.widget import Widget
    from textual.widgets.button import ButtonVariant

Answer = TypeVar("Answer")

LINE_LIMIT = 2000


def plain(text: str, limit: int = LINE_LIMIT) -> Content:
    """Return text of unknown origin as content: no markup, no control characters, bounded."""
    return Content("\n".join(safe(line, limit) for line in text.split("\n")))


class Dialog(ModalScreen[Answer]):
    """A question in the middle of the screen; `lines` are shown one below the other.

    `refusal` and `verb` are what the buttons say: the first one answers None, the second one calls `accept`. `variant`
    is the look of the second one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "refuse", "Cancel", show=False),
        Binding("left", "app.focus_previous", "Previous", show=False),
        Binding("right", "app.focus_next", "Next", show=False),
    ]

    variant: ButtonVariant = "primary"

    def __init__(self, title: str, lines: Iterable[str], *, verb: str, refusal: str = "Cancel") -> None:
        super().__init__()
        self._title = title
        self._lines = tuple(lines)
        self._buttons = (
            Button(refusal, id="cancel", compact=True),
            Button(verb, id="confirm", variant=self.variant, compact=True),
        )

    def compose(self) -> ComposeResult:
        """Title, lines, what the subclass adds, buttons."""
        glyphs = getattr(self.app, "glyphs", UNICODE)
        with Vertical(classes="dialog") as frame:
            frame.border_title = plain(self._title, 60).markup
            with VerticalScroll(classes="dialog-lines", can_focus=False):
                for line in self._lines:
                    yield Static(glyphs.spelled(str(plain(line))), classes="dialog-line", markup=False)
            yield from self.body()
            with Horizontal(classes="dialog-buttons"):
                yield from self._buttons

    def body(self) -> Iterable[Widget]:
        """Yield what is between lines and buttons."""
        return ()

    def on_mount(self) -> None:
        """Start where Enter does no harm. Textual calls this method of every base class: don't override it."""
        self.first_focus().focus()

    def first_focus(self) -> Widget:
        """Return what has the focus at first: the harmless button."""
        return self._buttons[0]

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer with the button."""
        event.stop()
        if event.button.id == "confirm":
            self.accept()
        else:
            self.action_refuse()

    def accept(self) -> None:
        """Close the dialog with the answer that does something."""
        raise NotImplementedError

    def action_refuse(self) -> None:
        """Close the dialog without doing anything."""
        self.dismiss(None)

    def ask(self, app: App[Any], then: Callable[[Answer], object]) -> None:
        """Show the dialog, and call `then` with its answer; a person who refuses has changed nothing."""

        def answered(answer: Answer | None) -> None:
            if answer is not None:
                then(answer)

        app.push_screen(self, answered)
