"""One thing whole: the failure, the batch or the run that was chosen elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.widgets.drawing.blocks import Block, block_lines, block_text
from tui.widgets.drawing.describe import (
    batch_blocks,
    failure_blocks,
    row_blocks,
    run_blocks,
    text_blocks,
)
from tui.widgets.drawing.pane import Pane

if TYPE_CHECKING:
    from engine import FailureRecord, Manifest, QuarantinedRow, RunRecord
    from tui.widgets.drawing.line import Line


class DetailPane(Pane[tuple[Block, ...]]):
    """Text that scrolls. `keys` is the text in the lower border, such as `c copy · r retry`."""

    TITLE = "Detail"
    EMPTY = "enter on a failure, a batch or a run shows it here"
    keys = ""

    def show_failure(self, failure: FailureRecord | None, *, of_sink: bool = False) -> None:
        """Show a failure whole, or nothing."""
        self.show_blocks(() if failure is None else failure_blocks(failure, self.glyphs.dash, of_sink=of_sink))

    def show_row(self, row: QuarantinedRow) -> None:
        """Show a row in quarantine."""
        self.show_blocks(row_blocks(row, self.glyphs.null))

    def show_batch(self, manifest: Manifest) -> None:
        """Show a finished batch."""
        self.show_blocks(batch_blocks(manifest, self.glyphs.dash))

    def show_run(self, record: RunRecord) -> None:
        """Show a run."""
        self.show_blocks(run_blocks(record, self.glyphs.dash))

    def show_text(self, title: str, text: str) -> None:
        """Show anything else; both may be foreign."""
        self.show_blocks(text_blocks(title, text))

    def set_keys(self, words: str) -> None:
        """Say in the lower border what can be done."""
        self.keys = words
        self.redraw()

    @property
    def plain_text(self) -> str:
        """What is shown, to be copied: unwrapped, uncut, safe for a terminal; empty when nothing is."""
        return block_text(self._shown or ())

    def draw(self, shown: tuple[Block, ...], width: int, height: int) -> list[Line]:  # noqa: ARG002 - it may scroll
        """Return the text for this width."""
        return block_lines(shown, width, self.glyphs.ellipsis)

    def footing(self, shown: tuple[Block, ...], width: int) -> tuple[str, ...]:  # noqa: ARG002 - the pane cuts it
        """Return the keys."""
        return (self.keys,) if shown else ()

    def show_blocks(self, blocks: tuple[Block, ...]) -> None:
        """Show these blocks, from their beginning unless they are shown already."""
        is_another = blocks != self._shown
        self.accept(blocks)
        if is_another:
            self.scroll_home(animate=False)
