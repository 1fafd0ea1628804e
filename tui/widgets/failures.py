"""What went wrong: one row for each kind of failure, that is step and error, newest first; its single failures below.

At most `MOST_ROWS` rows are drawn. The choice is kept when failures come, and as long as the filter lets it pass.
Everything here but the numbers comes from user code and data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.message import Message

from engine.text.format import count, counted, spans
from engine.text.terminal_safe import safe
from tui.widgets.drawing.describe import failure_place, failure_reason
from tui.widgets.drawing.rows_pane import Listing, Row, RowsPane
from tui.widgets.drawing.table import TableColumn, list_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from textual.binding import BindingType

    from engine import FailureRecord
    from engine.progress import RunView
    from tui.look.glyphs import Glyphs

MOST_ROWS = 500
_NAME = 100
_MESSAGE = 400
"""Characters of a name and of a message that a row looks at; the detail shows all."""
_ROOM_FOR_TRIES = 50
_FILTER = 30
"""Characters of the filter that are repeated."""

FailureKindKey = tuple[str | None, str]
FailuresAndSinks = tuple[tuple["FailureRecord", ...], frozenset[str]]
"""Failures, the oldest first, and the names of the sinks among the steps that they name."""


class FailuresPane(RowsPane[FailuresAndSinks, "FailureRecord"]):
    """The failures. Enter opens the newest of a kind, right unfolds a kind, left folds it."""

    TITLE = "Failures"
    EMPTY = "no failures"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "unfold(True)", "Unfold", show=False),
        Binding("left", "unfold(False)", "Fold", show=False),
    ]

    @dataclass
    class Highlighted(Message):
        """Someone moved to this failure."""

        failure: FailureRecord

    class Selected(Highlighted):
        """Someone wants to see this failure whole."""

    _filter = ""
    _unfolded: frozenset[FailureKindKey] = frozenset()

    def show(self, view: RunView) -> None:
        """Show the failures of all runs."""
        self.accept((view.failures, frozenset(sink.name for sink in view.sinks)))

    def set_filter(self, text: str) -> None:
        """Show only failures with this text, in either case, in step, error, message or batch id."""
        self._filter = text.strip()
        self.build_again()

    def listing(self, shown: FailuresAndSinks, width: int) -> Listing[FailureRecord]:
        """Return the failures that pass the filter."""
        return failure_listing(self._kinds(shown), self._unfolded, width, self.glyphs)

    def empty_words(self, shown: FailuresAndSinks | None) -> str:
        """Return that there are none, or none that pass the filter."""
        is_filtered = shown and shown[0] and self._filter
        return f"no failure has {safe(self._filter, _FILTER)!r} in it" if is_filtered else self.EMPTY

    def footing(self, shown: FailuresAndSinks, width: int) -> tuple[str, ...]:  # noqa: ARG002 - the pane cuts it
        """Return the filter, or how rows are made."""
        failures, sinks = shown
        if not self._filter or not failures:
            return ("grouped by step + error",) if failures else ()
        passing = sum(failure_matches(failure, self._filter, sinks) for failure in failures)
        return (f"filter {safe(self._filter, _FILTER)!r}: {passing:,} of {counted(len(failures), 'failure')}",)

    def pointed(self, item: FailureRecord) -> None:
        """Post where the choice is."""
        self.post_message(self.Highlighted(item))

    def chosen(self, item: FailureRecord) -> None:
        """Post what was chosen."""
        self.post_message(self.Selected(item))

    def action_unfold(self, unfold: bool) -> None:  # noqa: FBT001 - from a binding's text
        """Show the single failures of the chosen kind, or hide them."""
        failure = self.selected
        if failure is None or self._shown is None:
            return
        kind = next(kind for kind in self._kinds(self._shown) if failure in kind.failures)
        self.wanted_key = self.cursor_key if unfold else kind.key
        is_unfolded = unfold and len(kind.failures) > 1
        self._unfolded = self._unfolded | {kind.key} if is_unfolded else self._unfolded - {kind.key}
        self.build_again()

    def _kinds(self, shown: FailuresAndSinks) -> tuple[FailureKind, ...]:
        failures, sinks = shown
        return failure_kinds(failures, self._filter, sinks)


@dataclass(frozen=True, slots=True)
class FailureKind:
    """Failures of one step (None: the source) with one type of error, newest first; `name` is the step's in a row."""

    step: str | None
    error_type: str
    failures: tuple[FailureRecord, ...]
    name: str

    @property
    def key(self) -> FailureKindKey:
        """What makes it a kind."""
        return self.step, self.error_type


def failure_kinds(
    failures: Iterable[FailureRecord], text: str = "", sinks: Collection[str] = ()
) -> tuple[FailureKind, ...]:
    """Return the kinds among failures that have the text; `failures` come oldest first, kinds newest first.

    A failure whose step is one of `sinks` is that sink's.
    """
    groups: dict[FailureKindKey, list[FailureRecord]] = {}
    for failure in reversed(tuple(failures)):
        if failure_matches(failure, text, sinks):
            groups.setdefault((failure.step, failure.error_type), []).append(failure)
    return tuple(
        FailureKind(step, error_type, tuple(found), _row_name(step, sinks))
        for (step, error_type), found in groups.items()
    )


def failure_matches(failure: FailureRecord, text: str, sinks: Collection[str] = ()) -> bool:
    """Return whether step or sink, error, message or batch id have the text in them, in either case."""
    wanted = text.casefold()
    fields = (_row_name(failure.step, sinks), failure.error_type, failure.message, str(failure.batch_id))
    return any(wanted in field.casefold() for field in (*fields, count(failure.batch_id)))


def failure_listing(
    kinds: Sequence[FailureKind], unfolded: frozenset[FailureKindKey], width: int, glyphs: Glyphs
) -> Listing[FailureRecord]:
    """Return a row for each kind, and one for each failure of those that are unfolded; at most `MOST_ROWS`."""
    margin = "  " if any(len(kind.failures) > 1 for kind in kinds) else ""
    entries = [entry for kind in kinds for entry in _entries(kind, margin, unfolded, glyphs)][:MOST_ROWS]
    quarter = max(8, width // 4)
    tries = TableColumn("tries", [f"{entry.tries:,}" for entry in entries])
    columns = [
        TableColumn(f"{margin}step", [entry.name for entry in entries], most=len(margin) + quarter),
        TableColumn("batches", [entry.batches for entry in entries], most=max(7, width // 5)),
        *([tries] if width >= _ROOM_FOR_TRIES else []),
        TableColumn("error", [safe(entry.failure.error_type, _NAME) for entry in entries], "bad", most=quarter),
        TableColumn("message", [safe(failure_reason(entry.failure.message), _MESSAGE) for entry in entries]),
    ]
    header, *lines = list_lines(columns, width, glyphs.ellipsis)
    return Listing([Row(entry.key, line, entry.failure) for entry, line in zip(entries, lines, strict=True)], [header])


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row before it is laid out: a kind with its newest failure, or a single failure."""

    key: FailureKindKey | FailureRecord
    name: str
    batches: str
    tries: int
    failure: FailureRecord


def _entries(kind: FailureKind, margin: str, unfolded: frozenset[FailureKindKey], glyphs: Glyphs) -> Iterator[_Entry]:
    is_unfolded = kind.key in unfolded
    mark = (glyphs.unfolded if is_unfolded else glyphs.folded) if len(kind.failures) > 1 else " "
    batches = spans((failure.batch_id for failure in kind.failures), glyphs.dash, limit=2)
    tries = sum(failure.attempts for failure in kind.failures)
    yield _Entry(
        kind.key, f"{mark:{len(margin)}}{kind.name}" if margin else kind.name, batches, tries, kind.failures[0]
    )
    for failure in kind.failures if is_unfolded else ():
        name = f"  {glyphs.branch} run {failure.run_id}"
        yield _Entry(failure, name, count(failure.batch_id), failure.attempts, failure)


def _row_name(step: str | None, sinks: Collection[str]) -> str:
    return failure_place(step, is_sink=step in sinks, limit=_NAME)
