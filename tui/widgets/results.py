"""A page of the results: names, dtypes and rows of texts, with numbers counted over all results.

The pane holds one page. A choice that leaves it posts `PageRequested`, and is where it was going once that page comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.binding import Binding
from textual.message import Message

from engine.text.terminal_safe import safe
from tui.look.format import count, span
from tui.widgets.drawing.line import NO_LINE, Line, crop_line, cut_text, fit_text
from tui.widgets.drawing.rows_pane import Row, RowsPane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from tui.look.glyphs import Glyphs

PAGE_ROWS = 200
_CELL = 40
"""Cells of the widest column."""
_TEXT = 200
"""Characters of a value that are looked at."""
_GAP = "  "
_NUMBERS = ("Int", "UInt", "Float", "Decimal")


@dataclass(frozen=True, slots=True)
class Page:
    """Columns as (name, dtype), rows of texts with None for null, and where they lie in all rows."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str | None, ...], ...]
    first_row: int
    total_rows: int

    @property
    def end_row(self) -> int:
        """The row after the last one."""
        return self.first_row + len(self.rows)


class ResultsPane(RowsPane[Page]):
    """The results so far. Left and right move over the columns, up and down over all pages."""

    TITLE = "7 Results"
    PINNED_TOP: ClassVar[int] = 2
    EMPTY = "no results yet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move_column(-1)", "Columns to the left", show=False),
        Binding("right", "move_column(1)", "Columns to the right", show=False),
        Binding("ctrl+home", "move_to_page(False)", "First page", show=False),
        Binding("ctrl+end", "move_to_page(True)", "Last page", show=False),
    ]

    class PageRequested(Message):
        """Someone moved to rows that aren't here: give `show_page` the ones from `first_row` on."""

        def __init__(self, pane: ResultsPane, first_row: int) -> None:
            super().__init__()
            self.pane = pane
            self.first_row = first_row

        @property
        def control(self) -> ResultsPane:
            """The pane that wants them."""
            return self.pane

    _column = 0
    _laid: tuple[Page, Glyphs, _Columns] | None = None

    def show_page(
        self,
        columns: Sequence[tuple[str, str]],
        rows: Sequence[Sequence[str | None]],
        first_row: int,
        total_rows: int,
    ) -> None:
        """Show a page of at most `PAGE_ROWS` rows; columns are (name, dtype), None in a row is a null."""
        kept = tuple(tuple(row) for row in rows[:PAGE_ROWS])
        self._column = min(self._column, max(0, len(columns) - 1))
        self.accept(Page(tuple(columns), kept, first_row, total_rows))
        self._scroll_to_cursor()

    def show_nothing(self) -> None:
        """Show that there are no results yet."""
        self.accept(Page((), (), 0, 0))

    def rows(self, shown: Page, width: int) -> list[Row]:
        """Return the rows, from the first column that is shown on."""
        laid = self._columns(shown)
        return [
            Row(shown.first_row + number, _row_line(laid, cells, self._column, width, self.glyphs.ellipsis))
            for number, cells in enumerate(laid.rows)
        ]

    def header(self, shown: Page, width: int) -> list[Line]:
        """Return the names and, below them, the dtypes."""
        laid = self._columns(shown)
        ellipsis = self.glyphs.ellipsis
        names, dtypes = (tuple((cell, style) for cell in cells) for cells, style in
                         ((laid.names, "strong"), (laid.dtypes, "muted")))  # fmt: skip
        blank = (" " * laid.number_width, "")
        return [_row_line(laid, (blank, *cells), self._column, width, ellipsis) for cells in (names, dtypes)]

    def footing(self, shown: Page | None, width: int) -> Line:
        """Return which rows and which columns."""
        if shown is None or not shown.rows:
            return NO_LINE
        dash = self.glyphs.dash
        words = f"rows {span(shown.first_row, shown.end_row - 1, dash)} of {count(shown.total_rows)}"
        last = self._column + self._columns(shown).visible(self._column, self._built[1] if self._built else width)
        words += f" {self.glyphs.separator} columns {span(self._column + 1, last, dash)} of {len(shown.columns):,}"
        return ((cut_text(words, max(0, width - 2), self.glyphs.ellipsis), ""),)

    def action_move_column(self, columns: int) -> None:
        """Begin so many columns further right."""
        if self._shown is not None and self._shown.columns:
            self._column = min(max(0, self._column + columns), len(self._shown.columns) - 1)
            self.build_again()

    def action_move_to_page(self, last: bool) -> None:  # noqa: FBT001 - from a binding's text
        """Go to the first or the last of all rows."""
        if self._shown is not None:
            self._go_to(self._shown.total_rows - 1 if last else 0)

    def _move_to(self, row: int) -> None:
        """Move the choice, over the page's edge too."""
        shown = self._shown
        beyond = shown is not None and self._rows and not 0 <= row < len(self._rows)
        if beyond and shown is not None and 0 <= (wanted := shown.first_row + row) < shown.total_rows:
            self._go_to(wanted)
        else:
            super()._move_to(row)

    def _go_to(self, row: int) -> None:
        shown = self._shown
        if shown is None or not 0 <= row < shown.total_rows:
            return
        if shown.first_row <= row < shown.end_row:
            super()._move_to(row - shown.first_row)
            return
        self._key = row
        first = row if row >= shown.end_row else max(0, row - PAGE_ROWS + 1)
        self.post_message(self.PageRequested(self, max(0, min(first, shown.total_rows - PAGE_ROWS))))

    def _columns(self, shown: Page) -> _Columns:
        if self._laid is None or self._laid[0] is not shown or self._laid[1] is not self.glyphs:
            self._laid = (shown, self.glyphs, _laid_columns(shown, self.glyphs))
        return self._laid[2]


@dataclass(frozen=True, slots=True)
class _Columns:
    """A page measured and padded once: cells of a column are of equal width."""

    number_width: int
    names: tuple[str, ...]
    dtypes: tuple[str, ...]
    rows: tuple[tuple[tuple[str, str], ...], ...]

    def visible(self, first: int, width: int) -> int:
        """Return how many columns from the first on fit whole into so many cells; one at least."""
        taken = self.number_width
        for shown, name in enumerate(self.names[first:]):
            taken += len(_GAP) + cell_len(name)
            if taken > width:
                return max(1, shown)
        return max(1, len(self.names) - first)


def _laid_columns(page: Page, glyphs: Glyphs) -> _Columns:
    number_width = len(count(max(page.first_row, page.end_row - 1)))
    padded: list[list[tuple[str, str]]] = []
    names: list[str] = []
    dtypes: list[str] = []
    for index, (name, dtype) in enumerate(page.columns):
        texts = [glyphs.null if row[index] is None else safe(row[index] or "", _TEXT) for row in page.rows]
        head, kind = safe(name, _TEXT), safe(dtype, _TEXT)
        width = min(_CELL, max(map(cell_len, (head, kind, *texts))))
        right = dtype.startswith(_NUMBERS)
        names.append(fit_text(head, width, right=right, ellipsis=glyphs.ellipsis))
        dtypes.append(fit_text(kind, width, right=right, ellipsis=glyphs.ellipsis))
        padded.append([
            (fit_text(text, width, right=right, ellipsis=glyphs.ellipsis), "faint" if row[index] is None else "")
            for text, row in zip(texts, page.rows, strict=True)
        ])  # fmt: skip
    numbers = [
        (fit_text(count(page.first_row + number), number_width, right=True), "faint")
        for number in range(len(page.rows))
    ]
    return _Columns(number_width, tuple(names), tuple(dtypes), tuple(zip(numbers, *padded, strict=True)))


def _row_line(laid: _Columns, cells: Sequence[tuple[str, str]], first: int, width: int, ellipsis: str) -> Line:
    """Return the row's number and its cells from a column on, as many as fit whole."""
    shown = cells[1 + first : 1 + first + laid.visible(first, width)]
    return crop_line((cells[0], *(part for cell in shown for part in ((_GAP, ""), cell))), width, ellipsis)
