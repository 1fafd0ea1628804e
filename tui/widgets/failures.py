"""What went wrong: one row for each kind of failure, that is step and error, newest first; its single failures below.

At most `MOST_ROWS` rows are drawn. The choice is kept when failures come, and as long as the filter lets it pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.message import Message

from engine.text.terminal_safe import safe
from tui.look.format import counted
from tui.widgets.drawing.failure_rows import (
    FailureKind,
    FailureKindKey,
    columns,
    failure_kinds,
    failure_matches,
    header,
    rows,
)
from tui.widgets.drawing.line import NO_LINE, Line, cut_text
from tui.widgets.drawing.rows_pane import Row, RowsPane

if TYPE_CHECKING:
    from collections.abc import Hashable

    from textual.binding import BindingType

    from engine.events import BatchFailed
    from engine.progress.view import RunView

Shown = tuple["BatchFailed", ...]
_FILTER = 30
"""Characters of the filter that are repeated."""


class FailuresPane(RowsPane[Shown]):
    """The failures. Enter tells the newest of a kind, right unfolds a kind, left folds it."""

    TITLE = "5 Failures"
    PINNED_TOP: ClassVar[int] = 1
    EMPTY = "no failures"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "unfold(True)", "Unfold", show=False),
        Binding("left", "unfold(False)", "Fold", show=False),
    ]

    class Highlighted(Message):
        """Someone moved to this failure."""

        def __init__(self, pane: FailuresPane, failure: BatchFailed) -> None:
            super().__init__()
            self.pane = pane
            self.failure = failure

        @property
        def control(self) -> FailuresPane:
            """The list."""
            return self.pane

    class Selected(Highlighted):
        """Someone wants to see this failure whole."""

    _filter = ""
    _unfolded: frozenset[FailureKindKey] = frozenset()
    _kinds: tuple[FailureKind, ...] = ()
    _sinks: frozenset[str] = frozenset()

    def show(self, view: RunView) -> None:
        """Show the failures of all runs."""
        self._sinks = frozenset(sink.name for sink in view.sinks)
        self.accept(view.failures)

    def set_filter(self, text: str) -> None:
        """Show only failures with this text, in either case, in step, error, message or batch id."""
        self._filter = text.strip()
        self.build_again()

    @property
    def selected(self) -> BatchFailed | None:
        """The failure that enter would tell: of a kind its newest."""
        return self._failure_at(self.cursor_key)

    def rows(self, shown: Shown, width: int) -> list[Row]:
        """Return the rows that pass the filter."""
        self._kinds = failure_kinds(shown, self._filter, self._sinks)
        return rows(self._kinds, self._unfolded, columns(self._kinds, width), self.glyphs)

    def header(self, shown: Shown, width: int) -> list[Line]:  # noqa: ARG002 - columns are those of the kinds
        """Return the column names."""
        return [header(columns(self._kinds, width), self.glyphs.ellipsis)]

    def empty_words(self, shown: Shown) -> str:
        """Return that there are none, or none that pass the filter."""
        return f"no failure has {safe(self._filter, _FILTER)!r} in it" if shown and self._filter else self.EMPTY

    def footing(self, shown: Shown | None, width: int) -> Line:
        """Return the filter, or how rows are made."""
        if not shown:
            return NO_LINE
        words = "grouped by step + error"
        if self._filter:
            passing = sum(failure_matches(failure, self._filter, self._sinks) for failure in shown)
            words = f"filter {safe(self._filter, _FILTER)!r}: {passing:,} of {counted(len(shown), 'failure')}"
        return ((cut_text(words, max(0, width - 2), self.glyphs.ellipsis), ""),)

    def pointed(self, key: Hashable) -> None:
        """Tell where the choice is."""
        failure = self._failure_at(key)
        if failure is not None:
            self.post_message(self.Highlighted(self, failure))

    def chosen(self, key: Hashable) -> None:
        """Tell what was chosen."""
        failure = self._failure_at(key)
        if failure is not None:
            self.post_message(self.Selected(self, failure))

    def action_unfold(self, unfold: bool) -> None:  # noqa: FBT001 - from a binding's text
        """Show the single failures of the chosen kind, or hide them."""
        failure = self.selected
        if failure is None:
            return
        key = (failure.step, failure.error_type)
        is_several = any(kind.key == key and len(kind.failures) > 1 for kind in self._kinds)
        self._key = self.cursor_key if unfold else key
        self._unfolded = self._unfolded | {key} if unfold and is_several else self._unfolded - {key}
        self.build_again()

    def _failure_at(self, key: Hashable) -> BatchFailed | None:
        for kind in self._kinds:
            if key == kind.key:
                return kind.failures[0]
            for failure in kind.failures:
                if key == failure:
                    return failure
        return None
