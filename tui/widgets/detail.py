"""One thing whole: the failure, the batch or the run that was chosen elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.widgets.drawing.describe import (
    Block,
    batch_blocks,
    block_lines,
    block_text,
    failure_blocks,
    row_blocks,
    run_blocks,
    text_blocks,
)
from tui.widgets.drawing.line import NO_LINE, Line, centre_words, cut_text
from tui.widgets.drawing.pane import Pane

if TYPE_CHECKING:
    from engine.checkpoint.catalog.records import RunRecord
    from engine.checkpoint.parts.manifest import Manifest
    from engine.events import BatchFailed
    from engine.results.quarantine import QuarantinedRow

_EMPTY = "enter on a failure, a batch or a run shows it here"


class DetailPane(Pane[tuple[Block, ...]]):
    """Text that scrolls. `keys` is what stands in the lower border, such as `c copy · r retry`."""

    TITLE = "Detail"
    keys = ""

    def show_failure(self, failure: BatchFailed | None, *, of_sink: bool = False) -> None:
        """Show a failure whole, or nothing."""
        self._take(() if failure is None else failure_blocks(failure, self.glyphs.dash, of_sink=of_sink))

    def show_row(self, row: QuarantinedRow) -> None:
        """Show a row in quarantine."""
        self._take(row_blocks(row, self.glyphs.null))

    def show_batch(self, manifest: Manifest) -> None:
        """Show a finished batch."""
        self._take(batch_blocks(manifest, self.glyphs.dash))

    def show_run(self, record: RunRecord) -> None:
        """Show a run."""
        self._take(run_blocks(record, self.glyphs.dash))

    def show_text(self, title: str, text: str) -> None:
        """Show anything else; both may be foreign."""
        self._take(text_blocks(title, text))

    def set_keys(self, words: str) -> None:
        """Say in the lower border what can be done."""
        self.keys = words
        self.redraw()

    @property
    def plain_text(self) -> str:
        """What is shown, to be copied: unwrapped, uncut, safe for a terminal; empty when nothing is."""
        return block_text(self._shown or ())

    def draw(self, shown: tuple[Block, ...], width: int, height: int) -> list[Line]:
        """Return the text for this width."""
        if not shown:
            return self.draw_nothing(width, height)
        return block_lines(shown, width, self.glyphs.ellipsis)

    def draw_nothing(self, width: int, height: int) -> list[Line]:
        """Return the look of an empty pane."""
        return centre_words(((_EMPTY, "muted"),), width, height)

    def footing(self, shown: tuple[Block, ...] | None, width: int) -> Line:
        """Return the keys."""
        return ((cut_text(self.keys, max(0, width - 2), self.glyphs.ellipsis), ""),) if shown and self.keys else NO_LINE

    def _take(self, blocks: tuple[Block, ...]) -> None:
        is_another = blocks != self._shown
        self.accept(blocks)
        if is_another:
            self.scroll_home(animate=False)
