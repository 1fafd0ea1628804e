"""A page of the results: names, dtypes and rows of texts, with numbers counted over all results.

The pane holds one page. To move the choice to a row of another page posts `PageRequested`; the row is chosen when
`show_page` brings that page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.binding import Binding
from textual.message import Message

from engine.text.format import count, span
from engine.text.terminal_safe import safe
from tui.widgets.drawing.line import crop_line, join_lines
from tui.widgets.drawing.rows_pane import Listing, Row, RowsPane
from tui.widgets.drawing.table import GAP, align_texts

if TYPE_CHECKING:
    from textual.binding import BindingType

    from tui.backend.jobs import TextPage
    from tui.look.glyphs import Glyphs
    from tui.widgets.drawing.line import Part

PAGE_ROWS = 200
_CELL = 40
"""Cells of the widest column."""
_TEXT = 200
"""Characters of a value that are looked at."""
_HEADER_LINES = 2
_NUMBERS = ("Int", "UInt", "Float", "Decimal")


class ResultsPane(RowsPane["TextPage", int]):
    """The results so far. Left and right move over the columns, up and down over all pages."""

    TITLE = "Results"
    EMPTY = "no results yet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move_column(-1)", "Columns to the left", show=False),
        Binding("right", "move_column(1)", "Columns to the right", show=False),
        Binding("ctrl+home", "move_to_page(False)", "First page", show=False),
        Binding("ctrl+end", "move_to_page(True)", "Last page", show=False),
    ]

    @dataclass
    class PageRequested(Message):
        """Someone moved to a row of another page: `show_page` is to be called with the rows from `first_row` on."""

        first_row: int

    _column = 0
    _end_column = 0
    """The columns that are on the screen: from the first of all that is, to the one after the last."""
    _aligned: tuple[TextPage, Glyphs, list[list[Part]]] | None = None

    def show_page(self, page: TextPage) -> None:
        """Show a page, which may come from anywhere."""
        self._column = min(self._column, max(0, len(page.columns) - 1))
        self.accept(page)
        self.scroll_to_choice()

    def listing(self, shown: TextPage, width: int) -> Listing[int]:
        """Return names, dtypes and rows, from the first column that is shown to the last that fits whole."""
        if not shown.rows:
            return Listing(())
        if self._aligned is None or self._aligned[:2] != (shown, self.glyphs):
            self._aligned = (shown, self.glyphs, aligned_columns(shown, self.glyphs))
        numbers, *columns = self._aligned[2]
        taken = [numbers, *columns[self._column : self._column + 1]]
        for column in columns[self._column + 1 :]:
            if sum(cell_len(cells[0][0]) + len(GAP) for cells in (*taken, column)) - len(GAP) > width:
                break
            taken.append(column)
        self._end_column = self._column + len(taken) - 1
        lines = [crop_line(join_lines(((cell,) for cell in cells), (GAP, "")), width, self.glyphs.ellipsis)
                 for cells in zip(*taken, strict=True)]  # fmt: skip
        rows = [Row(row, line, row) for row, line in enumerate(lines[_HEADER_LINES:], shown.first_row)]
        return Listing(rows, lines[:_HEADER_LINES])

    def footing(self, shown: TextPage, width: int) -> tuple[str, ...]:  # noqa: ARG002 - the pane cuts it
        """Return which rows and columns are shown."""
        if not shown.rows:
            return ()
        dash = self.glyphs.dash
        rows = f"rows {span(shown.first_row, shown.end_row - 1, dash)} of {count(shown.total_rows)}"
        columns = f"columns {span(self._column + 1, self._end_column, dash)} of {len(shown.columns):,}"
        return rows, columns

    def action_move_column(self, columns: int) -> None:
        """Move the first shown column by this number of columns to the right."""
        if self._shown is not None and self._shown.columns:
            self._column = min(max(0, self._column + columns), len(self._shown.columns) - 1)
            self.build_again()

    def action_move_to_page(self, last: bool) -> None:  # noqa: FBT001 - from a binding's text
        """Go to the first or the last of all rows."""
        shown = self._shown
        if shown is not None and shown.rows:
            self.move_to((shown.total_rows - 1 if last else 0) - shown.first_row)

    def move_to(self, row: int) -> None:
        """Move the choice; if that row is on another page, ask for the page and choose the row once it comes."""
        shown = self._shown
        wanted = 0 if shown is None else shown.first_row + row
        if shown is None or shown.first_row <= wanted < shown.end_row or not 0 <= wanted < shown.total_rows:
            super().move_to(row)
            return
        self.wanted_key = wanted
        first = wanted if wanted >= shown.end_row else max(0, wanted - PAGE_ROWS + 1)
        self.post_message(self.PageRequested(max(0, min(first, shown.total_rows - PAGE_ROWS))))


def aligned_columns(page: TextPage, glyphs: Glyphs) -> list[list[Part]]:
    """Return the rows' numbers and the columns of the page, each with name, dtype and cells of equal width."""
    ellipsis = glyphs.ellipsis
    numbers = [*[""] * _HEADER_LINES, *map(count, range(page.first_row, page.end_row))]
    aligned = align_texts(numbers, _CELL, ellipsis, right=True)
    columns = [[(text, "faint" if text.strip() else "") for text in aligned]]
    for index, header in enumerate(page.columns):
        values = [row[index] for row in page.rows]
        texts = [safe(text, _TEXT) for text in header]
        texts += [glyphs.null if value is None else safe(value, _TEXT) for value in values]
        cells = align_texts(texts, _CELL, ellipsis, right=header[1].startswith(_NUMBERS))
        styles = ["strong", "muted", *("faint" if value is None else "" for value in values)]
        columns.append(list(zip(cells, styles, strict=True)))
    return columns
