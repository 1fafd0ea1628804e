"""The rows that no step could process: how many there are now, and the first of them as they were last read.

They can be read only while nothing runs; during a run the pane counts, and keeps showing those that it has.
Everything here but the numbers comes from user code and data.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from engine.text.format import count, counted
from engine.text.terminal_safe import safe
from tui.actions import key_hint, key_of
from tui.widgets.drawing.describe import quarantine_message
from tui.widgets.drawing.rows_pane import Listing, Row, RowsPane
from tui.widgets.drawing.table import TableColumn, list_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import QuarantinedRow
    from engine.progress import RunView
    from tui.look.glyphs import Glyphs

MOST_ROWS = 500
"""So many are read and drawn; more would be neither quick nor looked at: they are exported."""
_NAME = 100
_MESSAGE = 400
"""Characters of a name and of a message that a row looks at; the detail shows all."""

QuarantineKey = tuple[int, int | None, int]


@dataclass(frozen=True, slots=True)
class ShownQuarantine:
    """How many rows are in quarantine, and those that were read; `live` while a run may add to them."""

    rows: tuple[QuarantinedRow, ...]
    total: int
    live: bool


class QuarantinePane(RowsPane[ShownQuarantine, "QuarantinedRow"]):
    """The quarantine. Enter opens the row that is chosen."""

    TITLE = "Quarantine"

    @dataclass
    class Highlighted(Message):
        """Someone moved to this row."""

        row: QuarantinedRow

    class Selected(Highlighted):
        """Someone wants to see this row whole."""

    _read: tuple[QuarantinedRow, ...] = ()

    def show(self, view: RunView) -> None:
        """Show how many rows are in quarantine now."""
        live = view.state.is_live
        if not view.rows_quarantined and not live:
            self._read = ()
        shown = ShownQuarantine(self._read, view.rows_quarantined, live)
        if shown != self._shown:  # else a notice, such as that they can't be read, would not stay
            self.accept(shown)

    def show_rows(self, rows: Sequence[QuarantinedRow]) -> None:
        """Show the first rows, as they were read."""
        self._read = tuple(rows[:MOST_ROWS])
        shown = self._shown
        self.accept(ShownQuarantine(self._read, shown.total if shown else len(rows), live=bool(shown and shown.live)))
        if self.has_focus:
            self.on_focus()

    def listing(self, shown: ShownQuarantine, width: int) -> Listing[QuarantinedRow]:
        """Return the rows that were read."""
        return quarantine_listing(shown.rows, width, self.glyphs)

    def empty_words(self, shown: ShownQuarantine | None) -> str:
        """Return that there are none, or that they can't be listed now."""
        if shown is None or not shown.total:
            return "nothing in quarantine"
        are = "it is" if shown.total == 1 else "they are"
        return f"{counted(shown.total, 'row')} in quarantine; {are} listed when nothing runs"

    def footing(self, shown: ShownQuarantine, width: int) -> tuple[str, ...]:  # noqa: ARG002 - the pane cuts it
        """Return how many, and what can be done."""
        if not shown.total:
            return ()
        words = counted(shown.total, "row")
        if shown.live and shown.rows:
            words = f"{words} now, {count(len(shown.rows))} listed before this run"
        elif shown.rows and len(shown.rows) < shown.total:
            words = f"first {count(len(shown.rows))} of {words}"
        return (words,) if shown.live else (words, key_hint("replay"), f"{key_of('export_quarantine')} export")

    def on_focus(self) -> None:
        """Post where the choice is: a person who comes here wants to see that row."""
        # A pane that was laid out only now has drawn no rows yet; then it is the first one that it will choose.
        row = self.selected or next(iter(self._shown.rows if self._shown else ()), None)
        if row is not None:
            self.pointed(row)

    def pointed(self, item: QuarantinedRow) -> None:
        """Post where the choice is."""
        self.post_message(self.Highlighted(item))

    def chosen(self, item: QuarantinedRow) -> None:
        """Post what was chosen."""
        self.post_message(self.Selected(item))


def quarantine_keys(rows: Sequence[QuarantinedRow]) -> list[QuarantineKey]:
    """Return a key for each row that stays its own when others leave: batch, source row, and which of several such."""
    seen: Counter[tuple[int, int | None]] = Counter()
    found: list[QuarantineKey] = []
    for row in rows:
        place = (row.batch_id, row.source_row)
        found.append((*place, seen[place]))
        seen[place] += 1
    return found


def quarantine_listing(rows: Sequence[QuarantinedRow], width: int, glyphs: Glyphs) -> Listing[QuarantinedRow]:
    """Return a line for each row."""
    quarter = max(8, width // 4)
    columns = (
        TableColumn("batch", [count(row.batch_id) for row in rows], right=True),
        TableColumn("row", [count(row.source_row) for row in rows], right=True),
        TableColumn("step", [safe(row.step, _NAME) for row in rows], most=quarter),
        TableColumn("error", [safe(row.error_type, _NAME) for row in rows], "warn", most=quarter),
        TableColumn("message", [safe(quarantine_message(row), _MESSAGE) for row in rows]),
    )
    header, *lines = list_lines(columns, width, glyphs.ellipsis)
    return Listing([Row(*each) for each in zip(quarantine_keys(rows), lines, rows, strict=True)], [header])
