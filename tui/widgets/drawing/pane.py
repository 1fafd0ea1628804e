"""The base of all panes: a border with a title, and lines that are drawn from one immutable value.

A pane gets a value and computes its lines from that value alone; only lines that differ from those on the screen are
painted again. It never looks at a clock, a file, a thread or the engine, and never parses markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip

from engine.text.terminal_safe import safe
from tui.look.glyphs import UNICODE, Glyphs
from tui.widgets.drawing import styles
from tui.widgets.drawing.line import Line, centre_words, crop_line, join_fitting, line_text, line_width

if TYPE_CHECKING:
    from textual.binding import BindingType

    from engine.progress import RunView

Shown = TypeVar("Shown")

_SCROLLBAR = 1
"""The last column is the scrollbar's, blank without one: lines stay as they are when it comes and goes."""
_CORNERS = 2
"""Cells of the lower border that its text leaves free."""
_REVERSED = Style(reverse=True)


class AsciiScrollBarRender(ScrollBarRender):
    """A bar of whole cells: its ends aren't drawn with eighths of blocks."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "]


class Pane(ScrollView, Generic[Shown], can_focus=True):
    """A focusable pane that draws lines. A subclass defines `draw`, and may define `show`, `heading` and `footing`.

    `title` replaces the pane's own. The glyphs are those of the app (its attribute `glyphs`, `UNICODE` without one).
    If the screen sets `border_title`, the pane leaves it as it is until its own `heading` changes (that of the batch
    grid does).
    """

    ALLOW_SELECT = False
    TITLE: ClassVar[str] = ""
    EMPTY: ClassVar[str] = ""
    """The words in the middle of a pane that has no lines."""
    pinned_top = 0
    """How many lines at the top don't scroll."""
    pinned_bottom = 0
    BINDINGS: ClassVar[list[BindingType]] = []
    COMPONENT_CLASSES: ClassVar[set[str]] = set(styles.COMPONENT_CLASSES)
    DEFAULT_CSS = styles.CSS

    glyphs: Glyphs = UNICODE

    def __init__(self, *, title: str | None = None, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.title = self.TITLE if title is None else title
        self._shown: Shown | None = None
        self._notice: Line | None = None
        self._lines: list[Line] = []
        self._scrolls = False
        """Whether there are more lines than rows: then a cell is left free before the scrollbar."""
        self.heading_text = self.title
        """The upper border's words."""
        self.border_title = _border_text(self.title)
        self.footing_text = ""
        """The lower border's words."""

    # --- what a subclass defines ------------------------------------------------------------------------------

    def show(self, view: RunView) -> None:
        """Show the run as it is now. A pane that shows something else does nothing."""

    def draw(self, shown: Shown, width: int, height: int) -> list[Line]:
        """Return all lines, with the pinned ones, for `width` cells; if there are more than `height`, they scroll."""
        raise NotImplementedError

    def empty_words(self, shown: Shown | None) -> str:  # noqa: ARG002 - for subclasses that know why there is nothing
        """Return the words for a pane without lines; `shown` is None until the first value comes."""
        return self.EMPTY

    def heading(self, shown: Shown | None) -> str:  # noqa: ARG002 - for subclasses that have more to say
        """Return the title in the upper border."""
        return self.title

    def footing(self, shown: Shown, width: int) -> tuple[str, ...]:  # noqa: ARG002 - the same
        """Return the parts of the text in the lower border, the important ones first: the last may not fit."""
        return ()

    # --- what the screen calls --------------------------------------------------------------------------------

    def show_loading(self, words: str = "loading") -> None:
        """Show that something is being read, until the next value comes."""
        self._notice = ((f"{self.glyphs.waiting} {words}", "muted"),)
        self.redraw()

    def show_problem(self, words: str) -> None:
        """Show why there is nothing to show, until the next value comes. `words` may be foreign."""
        self._notice = ((f"{self.glyphs.failed} ", "bad"), (safe(words), ""))
        self.redraw()

    @property
    def room(self) -> Size:
        """The cells that can be drawn in: all but the scrollbar's column."""
        width, height = self.size
        return Size(max(0, width - _SCROLLBAR), height)

    @property
    def shown_text(self) -> str:
        """The lines without their styles, also those that are scrolled away."""
        return "\n".join(line_text(line).rstrip() for line in self._lines)

    # --- how it is drawn --------------------------------------------------------------------------

    def accept(self, shown: Shown) -> None:
        """Show this value; nothing is painted if it equals the one that is shown."""
        if self._notice is None and self._shown is not None and shown == self._shown:
            return
        self._notice = None
        self._shown = shown
        self.redraw()

    def redraw(self) -> None:
        """Compute the lines, and repaint those that differ from the ones on the screen."""
        width, height = self.room
        if not self.is_mounted or width < 1 or height < 1:
            return
        lines = self._compute(width - self._scrolls, height)
        if (len(lines) > height) != self._scrolls:
            self._scrolls = len(lines) > height
            lines = self._compute(width - self._scrolls, height)
        self._dress()
        before, self._lines = self._lines, lines
        if len(lines) != len(before):
            self.refresh()
        else:
            changed = [index for index, line in enumerate(lines) if line != before[index]]
            rows = [y for y in map(self._row_of, changed) if 0 <= y < height]
            if rows:
                self.refresh(*(Region(0, y, width, 1) for y in rows))
        # Setting it lays the pane out again, so only when it differs; and last, because that may resize it.
        virtual_size = Size(width, max(len(lines), 1))
        if virtual_size != self.virtual_size:
            self.virtual_size = virtual_size

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        width = self.room.width
        index = self.line_at(y)
        base = self._style("")
        if not 0 <= index < len(self._lines):
            return Strip.blank(width, base)
        line = crop_line(self._lines[index], width, self.glyphs.ellipsis)
        segments = [Segment(text, self._style(names)) for text, names in line if text]
        padding = width - line_width(line)
        if padding:
            segments.append(Segment(" " * padding, base))
        return Strip(segments, width)

    def line_at(self, y: int) -> int:
        """Return the index of the line that is drawn in this row of the pane."""
        overflow = len(self._lines) - self.size.height
        if y < self.pinned_top or overflow <= 0:
            return y
        if y >= self.size.height - self.pinned_bottom:
            return y + overflow
        return y + min(round(self.scroll_y), overflow)

    def on_mount(self) -> None:
        """Take the app's glyphs, if it has any."""
        self.glyphs = getattr(self.app, "glyphs", UNICODE)
        if self.glyphs.is_ascii:
            self.add_class("-ascii")
            self.vertical_scrollbar.renderer = AsciiScrollBarRender  # type: ignore[misc]  # Textual's documented way
        self.redraw()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.redraw()

    def _compute(self, width: int, height: int) -> list[Line]:
        notice = self._notice
        if notice is None:
            lines = [] if self._shown is None else self.draw(self._shown, width, height)
            words = "" if lines else self.empty_words(self._shown)
            if not words:
                return lines
            notice = ((words, "muted"),)
        return centre_words(notice, width, height)

    def _dress(self) -> None:
        heading = self.heading(self._shown)
        if heading != self.heading_text:
            self.heading_text = heading
            self.border_title = _border_text(heading)
        width = self.room.width
        parts = self.footing(self._shown, width) if self._notice is None and self._shown is not None else ()
        separator = (f" {self.glyphs.separator} ", "")
        room = max(0, width - _CORNERS)
        footing = line_text(join_fitting([((part, ""),) for part in parts], separator, room, self.glyphs.ellipsis))
        if footing != self.footing_text:
            self.footing_text = footing
            self.border_subtitle = _border_text(footing)

    def _row_of(self, index: int) -> int:
        """Return the row of the pane where a line is now; a row outside of the pane if the line is scrolled away."""
        height = self.size.height
        overflow = len(self._lines) - height
        if index < self.pinned_top or overflow <= 0:
            return index
        if index >= len(self._lines) - self.pinned_bottom:
            return index - overflow
        row = index - round(self.scroll_y)
        return row if self.pinned_top <= row < height - self.pinned_bottom else -1

    def _style(self, names: str) -> Style:
        style = self.get_visual_style(*styles.component_classes(names)).rich_style
        return style + _REVERSED if styles.REVERSE in names else style


def _border_text(text: str) -> Content | None:
    """Return a border's text; a `Content` that is made here is never parsed as markup."""
    return Content(text) if text else None
