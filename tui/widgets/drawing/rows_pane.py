"""A pane of rows with a choice among them: the keys, the mouse and the scrolling that lists have in common.

The choice is remembered by the row's key, not by its index, so it survives rows that come, go and move. Until
someone moves it, it stays on the first row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from textual.binding import Binding

from tui.widgets.drawing.line import Line, crop_line, line_width, restyle_line
from tui.widgets.drawing.pane import Pane, Shown

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from textual import events
    from textual.binding import BindingType

    from tui.look.glyphs import Glyphs

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Row(Generic[Item]):
    """A line that can be chosen, with what it is about. Two more cells, before the line, belong to the mark."""

    key: Hashable
    line: Line
    item: Item


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """All rows, and the lines above them that don't scroll."""

    rows: Sequence[Row[Item]]
    header: Sequence[Line] = ()


class RowsPane(Pane[Shown], Generic[Shown, Item]):
    """Rows under header lines. Subclasses give `listing`, and what happens to a choice."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "move_page(-1)", "Page up", show=False),
        Binding("pagedown", "move_page(1)", "Page down", show=False),
        Binding("home", "move_to_end(False)", "First", show=False),
        Binding("end", "move_to_end(True)", "Last", show=False),
        Binding("enter", "choose", "Details", show=False),
    ]

    wanted_key: Hashable = None
    """The choice is on the row with this key as soon as there is one; None until someone moves it."""
    _cursor: int = 0
    _rows: Sequence[Row[Item]] = ()
    _header: Sequence[Line] = ()
    _built: tuple[Shown, int, Glyphs] | None = None

    # --- what a subclass gives ------------------------------------------------------------------------------

    def listing(self, shown: Shown, width: int) -> Listing[Item]:
        """Return the rows for so many cells, the mark's not counted."""
        raise NotImplementedError

    def pointed(self, item: Item) -> None:
        """Someone moved the choice to this row's item."""

    def chosen(self, item: Item) -> None:
        """Someone wants to see more of this row's item."""

    # --- what it does with them -----------------------------------------------------------------------------

    @property
    def cursor_key(self) -> Hashable:
        """The key of the chosen row, None without rows."""
        return self._rows[self._cursor].key if self._rows else None

    @property
    def selected(self) -> Item | None:
        """What the chosen row is about, None without rows."""
        return self._rows[self._cursor].item if self._rows else None

    def draw(self, shown: Shown, width: int, height: int) -> list[Line]:  # noqa: ARG002 - the shape of `Pane.draw`
        """Return the header, and the rows with a mark before the chosen one."""
        room = max(1, width - 2)
        built = (shown, room, self.glyphs)
        if built != self._built:
            self._built = built
            listing = self.listing(shown, room)
            self._rows, self._header = listing.rows, listing.header
            self.pinned_top = len(self._header)
            self._find_choice()
        if not self._rows:
            return []
        lines: list[Line] = [(("  ", ""), *line) for line in (*self._header, *(row.line for row in self._rows))]
        chosen = crop_line(self._rows[self._cursor].line, room, self.glyphs.ellipsis)
        filled = (*chosen, (" " * (room - line_width(chosen)), ""))
        mark = ((self.glyphs.cursor, "run cursor"), (" ", "cursor"))
        lines[self.pinned_top + self._cursor] = (*mark, *restyle_line(filled, "cursor"))
        return lines

    def build_again(self) -> None:
        """Compute the rows again although what is shown is the same, since something else changed."""
        self._built = None
        self.redraw()

    def move_to(self, row: int) -> None:
        """Move the choice to the row with this index, or to the nearest one that exists."""
        if not self._rows:
            return
        self._cursor = min(max(0, row), len(self._rows) - 1)
        self.wanted_key = self.cursor_key
        self.redraw()
        self.scroll_to_choice()
        self.pointed(self._rows[self._cursor].item)

    def scroll_to_choice(self) -> None:
        """Scroll no further than needed to have the chosen row on the screen."""
        room = max(1, self.size.height - self.pinned_top)
        top = round(self.scroll_y)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + room:
            self.scroll_to(y=self._cursor - room + 1, animate=False)

    def action_move(self, rows: int) -> None:
        """Move the choice by so many rows."""
        self.move_to(self._cursor + rows)

    def action_move_page(self, pages: int) -> None:
        """Move the choice by a pane's height."""
        self.move_to(self._cursor + pages * max(1, self.size.height - self.pinned_top - 1))

    def action_move_to_end(self, last: bool) -> None:  # noqa: FBT001 - from a binding's text
        """Choose the last row, or the first."""
        self.move_to(len(self._rows) - 1 if last else 0)

    def action_choose(self) -> None:
        """Hand the chosen row's item to the subclass."""
        if self._rows:
            self.chosen(self._rows[self._cursor].item)

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse; a click on the chosen one does what Enter does."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y < self.pinned_top:
            return
        row = self.line_at(offset.y) - self.pinned_top
        if row == self._cursor:
            self.action_choose()
        elif 0 <= row < len(self._rows):
            self.move_to(row)

    def on_resize(self) -> None:
        """Keep the choice on the screen; Textual calls the handler of `Pane`, which draws, as well."""
        if self.wanted_key is not None:
            self.scroll_to_choice()

    def _find_choice(self) -> None:
        """Put the cursor on the row with the wanted key, or leave it at its index."""
        found = (index for index, row in enumerate(self._rows) if row.key == self.wanted_key)
        self._cursor = next(found, min(self._cursor, max(0, len(self._rows) - 1)))
