"""Questions that are answered in one line of text: the batch to go back to, the path to write to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input, Static

from tui.screens.dialogs.dialog import Dialog, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.widget import Widget

    from engine import RunView


class AskScreen(Dialog[str]):
    """Answers the text, None when cancelled. `problem` says what is wrong with a text, empty when nothing is."""

    def __init__(
        self, title: str, lines: Iterable[str], *, verb: str, value: str = "", problem: Callable[[str], str]
    ) -> None:
        super().__init__(title, lines, verb=verb)
        self._value = value
        self._problem = problem

    def body(self) -> Iterable[Widget]:
        """Yield the line to type in, and the line that says what is wrong with the text."""
        yield Input(self._value, id="line", compact=True)
        yield Static("", id="problem", markup=False)

    def first_focus(self) -> Widget:
        """Return the line: nothing happens before what was typed is confirmed or cancelled."""
        return self.query_one(Input)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say at once what is wrong."""
        event.stop()
        self._show_problem(self._problem(event.value) if event.value else "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take Enter in the line for the button."""
        event.stop()
        self.accept()

    def accept(self) -> None:
        """Answer with the text, unless something is wrong with it."""
        text = self.query_one(Input).value.strip()
        problem = self._problem(text) if text else "Type something, or cancel."
        self._show_problem(problem)
        if not problem:
            self.dismiss(text)

    def _show_problem(self, problem: str) -> None:
        self.query_one("#problem", Static).update(plain(problem))


class RewindScreen(AskScreen):
    """Answers the number of the last batch to keep, as text. What a rewind loses is confirmed afterwards."""

    def __init__(self, view: RunView, batch_id: int | None = None) -> None:
        self._frontier = view.frontier
        line = f"The frontier is at batch {view.frontier:,}. Keep the results up to and including batch:"
        suggested = batch_id if batch_id is not None and batch_id < view.frontier else view.frontier - 1
        value = str(suggested) if suggested >= 0 else ""
        super().__init__("Rewind", [line], verb="Rewind…", value=value, problem=self._problem_with)

    def _problem_with(self, text: str) -> str:
        number = text.replace(",", "").strip()
        if not number.isdecimal():
            return f"Type a whole number from 0 to {self._frontier - 1:,}; to drop everything, reset."
        if int(number) >= self._frontier:
            return f"Batch {int(number):,} is not before the frontier, batch {self._frontier:,}."
        return ""
