"""What a person looks at: the failure, row, batch or run in the detail pane, the page of results, the quarantine.

What has to be read from disk is asked of the bridge, and shown when it comes, unless something else was chosen
meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.progress import BatchState
from tui.actions import key_hints
from tui.backend.jobs import Job
from tui.backend.results_page import ResultsPage
from tui.screens.dashboard.base import DashboardBase
from tui.screens.dashboard.detail import DetailScreen
from tui.widgets import BatchGridPane, DetailPane, FailuresPane, QuarantinePane, ResultsPane, RunsPane
from tui.widgets.batch_grid import STATE_WORDS
from tui.widgets.quarantine import MOST_ROWS
from tui.widgets.results import PAGE_ROWS
from tui.widgets.steps import blocking_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine import Manifest
    from engine.events import FailureRecord
    from tui.backend.jobs import JobResult

DONE = {BatchState.COMMITTED, BatchState.EARLIER, BatchState.QUARANTINED}


class Selection(DashboardBase):
    """Keeps what is chosen, and fetches what the engine has to be asked for."""

    _fill: Callable[[DetailPane], None] | None = None
    _batch_id: int | None = None
    _failure: FailureRecord | None = None
    _newest_failure: FailureRecord | None = None
    _results_as_of: tuple[int, int | None, int] | None = None
    _first_result_row = 0
    _page_is_coming = False
    _quarantine_as_of: tuple[object, ...] | None = None

    @property
    def compact(self) -> bool:
        """Whether the detail has no place beside the other panes."""
        return False

    # --- the detail -----------------------------------------------------------------------------------

    def show_detail(self, fill: Callable[[DetailPane], None]) -> None:
        """Put something into the detail pane."""
        self._fill = fill
        fill(self.query_one(DetailPane))

    def open_detail(self) -> None:
        """Go to the detail: a pane, or a screen of its own where there is no room."""
        if self.compact:
            self.app.push_screen(DetailScreen(self._fill))
        else:
            self.query_one(DetailPane).focus()

    def detail_text(self) -> str:
        """Return what the detail shows, as plain text."""
        return self.query_one(DetailPane).plain_text

    def show_newest_failure(self) -> None:
        """Show a failure as soon as it is there: nobody should have to look for it."""
        newest = self.seen.failures[-1] if self.seen.failures else None
        if newest is not None and newest != self._newest_failure:
            self._show_failure(newest)
        self._newest_failure = newest

    def _show_failure(self, failure: FailureRecord) -> None:
        self._failure, self._batch_id = failure, failure.batch_id
        keys = key_hints("copy", "open_source", "retry")
        if failure == blocking_failure(self.seen) and self.situation().can_quarantine:
            keys = key_hints("copy", "retry", "quarantine")
        self.query_one(DetailPane).set_keys(self.shown(keys))
        of_sink = failure.step in {sink.name for sink in self.seen.sinks}
        self.show_detail(lambda pane: pane.show_failure(failure, of_sink=of_sink))

    def on_failures_pane_highlighted(self, event: FailuresPane.Highlighted) -> None:
        """Show the failure that the cursor is on."""
        self._show_failure(event.failure)

    def on_failures_pane_selected(self, event: FailuresPane.Selected) -> None:
        """Go to the failure."""
        self._show_failure(event.failure)
        self.open_detail()

    def failure_in_mind(self) -> FailureRecord | None:
        """Return the failure that was chosen last, else the newest."""
        known = self._failure if self._failure in self.seen.failures else None
        return known or (self.seen.failures[-1] if self.seen.failures else None)

    def on_runs_pane_selected(self, event: RunsPane.Selected) -> None:
        """Show a run."""
        record = event.record
        self._batch_id = None
        self.query_one(DetailPane).set_keys(self.shown(key_hints("copy")))
        if record is None:
            words = f"It is the one that goes on now, at batch {self.seen.frontier + 1:,}."
            self.show_detail(lambda pane: pane.show_text(f"Run {event.run_id}", words))
        else:
            self.show_detail(lambda pane: pane.show_run(record))
        self.open_detail()

    def on_batch_grid_pane_selected(self, event: BatchGridPane.Selected) -> None:
        """Show a batch: of a cell that stands for several, one that failed, else the first."""
        states = self.seen.batch_states[event.first_batch_id : event.last_batch_id + 1]
        failed = states.find(BatchState.FAILED)
        batch_id = event.first_batch_id + max(failed, 0)
        state = BatchState(self.seen.batch_states[batch_id]) if batch_id < len(self.seen.batch_states) else 0
        failure = next((found for found in reversed(self.seen.failures) if found.batch_id == batch_id), None)
        self._batch_id = batch_id
        if state in DONE:
            self.query_one(DetailPane).set_keys(self.shown(key_hints("copy", "rewind")))
            self.show_detail(lambda pane: pane.show_loading(f"reading batch {batch_id:,}"))
            self.bridge.read_batch(batch_id)
        elif failure is not None:
            self._show_failure(failure)
        else:
            words = f"It is {STATE_WORDS[BatchState(state)]}: there is nothing to tell before it is committed."
            self.show_detail(lambda pane: pane.show_text(f"Batch {batch_id:,}", words))
        if failure is None or state in DONE:
            self._failure = None
        self.open_detail()

    def batch_in_mind(self) -> int | None:
        """Return the batch that is looked at."""
        return self._batch_id

    # --- the quarantine -------------------------------------------------------------------------------

    def ask_for_quarantine(self) -> None:
        """Read the rows in quarantine when there may be others than were read. A run must be over for that."""
        view = self.seen
        if view.state.is_live or self.bridge.working is not None or not self.bridge.loaded:
            return
        error = self.bridge.error
        held = error.message if error is not None and error.kind == "CheckpointLocked" else ""
        as_of = (view.state, view.frontier, view.run_id, view.rows_quarantined, self.bridge.changes, held)
        if as_of == self._quarantine_as_of:
            return
        self._quarantine_as_of = as_of
        pane = self.query_one(QuarantinePane)
        if held:
            pane.show_problem(f"the quarantine can't be read: {held}")
        elif view.rows_quarantined:
            pane.show_loading("reading the quarantine")
            self.bridge.read_quarantine(MOST_ROWS)
        else:
            pane.show_rows(())

    def on_quarantine_pane_highlighted(self, event: QuarantinePane.Highlighted) -> None:
        """Show the row that the cursor is on."""
        row = event.row
        self._failure, self._batch_id = None, row.batch_id
        self.query_one(DetailPane).set_keys(self.shown(key_hints("copy", "replay", "export_quarantine")))
        self.show_detail(lambda pane: pane.show_row(row))

    def on_quarantine_pane_selected(self, event: QuarantinePane.Selected) -> None:
        """Go to the row."""
        self.on_quarantine_pane_highlighted(event)
        self.open_detail()

    def _quarantine_read(self, result: JobResult) -> None:
        pane = self.query_one(QuarantinePane)
        if result.error is None:
            pane.show_rows(result.value)
        elif not self.seen.state.is_live:  # a run that began meanwhile has the checkpoint; they are read after it
            pane.show_problem(f"the quarantine can't be read: {result.error.message}")

    # --- the results ----------------------------------------------------------------------------------

    def ask_for_results(self) -> None:
        """Read the page that is looked at again when there are other results than it was made from."""
        as_of = (self.seen.frontier, self.seen.run_id, self.bridge.changes)
        # One page at a time: during a run each one read asks for the next, at the pace of the disk.
        if as_of == self._results_as_of or self._page_is_coming or not self.bridge.loaded:
            return
        if self._results_as_of is None:
            self.query_one(ResultsPane).show_loading("reading the results")
        self._results_as_of = as_of
        self._read_page(self._first_result_row)

    def on_results_pane_page_requested(self, event: ResultsPane.PageRequested) -> None:
        """Read another page."""
        self._read_page(event.first_row)

    def _read_page(self, first_row: int) -> None:
        self._page_is_coming = True
        self._first_result_row = first_row
        self.bridge.read_page(first_row, PAGE_ROWS)

    # --- what was read --------------------------------------------------------------------------------

    def job_ended(self, result: JobResult) -> None:
        """Take what was read."""
        if result.job is Job.BATCH and result.asked == self._batch_id:
            self._batch_read(result)
        elif result.job is Job.PAGE:
            self._page_read(result)
        elif result.job is Job.EXPORT:
            error = result.error
            words = f"The results are in {result.asked}." if error is None else f"{error.message} {error.hint}"
            self.say(words, bad=error is not None)
        elif result.job is Job.QUARANTINE:
            self._quarantine_read(result)
        elif result.job is Job.EXPORT_QUARANTINE:
            error = result.error
            words = f"{error.message} {error.hint}" if error else f"The quarantine is in {result.asked}."
            self.say(words, bad=error is not None)
        super().job_ended(result)

    def _batch_read(self, result: JobResult) -> None:
        if result.error is not None:
            words = result.error.message
            self._show_read(lambda pane: pane.show_problem(words))
        else:
            manifest: Manifest = result.value
            self._show_read(lambda pane: pane.show_batch(manifest))

    def _show_read(self, fill: Callable[[DetailPane], None]) -> None:
        self.show_detail(fill)
        if isinstance(self.app.screen, DetailScreen):
            self.app.screen.fill(fill)

    def _page_read(self, result: JobResult) -> None:
        self._page_is_coming = False
        pane = self.query_one(ResultsPane)
        if result.error is not None:
            pane.show_problem(f"this page can't be read: {result.error.message}")
        elif isinstance(result.value, ResultsPage):
            page = result.value
            pane.show_page(page.columns, page.rows, page.first_row, page.total_rows)
