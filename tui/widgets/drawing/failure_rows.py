"""Failures as rows: grouped by step and error, filtered, laid out in columns. Pure functions.

Everything here but the numbers comes from user code and data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

from engine.text.terminal_safe import safe
from tui.look.format import count, spans
from tui.widgets.drawing.line import Line, cut_text, fit_text
from tui.widgets.drawing.rows_pane import Row

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from engine.events import BatchFailed
    from tui.look.glyphs import Glyphs

MOST_ROWS = 500
_SOURCE = "source"
_GAP = "  "
_NAME = 100
_MESSAGE = 400
"""Characters of a name and of a message that a row looks at; the detail shows all."""
_ROOM_FOR_TRIES = 50
_PREFIX = re.compile(
    r"^(?:step '.*?' failed at batch \d+ \([^)]*\)|fetching batch \d+ failed|batch \d+ could not be delivered to .*?)"
    r"(?: after \d+ attempts)?: "
)

FailureKindKey = tuple[str | None, str]


@dataclass(frozen=True, slots=True)
class FailureKind:
    """Failures of one step (None: the source) with one type of error, newest first; `name` is what rows call it."""

    step: str | None
    error_type: str
    failures: tuple[BatchFailed, ...]
    name: str

    @property
    def key(self) -> FailureKindKey:
        """What makes it a kind."""
        return self.step, self.error_type


def failure_kinds(
    failures: Iterable[BatchFailed], text: str = "", sinks: Collection[str] = ()
) -> tuple[FailureKind, ...]:
    """Return the kinds among failures that have the text; `failures` come oldest first, kinds newest first.

    A failure whose step is one of `sinks` is that sink's.
    """
    groups: dict[FailureKindKey, list[BatchFailed]] = {}
    for failure in reversed(tuple(failures)):
        if failure_matches(failure, text, sinks):
            groups.setdefault((failure.step, failure.error_type), []).append(failure)
    return tuple(
        FailureKind(step, error_type, tuple(found), failure_place(step, sinks))
        for (step, error_type), found in groups.items()
    )


def failure_matches(failure: BatchFailed, text: str, sinks: Collection[str] = ()) -> bool:
    """Return whether step or sink, error, message or batch id have the text in them, in either case."""
    wanted = text.casefold()
    fields = (failure_place(failure.step, sinks), failure.error_type, failure.message, str(failure.batch_id))
    return any(wanted in field.casefold() for field in (*fields, count(failure.batch_id)))


def failure_reason(message: str) -> str:
    """Return the message without what a row says already: which step, which batch.

    >>> failure_reason("step 'parse' failed at batch 21 (rows 210,000 to 219,999): ValueError: no number")
    'ValueError: no number'
    """
    return _PREFIX.sub("", message)


def failure_place(step: str | None, sinks: Collection[str] = ()) -> str:
    """Return the step's name, `source` for failures before the first step, and a sink's name as one.

    >>> failure_place(None), failure_place("parse"), failure_place("orders in a.duckdb", {"orders in a.duckdb"})
    ('source', 'parse', 'sink orders in a.duckdb')
    """
    if step is None:
        return _SOURCE
    return f"sink {safe(step, _NAME)}" if step in sinks else safe(step, _NAME)


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells; `margin` belongs to the mark of kinds that can be unfolded, `tries` may be 0."""

    margin: int
    step: int
    batches: int
    tries: int
    error: int
    message: int

    def line(self, cells: Sequence[str], ellipsis: str) -> list[str]:
        """Return the cells, each cut and padded to its column and followed by a gap."""
        widths = (self.margin + self.step, self.batches, self.tries, self.error, self.message)
        every = zip(cells, widths, strict=True)
        return [fit_text(text, width, ellipsis=ellipsis) + _GAP if width else "" for text, width in every]


def columns(groups: Sequence[FailureKind], width: int) -> Columns:
    """Return the widths for so many cells: the message gets what the rest leaves."""
    step = min(max([len("step"), *(cell_len(kind.name) for kind in groups)]), max(8, width // 4))
    error = min(max([len("error"), *(cell_len(safe(kind.error_type, _NAME)) for kind in groups)]), max(8, width // 4))
    batches = min(max([len("batches"), *(cell_len(_batches(kind, "-")) for kind in groups)]), max(7, width // 5))
    tries = len("tries") if width >= _ROOM_FOR_TRIES else 0
    margin = 2 if any(len(kind.failures) > 1 for kind in groups) else 0
    fixed = (margin + step, batches, tries, error)
    room = width - sum(column + len(_GAP) for column in fixed if column)
    return Columns(margin, step, batches, tries, error, max(0, room))


def header(widths: Columns, ellipsis: str) -> Line:
    """Return the column names."""
    names = (" " * widths.margin + "step", "batches", "tries", "error", "message")
    return (("".join(widths.line(names, ellipsis)).rstrip(), "muted"),)


def rows(
    groups: Sequence[FailureKind], unfolded: frozenset[FailureKindKey], widths: Columns, glyphs: Glyphs
) -> list[Row]:
    """Return a row for each kind, and one for each failure of those that are unfolded; at most `MOST_ROWS`."""
    found: list[Row] = []
    for kind in groups:
        is_unfolded = kind.key in unfolded
        mark = (glyphs.unfolded if is_unfolded else glyphs.folded) if len(kind.failures) > 1 else " "
        name = f"{mark} {kind.name}" if widths.margin else kind.name
        tries = sum(failure.attempts for failure in kind.failures)
        found.append(Row(kind.key, _line(name, _batches(kind, glyphs.dash), tries, kind.failures[0], widths, glyphs)))
        if is_unfolded:
            found.extend(_single(failure, widths, glyphs) for failure in kind.failures)
    return found[:MOST_ROWS]


def _single(failure: BatchFailed, widths: Columns, glyphs: Glyphs) -> Row:
    name = f"  {glyphs.branch} run {failure.run_id}"
    return Row(failure, _line(name, count(failure.batch_id), failure.attempts, failure, widths, glyphs))


def _line(name: str, batches: str, tries: int, failure: BatchFailed, widths: Columns, glyphs: Glyphs) -> Line:  # noqa: PLR0917 - the columns
    message = cut_text(safe(failure_reason(failure.message), _MESSAGE), widths.message, glyphs.ellipsis)
    cells = widths.line((name, batches, f"{tries:,}", safe(failure.error_type, _NAME), ""), glyphs.ellipsis)
    return (("".join(cells[:3]), ""), (cells[3], "bad"), (message, ""))


def _batches(kind: FailureKind, dash: str) -> str:
    return spans((failure.batch_id for failure in kind.failures), dash, limit=2)
