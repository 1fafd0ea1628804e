"""The runs of this checkpoint, newest first, the one that runs now on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from engine import RunState
from engine.text.format import counted, duration, percent
from tui.widgets.drawing.line import Line, fit_text
from tui.widgets.drawing.rows_pane import Listing, Row, RowsPane
from tui.widgets.drawing.styles import RUN_STYLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import RunRecord
    from engine.progress import RunView
    from tui.look.glyphs import Glyphs

MOST_RUNS = 500
_WORD_LEAST = 8


@dataclass(frozen=True, slots=True)
class ShownRuns:
    """What the list draws: the records, newest first, and of the view what it needs of the run that it is of."""

    records: tuple[RunRecord, ...]
    run_id: int | None
    state: RunState
    elapsed: str
    rows_done: int
    source_rows: int | None
    failures: tuple[int, ...]
    """The run of each failure."""

    @property
    def word_width(self) -> int:
        """How wide the column of states is, in cells."""
        return max(_WORD_LEAST, *(len(state.outcome) for state in (self.state, *(run.state for run in self.records))))


class RunsPane(RowsPane[ShownRuns, tuple[int, "RunRecord | None"]]):
    """What each run came to. Enter tells which one is chosen."""

    TITLE = "Runs"
    EMPTY = "no runs yet"

    @dataclass
    class Selected(Message):
        """Someone wants to see this run. `record` is None for one that the catalog's history doesn't have yet."""

        run_id: int
        record: RunRecord | None

    records: Sequence[RunRecord] = ()
    """The history, in any order, as the next `show` finds it."""

    def show(self, view: RunView) -> None:
        """Show the history, and the run of the view where it knows more."""
        newest = sorted(self.records, key=lambda record: record.run_id, reverse=True)[:MOST_RUNS]
        self.accept(
            ShownRuns(
                tuple(newest),
                view.run_id,
                view.state,
                duration(view.elapsed_seconds),
                view.rows_committed_in_run,
                view.info.source_rows,
                tuple(failure.run_id for failure in view.failures),
            )
        )

    def listing(self, shown: ShownRuns, width: int) -> Listing[tuple[int, RunRecord | None]]:  # noqa: ARG002 - lines are cropped
        """Return a row a run."""
        margin = len(f"#{max([shown.run_id or 0, *(record.run_id for record in shown.records)])}")
        rows: list[Row[tuple[int, RunRecord | None]]] = [
            Row(record.run_id, record_line(record, shown, margin, self.glyphs), (record.run_id, record))
            for record in shown.records
            if record.run_id != shown.run_id or record.ended_at is not None
        ]
        if shown.run_id is not None and all(row.key != shown.run_id for row in rows):
            record = next((record for record in shown.records if record.run_id == shown.run_id), None)
            live = live_line(shown, margin, self.glyphs)
            rows.insert(0, Row(shown.run_id, live, (shown.run_id, record)))
        return Listing(rows)

    def footing(self, shown: ShownRuns, width: int) -> tuple[str, ...]:  # noqa: ARG002 - the pane cuts it
        """Return what enter does."""
        return ("enter: details",) if shown.records or shown.run_id is not None else ()

    def chosen(self, item: tuple[int, RunRecord | None]) -> None:
        """Post which run was chosen."""
        self.post_message(self.Selected(*item))


def live_line(shown: ShownRuns, margin: int, glyphs: Glyphs) -> Line:
    """Return the line of the run that the view is of."""
    state, word = (RunState.RUNNING, "now") if shown.state.is_live else (shown.state, shown.state.outcome)
    run_id = shown.run_id or 0
    head = _head(f"#{run_id:<{margin - 1}}", state, fit_text(word, shown.word_width), shown.elapsed, glyphs)
    return head + _tail(run_id, shown.rows_done, shown, glyphs)


def record_line(record: RunRecord, shown: ShownRuns, margin: int, glyphs: Glyphs) -> Line:
    """Return the line of a run of the catalog."""
    seconds = None if record.ended_at is None else (record.ended_at - record.started_at).total_seconds()
    number = f"#{record.run_id:<{margin - 1}}"
    head = _head(number, record.state, fit_text(record.state.outcome, shown.word_width), duration(seconds), glyphs)
    return head + _tail(record.run_id, record.rows_done, shown, glyphs)


def _head(number: str, state: RunState, word: str, took: str, glyphs: Glyphs) -> Line:
    return (
        (number, "muted"),
        (f" {glyphs.runs[state]} {word}", RUN_STYLES[state]),
        (f" {fit_text(took, 6, right=True)}", ""),
    )


def _tail(run_id: int, rows: int | None, shown: ShownRuns, glyphs: Glyphs) -> Line:
    """Return what the run did, as its share of the source or in rows, and its failures."""
    done = ""
    if rows is not None and shown.source_rows:
        done = f" {fit_text(percent(rows / shown.source_rows, 0), 4, right=True)}"
    elif rows is not None:
        done = f"  {counted(rows, 'row')}"
    failures = shown.failures.count(run_id)
    failed = f"  {glyphs.failed} {failures:,}" if failures else ""
    return tuple(part for part in ((done, ""), (failed, "bad")) if part[0])
