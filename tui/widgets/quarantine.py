"""The rows that no step could process: how many there are now, and the first of them as they were last read.

They can be read only while nothing runs; during a run the pane counts, and keeps showing those that it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.message import Message

from tui.look.format import count, counted
from tui.widgets.drawing.line import NO_LINE, Line, join_fitting
from tui.widgets.drawing.quarantine_rows import columns, header, lines, quarantine_keys
from tui.widgets.drawing.rows_pane import Row, RowsPane
from tui.widgets.status_bar import LIVE

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from engine.progress.view import RunView
    from engine.results.quarantine import QuarantinedRow

MOST_ROWS = 500
"""So many are read and drawn; more would be neither quick nor looked at: they are exported."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """How many rows are in quarantine, and those that were read; `live` while a run may add to them."""

    rows: tuple[QuarantinedRow, ...]
    total: int
    live: bool


class QuarantinePane(RowsPane[Quarantined]):
    """The quarantine. Enter tells the row that is chosen."""

    TITLE = "6 Quarantine"
    PINNED_TOP: ClassVar[int] = 1

    class Highlighted(Message):
        """Someone moved to this row."""

        def __init__(self, pane: QuarantinePane, row: QuarantinedRow) -> None:
            super().__init__()
            self.pane = pane
            self.row = row

        @property
        def control(self) -> QuarantinePane:
            """The list."""
            return self.pane

    class Selected(Highlighted):
        """Someone wants to see this row whole."""

    _read: tuple[QuarantinedRow, ...] = ()

    def show(self, view: RunView) -> None:
        """Show how many rows are in quarantine now."""
        live = view.state in LIVE
        if not view.rows_quarantined and not live:
            self._read = ()
        shown = Quarantined(self._read, view.rows_quarantined, live)
        if shown != self._shown:  # else a notice, such as that they can't be read, would not stay
            self.accept(shown)

    def show_rows(self, rows: Sequence[QuarantinedRow]) -> None:
        """Show the first rows, as they were read."""
        self._read = tuple(rows[:MOST_ROWS])
        shown = self._shown
        self.accept(Quarantined(self._read, shown.total if shown else len(rows), live=bool(shown and shown.live)))
        if self.has_focus:
            self._tell_choice()

    @property
    def selected(self) -> QuarantinedRow | None:
        """The row that enter would tell."""
        return self._row_at(self.cursor_key)

    def rows(self, shown: Quarantined, width: int) -> list[Row]:
        """Return the rows that were read."""
        return lines(shown.rows, columns(shown.rows, width), self.glyphs)

    def header(self, shown: Quarantined, width: int) -> list[Line]:
        """Return the column names."""
        return [header(columns(shown.rows, width), self.glyphs.ellipsis)]

    def empty_words(self, shown: Quarantined) -> str:
        """Return that there are none, or that they can't be listed now."""
        if not shown.total:
            return "nothing in quarantine"
        are = "it is" if shown.total == 1 else "they are"
        return f"{counted(shown.total, 'row')} in quarantine; {are} listed when nothing runs"

    def footing(self, shown: Quarantined | None, width: int) -> Line:
        """Return how many, and what can be done."""
        if shown is None or not shown.total:
            return NO_LINE
        words = counted(shown.total, "row")
        if shown.rows and len(shown.rows) < shown.total:
            words = f"first {count(len(shown.rows))} of {words}"
        if shown.live and shown.rows:
            words = f"{counted(shown.total, 'row')} now, {count(len(shown.rows))} listed before this run"
        parts: list[Line] = [((words, ""),)]
        if not shown.live:
            parts += [(("p replay", ""),), (("E export", ""),)]
        return join_fitting(parts, (f" {self.glyphs.separator} ", ""), max(0, width - 2), self.glyphs.ellipsis)

    def on_focus(self) -> None:
        """Tell where the choice is: who comes here wants to see that row."""
        self._tell_choice()

    def pointed(self, key: Hashable) -> None:
        """Tell where the choice is."""
        row = self._row_at(key)
        if row is not None:
            self.post_message(self.Highlighted(self, row))

    def chosen(self, key: Hashable) -> None:
        """Tell what was chosen."""
        row = self._row_at(key)
        if row is not None:
            self.post_message(self.Selected(self, row))

    def _tell_choice(self) -> None:
        # A pane that was laid out only now has drawn no rows yet; then it is the first one that it will choose.
        row = self.selected or next(iter(self._shown.rows if self._shown else ()), None)
        if row is not None:
            self.post_message(self.Highlighted(self, row))

    def _row_at(self, key: Hashable) -> QuarantinedRow | None:
        shown = self._shown.rows if self._shown else ()
        return next((row for known, row in zip(quarantine_keys(shown), shown, strict=True) if known == key), None)
