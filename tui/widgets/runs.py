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

_WORD_LEAST = 8

RunsAndView = tuple[tuple["RunRecord", ...], "RunView"]
"""The records, newest first, and the view, which has the current run."""
ShownRun = tuple[int, "RunRecord | None"]


class RunsPane(RowsPane[RunsAndView, ShownRun]):
    """How each run ended, or how far it is. Enter posts which run is chosen."""

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
        """Show the history, and the current run as the view has it."""
        self.accept((tuple(sorted(self.records, key=lambda record: record.run_id, reverse=True)), view))

    def listing(self, shown: RunsAndView, width: int) -> Listing[ShownRun]:  # noqa: ARG002 - lines are cropped
        """Return a row for each run; the current one comes from the view until its record says how it ended."""
        records, view = shown
        margin = len(f"{max([view.run_id or 0, *(record.run_id for record in records)])}")
        word_width = max(_WORD_LEAST, len(view.state.outcome), *(len(run.state.outcome) for run in records))

        def line(run_id: int, state: RunState, word: str, seconds: float | None, rows: int | None) -> Line:
            return (
                (f"#{run_id:<{margin}}", "muted"),
                (f" {self.glyphs.runs[state]} {fit_text(word, word_width)}", RUN_STYLES[state]),
                (f" {fit_text(duration(seconds), 6, right=True)}", ""),
                *_done_and_failed(run_id, rows, view, self.glyphs),
            )

        rows: list[Row[ShownRun]] = []
        for run in records:
            if run.run_id != view.run_id or run.ended_at is not None:
                seconds = None if run.ended_at is None else (run.ended_at - run.started_at).total_seconds()
                drawn = line(run.run_id, run.state, run.state.outcome, seconds, run.rows_done)
                rows.append(Row(run.run_id, drawn, (run.run_id, run)))
        if view.run_id is not None and all(row.key != view.run_id for row in rows):
            state, word = (RunState.RUNNING, "now") if view.state.is_live else (view.state, view.state.outcome)
            drawn = line(view.run_id, state, word, view.elapsed_seconds, view.rows_committed_in_run)
            record = next((run for run in records if run.run_id == view.run_id), None)
            rows.insert(0, Row(view.run_id, drawn, (view.run_id, record)))
        return Listing(rows)

    def footing(self, shown: RunsAndView, width: int) -> tuple[str, ...]:  # noqa: ARG002 - the pane cuts it
        """Return what enter does."""
        records, view = shown
        return ("enter: details",) if records or view.run_id is not None else ()

    def chosen(self, item: ShownRun) -> None:
        """Post which run was chosen."""
        self.post_message(self.Selected(*item))


def _done_and_failed(run_id: int, rows: int | None, view: RunView, glyphs: Glyphs) -> Line:
    """Return what the run did, as its share of the source or in rows, and its failures."""
    done = ""
    if rows is not None and view.info.source_rows:
        done = f" {fit_text(percent(rows / view.info.source_rows, 0), 4, right=True)}"
    elif rows is not None:
        done = f"  {counted(rows, 'row')}"
    failures = sum(failure.run_id == run_id for failure in view.failures)
    failed = f"  {glyphs.failed} {failures:,}" if failures else ""
    return tuple(part for part in ((done, ""), (failed, "bad")) if part[0])
