"""The question which batch to go back to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.screens.dialogs.ask import AskScreen

if TYPE_CHECKING:
    from engine import RunView


class RewindScreen(AskScreen):
    """Answers the number of the batch that is to be the last one kept, as text; None when cancelled.

    It only asks where to; what that loses is confirmed afterwards.
    """

    def __init__(self, view: RunView, batch_id: int | None = None) -> None:
        self._frontier = view.frontier
        lines = [
            f"The frontier is at batch {view.frontier:,}. Keep the results up to and including batch:",
        ]
        suggested = batch_id if batch_id is not None and batch_id < view.frontier else view.frontier - 1
        value = str(suggested) if suggested >= 0 else ""
        super().__init__("Rewind", lines, verb="Rewind…", value=value, problem=self._problem_with)

    def _problem_with(self, text: str) -> str:
        number = text.replace(",", "").strip()
        if not number.isdecimal():
            return f"A whole number from 0 to {self._frontier - 1:,}; to drop everything, reset."
        if int(number) >= self._frontier:
            return f"Batch {int(number):,} isn't behind the frontier, batch {self._frontier:,}."
        return ""
