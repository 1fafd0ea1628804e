"""The frame that all dialogs share: a title, lines of text that is never markup, and buttons.

Escape always answers with the harmless answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from engine.text.terminal_safe import safe
from tui.look.glyphs import UNICODE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult
    from textual.widget import Widget

    from tui.look.glyphs import Glyphs

Answer = TypeVar("Answer")

LINE_LIMIT = 2000


def plain(text: str, limit: int = LINE_LIMIT) -> Content:
    """Return text of unknown origin as content: no markup, no control characters, bounded."""
    return Content("\n".join(safe(line, limit) for line in text.split("\n")))


class Dialog(ModalScreen[Answer]):
    """A question in the middle of the screen; `lines` are shown one below the other.

    `harmless` is what Escape answers, and the first button, which has the focus, should answer it too.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "harmless", "Cancel", show=False),
        Binding("left", "app.focus_previous", "Previous", show=False),
        Binding("right", "app.focus_next", "Next", show=False),
    ]

    def __init__(self, title: str, lines: Iterable[str], *, harmless: Answer) -> None:
        super().__init__()
        self._title = title
        self._lines = tuple(lines)
        self._harmless = harmless

    def compose(self) -> ComposeResult:
        """Title, lines, whatever a dialog adds, buttons."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = plain(self._title, 60).markup
            with VerticalScroll(classes="dialog-lines", can_focus=False):
                for line in self._lines:
                    yield Static(self._glyphs.spelled(str(plain(line))), classes="dialog-line", markup=False)
            yield from self.body()
            with Horizontal(classes="dialog-buttons"):
                yield from self.buttons()

    @property
    def _glyphs(self) -> Glyphs:
        return getattr(self.app, "glyphs", UNICODE)

    def body(self) -> Iterable[Widget]:
        """Yield what stands between lines and buttons."""
        return ()

    def buttons(self) -> Iterable[Button]:
        """Yield the buttons, the harmless one first."""
        yield Button("Close", id="close")

    def on_mount(self) -> None:
        """Start where an Enter does no harm. Textual calls this of every class in line: don't override it."""
        self.first_focus().focus()

    def first_focus(self) -> Widget:
        """Return what has the focus at first: the harmless button."""
        return self.query(Button).first()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer with the button."""
        event.stop()
        self.answer(event.button.id or "")

    def answer(self, button_id: str) -> None:
        """Close the dialog as the button says; here every button is harmless."""
        del button_id
        self.dismiss(self._harmless)

    def action_harmless(self) -> None:
        """Close without doing anything."""
        self.dismiss(self._harmless)
