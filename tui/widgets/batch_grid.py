"""All batches of the source: one cell each, or one cell for several when there are more batches than cells.

A cell shows the worst state of its batches (`cells.WORST_FIRST`). The pane remembers the chosen batch by its id, so
the choice survives a resize, after which each cell has other batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.cells import cell_len
from textual.binding import Binding
from textual.message import Message

from engine.progress import BatchState
from engine.text.format import count, span
from tui.widgets.drawing.cells import GridShape, grid_shape, worst_states
from tui.widgets.drawing.pane import Pane

if TYPE_CHECKING:
    from textual import events
    from textual.binding import BindingType

    from engine.progress import RunView
    from tui.widgets.drawing.line import Line


class StateLook(NamedTuple):
    """The word for a state of a batch, and the style of its cells."""

    word: str
    style: str


STATE_LOOKS = {
    BatchState.PENDING: StateLook("pending", "bar-rest"),
    BatchState.RUNNING: StateLook("running", "bar-run strong"),
    BatchState.COMPUTED: StateLook("computed", "bar-run"),
    BatchState.COMMITTED: StateLook("done", "bar-good"),
    BatchState.EARLIER: StateLook("earlier", "bar-good-earlier"),
    BatchState.FAILED: StateLook("failed", "bar-bad"),
    BatchState.QUARANTINED: StateLook("quarantined", "warn"),
}
"""In the order of the legend."""


@dataclass(frozen=True, slots=True)
class ShownBatches:
    """The state of each batch, and the number of batches: of all if it `is_known`, else a lower bound."""

    states: bytes
    total: int
    is_known: bool


class BatchGridPane(Pane[ShownBatches]):
    """The grid. Arrow keys move the choice; Enter or a second click posts `Selected`."""

    TITLE = "Batches"
    EMPTY = "no batches yet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Batch before", show=False),
        Binding("right", "move(1)", "Next batch", show=False),
        Binding("up", "move_row(-1)", "Line above", show=False),
        Binding("down", "move_row(1)", "Line below", show=False),
        Binding("home", "move_to_end(False)", "First batch", show=False),
        Binding("end", "move_to_end(True)", "Last batch", show=False),
        Binding("enter", "choose", "Details", show=False),
    ]

    @dataclass
    class Selected(Message):
        """Someone wants to see these batches, both ids inclusive."""

        first_batch_id: int
        last_batch_id: int

    batch_id = 0
    """The chosen batch."""
    _drawn: tuple[object, ...] = ()
    _rows: tuple[tuple[bytes, Line], ...] = ()

    def show(self, view: RunView) -> None:
        """Show the state of each batch."""
        known = view.total_batches is not None
        total = max(view.total_batches or 0, len(view.batch_states))
        self.accept(ShownBatches(view.batch_states, total, known))

    @property
    def selected(self) -> tuple[int, int] | None:
        """First and last batch of the chosen cell, None when there are no batches."""
        grid = self._shape()
        if grid is None:
            return None
        first = self._cell(grid) * grid.per_cell
        return first, min(first + grid.per_cell, grid.total) - 1

    def draw(self, shown: ShownBatches, width: int, height: int) -> list[Line]:
        """Return the lines of cells; a line is computed again only if one of its batches has changed."""
        if not shown.total:
            return []
        grid = grid_shape(shown.total, width, height, is_exact=shown.is_known)
        how = (grid, self.glyphs)
        before = self._rows if how == self._drawn else ()
        length = grid.columns * grid.per_cell
        rows: list[tuple[bytes, Line]] = []
        for number in range(grid.rows):
            states = shown.states[number * length : (number + 1) * length]
            states = states.ljust(min(length, grid.total - number * length), b"\0")
            if number < len(before) and before[number][0] == states:
                rows.append(before[number])
            else:
                rows.append((states, self._line(worst_states(states, grid.per_cell), grid.pitch)))
        self._drawn, self._rows = how, tuple(rows)
        lines = [line for _, line in rows]
        if self.has_focus:
            row, column = divmod(self._cell(grid), grid.columns)
            lines[row] = reverse_cell(lines[row], column * grid.pitch)
        return lines

    def empty_words(self, shown: ShownBatches | None) -> str:
        """Return that there is no batch yet, and whether the size of the source is unknown."""
        return f"{self.EMPTY}: the size of the source is unknown" if shown and not shown.is_known else self.EMPTY

    def heading(self, shown: ShownBatches | None) -> str:
        """Return the title, the number of batches in a cell and, with the focus, the chosen batches."""
        grid = self._shape()
        if grid is None or shown is None:
            return self.title
        parts = [self.title]
        if grid.per_cell > 1:
            parts.append(f"1 cell = {count(grid.per_cell)}")
        selected = self.selected
        if self.has_focus and selected is not None:
            first, last = selected
            worst = worst_states(shown.states[first : last + 1].ljust(last - first + 1, b"\0"), last - first + 1)
            words = STATE_LOOKS[BatchState(worst[0])].word
            parts.append(f"{'batch' if first == last else 'batches'} {span(first, last, self.glyphs.dash)} {words}")
        return f" {self.glyphs.separator} ".join(parts)

    def footing(self, shown: ShownBatches, width: int) -> tuple[str, ...]:
        """Return the legend, the longest that fits."""
        every = [state for state in STATE_LOOKS if state is not BatchState.QUARANTINED or state in shown.states]
        always = {BatchState.PENDING, BatchState.FAILED}
        present = [state for state in every if state in always or state in shown.states]
        for states, gap in ((every, "  "), (every, " "), (present, " ")):
            words = gap.join(f"{self.glyphs.cells[state]} {STATE_LOOKS[state].word}" for state in states)
            if cell_len(words) <= width - 2:
                return (words,)
        return ()

    def action_move(self, cells: int) -> None:
        """Move the choice by this number of cells."""
        grid = self._shape()
        if grid is not None:
            self._choose(grid, self._cell(grid) + cells)

    def action_move_row(self, rows: int) -> None:
        """Move the choice by this number of lines."""
        grid = self._shape()
        if grid is not None and 0 <= self._cell(grid) + rows * grid.columns < grid.cells:
            self._choose(grid, self._cell(grid) + rows * grid.columns)

    def action_move_to_end(self, last: bool) -> None:  # noqa: FBT001 - from a binding's text
        """Choose the last cell, or the first."""
        grid = self._shape()
        if grid is not None:
            self._choose(grid, grid.cells - 1 if last else 0)

    def action_choose(self) -> None:
        """Post which batches are chosen."""
        selected = self.selected
        if selected is not None:
            self.post_message(self.Selected(*selected))

    def on_click(self, event: events.Click) -> None:
        """Choose the cell under the mouse; a click on the chosen cell posts `Selected`."""
        grid = self._shape()
        offset = event.get_content_offset(self)
        if grid is None or offset is None:
            return
        column = offset.x // grid.pitch
        cell = offset.y * grid.columns + column
        if column >= grid.columns or cell >= grid.cells:
            return
        if cell == self._cell(grid):
            self.action_choose()
        else:
            self._choose(grid, cell)

    def on_focus(self) -> None:
        """Draw the cursor."""
        self.redraw()

    def on_blur(self) -> None:
        """Remove the cursor."""
        self.redraw()

    def _shape(self) -> GridShape | None:
        width, height = self.room
        if self._shown is None or not self._shown.total or width < 1 or height < 1:
            return None
        return grid_shape(self._shown.total, width, height, is_exact=self._shown.is_known)

    def _cell(self, grid: GridShape) -> int:
        return min(self.batch_id // grid.per_cell, grid.cells - 1)

    def _choose(self, grid: GridShape, cell: int) -> None:
        self.batch_id = min(max(0, cell), grid.cells - 1) * grid.per_cell
        self.redraw()

    def _line(self, cells: bytes, pitch: int) -> Line:
        """Return one line of cells without a gap after the last, which may not fit into the pane."""
        gap = " " * (pitch - 1)
        parts = [
            ((self.glyphs.cells[state] + gap) * len(list(run)), STATE_LOOKS[BatchState(state)].style)
            for state, run in groupby(cells)
        ]
        parts[-1] = (parts[-1][0].rstrip(), parts[-1][1])
        return tuple(parts)


def reverse_cell(line: Line, column: int) -> Line:
    """Return the line with the glyph of one cell in reverse video: a cursor that needs no colour.

    >>> reverse_cell((("abc", "x"),), 1)
    (('a', 'x'), ('b', 'strong reverse'), ('c', 'x'))
    """
    parts: list[tuple[str, str]] = []
    start = 0
    for text, styles in line:
        at = column - start
        start += cell_len(text)
        if 0 <= at < len(text):
            pieces = ((text[:at], styles), (text[at], "strong reverse"), (text[at + 1 :], styles))
            parts.extend(piece for piece in pieces if piece[0])
        else:
            parts.append((text, styles))
    return tuple(parts)
