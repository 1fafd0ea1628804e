"""A pane of rows with a choice among them: the keys, the mouse and the scrolling that lists have in common.

The choice is remembered by the row's key, not by its place, so it survives rows that come, go and move. Until
someone moves it, it stays on the first row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding

from tui.widgets.drawing.line import Line, centre_words, crop_line, line_width, restyle_line
from tui.widgets.drawing.pane import Pane, Shown

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from textual import events
    from textual.binding import BindingType

    from tui.look.glyphs import Glyphs


@dataclass(frozen=True, slots=True)
class Row:
    """A line that can be chosen, under a key of its own. Two cells of its width belong to the mark."""

    key: Hashable
    line: Line


class RowsPane(Pane[Shown]):
    """Rows under `PINNED_TOP` header lines. Subclasses give `rows`, `header` and what happens to a choice."""

    EMPTY: ClassVar[str] = "nothing here yet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "move_page(-1)", "Page up", show=False),
        Binding("pagedown", "move_page(1)", "Page down", show=False),
        Binding("home", "move_to_end(False)", "First", show=False),
        Binding("end", "move_to_end(True)", "Last", show=False),
        Binding("enter", "choose", "Details", show=False),
    ]

    _key: Hashable = None
    _cursor: int = 0
    _rows: Sequence[Row] = ()
    _built: tuple[object, int, Glyphs] | None = None

    # --- what a subclass gives ------------------------------------------------------------------------------

    def rows(self, shown: Shown, width: int) -> Sequence[Row]:
        """Return the rows for so many cells, the mark's not counted."""
        raise NotImplementedError

    def header(self, shown: Shown, width: int) -> list[Line]:  # noqa: ARG002 - the shape of `rows`
        """Return `PINNED_TOP` lines."""
        return []

    def empty_words(self, shown: Shown) -> str:  # noqa: ARG002 - for subclasses that know why
        """Return what stands there when there are no rows."""
        return self.EMPTY

    def pointed(self, key: Hashable) -> None:
        """Someone moved the choice to this row."""

    def chosen(self, key: Hashable) -> None:
        """Someone wants more of this row."""

    # --- what it does with them -----------------------------------------------------------------------------

    @property
    def cursor_key(self) -> Hashable:
        """The key of the chosen row, None without rows."""
        return self._rows[self._cursor].key if self._rows else None

    def draw(self, shown: Shown, width: int, height: int) -> list[Line]:
        """Return the header, and the rows with a mark before the chosen one."""
        room = max(1, width - 2)
        built = (shown, room, self.glyphs)
        if self._built is None or self._built[0] is not shown or self._built[1:] != built[1:]:
            self._built = built
            self._rows = self.rows(shown, room)
            self._find()
        if not self._rows:
            return centre_words(((self.empty_words(shown), "muted"),), width, height)
        header: list[Line] = [(("  ", ""), *line) for line in self.header(shown, room)]
        lines: list[Line] = [(("  ", ""), *row.line) for row in self._rows]
        chosen = crop_line(self._rows[self._cursor].line, room, self.glyphs.ellipsis)
        filled = (*chosen, (" " * (room - line_width(chosen)), ""))
        lines[self._cursor] = ((self.glyphs.cursor, "run cursor"), (" ", "cursor"), *restyle_line(filled, "cursor"))
        return header + lines

    def build_again(self) -> None:
        """Draw the rows anew although what is shown is the same, since something else changed."""
        self._built = None
        self.redraw()

    def action_move(self, rows: int) -> None:
        """Move the choice by so many rows."""
        self._move_to(self._cursor + rows)

    def action_move_page(self, pages: int) -> None:
        """Move the choice by a pane's height."""
        self._move_to(self._cursor + pages * max(1, self.size.height - self.PINNED_TOP - 1))

    def action_move_to_end(self, last: bool) -> None:  # noqa: FBT001 - from a binding's text
        """Choose the last row, or the first."""
        self._move_to(len(self._rows) - 1 if last else 0)

    def action_choose(self) -> None:
        """Tell which row is chosen."""
        if self._rows:
            self.chosen(self.cursor_key)

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse; a click on the chosen one tells it."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y < self.PINNED_TOP:
            return
        row = self._index_of(offset.y) - self.PINNED_TOP
        if row == self._cursor:
            self.action_choose()
        elif 0 <= row < len(self._rows):
            self._move_to(row)

    def on_resize(self) -> None:
        """Keep the choice on the screen; Textual calls the handler of `Pane`, which draws, as well."""
        if self._key is not None:
            self._scroll_to_cursor()

    def _move_to(self, row: int) -> None:
        if not self._rows:
            return
        self._cursor = min(max(0, row), len(self._rows) - 1)
        self._key = self.cursor_key
        self.redraw()
        self._scroll_to_cursor()
        self.pointed(self._key)

    def _find(self) -> None:
        """Put the cursor on the row with the remembered key, or else where it was."""
        if self._key is not None:
            keys = [row.key for row in self._rows]
            if self._key in keys:
                self._cursor = keys.index(self._key)
        self._cursor = min(self._cursor, max(0, len(self._rows) - 1))

    def _scroll_to_cursor(self) -> None:
        room = max(1, self.size.height - self.PINNED_TOP)
        top = round(self.scroll_y)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + room:
            self.scroll_to(y=self._cursor - room + 1, animate=False)
