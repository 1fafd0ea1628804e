"""A question that is answered in one line of text: a batch to go back to, a path to write to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Button, Input, Static

from tui.screens.dialogs.dialog import Dialog, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.widget import Widget


class AskScreen(Dialog[str | None]):
    """Answers the text, None when cancelled. `problem` says what is wrong with a text, empty when nothing is."""

    def __init__(
        self,
        title: str,
        lines: Iterable[str],
        *,
        verb: str,
        value: str = "",
        problem: Callable[[str], str] = lambda _text: "",
    ) -> None:
        super().__init__(title, lines, harmless=None)
        self._verb = verb
        self._value = value
        self._problem = problem

    def body(self) -> Iterable[Widget]:
        """Yield the line to type in, and the place for what is wrong with it."""
        yield Input(self._value, id="line", compact=True)
        yield Static("", id="problem", markup=False)

    def buttons(self) -> Iterable[Button]:
        """Cancel first, but the focus is on the line."""
        yield Button("Cancel", id="cancel", compact=True)
        yield Button(self._verb, id="do", variant="primary", compact=True)

    def first_focus(self) -> Widget:
        """Return the line: nothing happens before what was typed is confirmed or cancelled."""
        return self.query_one(Input)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say at once what is wrong."""
        event.stop()
        self.query_one("#problem", Static).update(plain(self._problem(event.value) if event.value else ""))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the line is the button."""
        event.stop()
        self.answer("do")

    def answer(self, button_id: str) -> None:
        """Answer with the text, unless something is wrong with it."""
        if button_id != "do":
            self.dismiss(None)
            return
        text = self.query_one(Input).value.strip()
        problem = self._problem(text) if text else "Type something, or cancel."
        if problem:
            self.query_one("#problem", Static).update(plain(problem))
        else:
            self.dismiss(text)
