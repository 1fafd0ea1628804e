"""What is selected: the failure, row, batch or run in the detail pane, the page of results, the quarantine.

The bridge reads what is on disk. The result is shown when it comes, unless something else was selected meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.progress import BatchState
from tui.actions import key_hints
from tui.backend.jobs import Job
from tui.screens.dashboard.base import DashboardBase
from tui.screens.dashboard.detail import DetailScreen
from tui.widgets.batch_grid import STATE_LOOKS, BatchGridPane
from tui.widgets.detail import DetailPane
from tui.widgets.quarantine import MOST_ROWS, QuarantinePane
from tui.widgets.results import PAGE_ROWS, ResultsPane
from tui.widgets.steps import blocking_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.events import FailureRecord
    from tui.backend.jobs import JobResult
    from tui.widgets.failures import FailuresPane
    from tui.widgets.runs import RunsPane

COMMITTED = {BatchState.COMMITTED, BatchState.EARLIER, BatchState.QUARANTINED}


class Selection(DashboardBase):
    """Keeps what is selected, and asks the bridge for what is not in the view."""

    _fill: Callable[[DetailPane], None] | None = None
    selected_batch_id: int | None = None
    """The batch that is shown, None when none is."""
    _failure: FailureRecord | None = None
    _newest_failure: FailureRecord | None = None
    _results_as_of: tuple[int, int | None, int] | None = None
    _first_result_row = 0
    _page_is_coming = False
    _quarantine_as_of: tuple[object, ...] | None = None

    # --- the detail -----------------------------------------------------------------------------------

    def show_detail(self, fill: Callable[[DetailPane], None], *action_ids: str) -> None:
        """Fill the detail pane, and name the keys for what it shows, after the one that copies it."""
        self._fill = fill
        pane = self.query_one(DetailPane)
        pane.set_keys(self.shown(key_hints("copy", *action_ids)))
        fill(pane)

    def open_detail(self) -> None:
        """Go to the detail: a pane, or a screen of its own where there is no room."""
        if self.compact:
            self.app.push_screen(DetailScreen(self._fill))
        else:
            self.query_one(DetailPane).focus()

    def show_newest_failure(self) -> None:
        """Show a failure as soon as it occurs: nobody should have to look for it."""
        newest = self.seen.failures[-1] if self.seen.failures else None
        if newest is not None and newest != self._newest_failure:
            self._show_failure(newest)
        self._newest_failure = newest

    def _show_failure(self, failure: FailureRecord) -> None:
        self._failure, self.selected_batch_id = failure, failure.batch_id
        of_sink = failure.step in {sink.name for sink in self.seen.sinks}
        keys = ("open_source", "retry")
        if failure == blocking_failure(self.seen) and self.situation().can_quarantine:
            keys = ("retry", "quarantine")
        self.show_detail(lambda pane: pane.show_failure(failure, of_sink=of_sink), *keys)

    def on_failures_pane_highlighted(self, event: FailuresPane.Highlighted) -> None:
        """Show the failure under the cursor."""
        self._show_failure(event.failure)

    def on_failures_pane_selected(self, event: FailuresPane.Selected) -> None:
        """Go to the failure."""
        self._show_failure(event.failure)
        self.open_detail()

    @property
    def selected_failure(self) -> FailureRecord | None:
        """The failure that was selected last, else the newest one."""
        known = self._failure if self._failure in self.seen.failures else None
        return known or (self.seen.failures[-1] if self.seen.failures else None)

    def on_runs_pane_selected(self, event: RunsPane.Selected) -> None:
        """Show a run."""
        record = event.record
        self.selected_batch_id = None
        if record is None:
            words = f"This is the run in progress, at batch {self.seen.frontier + 1:,}."
            self.show_detail(lambda pane: pane.show_text(f"Run {event.run_id}", words))
        else:
            self.show_detail(lambda pane: pane.show_run(record))
        self.open_detail()

    def on_batch_grid_pane_selected(self, event: BatchGridPane.Selected) -> None:
        """Show a batch; of a cell for several batches one that failed, else the first."""
        states = self.seen.batch_states
        failed = states[event.first_batch_id : event.last_batch_id + 1].find(BatchState.FAILED)
        batch_id = event.first_batch_id + max(failed, 0)
        state = BatchState(states[batch_id]) if batch_id < len(states) else BatchState.PENDING
        failure = next((found for found in reversed(self.seen.failures) if found.batch_id == batch_id), None)
        self.selected_batch_id, self._failure = batch_id, None
        if state in COMMITTED:
            self.show_detail(lambda pane: pane.show_loading(f"reading batch {batch_id:,}"), "rewind")
            self.bridge.read_batch(batch_id)
        elif failure is not None:
            self._show_failure(failure)
        else:
            words = f"This batch is {STATE_LOOKS[state].word}: there is more to show when it is committed."
            self.show_detail(lambda pane: pane.show_text(f"Batch {batch_id:,}", words))
        self.open_detail()

    # --- the quarantine -------------------------------------------------------------------------------

    def ask_for_quarantine(self) -> None:
        """Read the rows in quarantine when they may have changed. It is possible only while nothing runs."""
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
        """Show the row under the cursor."""
        row = event.row
        self._failure, self.selected_batch_id = None, row.batch_id
        self.show_detail(lambda pane: pane.show_row(row), "replay", "export_quarantine")

    def on_quarantine_pane_selected(self, event: QuarantinePane.Selected) -> None:
        """Go to the row."""
        self.on_quarantine_pane_highlighted(event)
        self.open_detail()

    # --- the results ----------------------------------------------------------------------------------

    def ask_for_results(self) -> None:
        """Read the page on the screen again when the results have changed since."""
        as_of = (self.seen.frontier, self.seen.run_id, self.bridge.changes)
        # One page at a time: during a run each page that was read asks for the next one, at the pace of the disk.
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
        """Show what was read, unless something else was selected meanwhile."""
        if result.job is Job.BATCH and result.asked == self.selected_batch_id:
            self._batch_read(result)
        elif result.job is Job.PAGE:
            self._page_read(result)
        elif result.job is Job.QUARANTINE:
            self._quarantine_read(result)
        super().job_ended(result)

    def _batch_read(self, result: JobResult) -> None:
        def fill(pane: DetailPane) -> None:
            if result.error is not None:
                pane.show_problem(result.error.message)
            else:
                pane.show_batch(result.value)

        self.show_detail(fill, "rewind")
        if isinstance(self.app.screen, DetailScreen):
            self.app.screen.fill(fill)

    def _page_read(self, result: JobResult) -> None:
        self._page_is_coming = False
        pane = self.query_one(ResultsPane)
        if result.error is not None:
            pane.show_problem(f"this page can't be read: {result.error.message}")
        else:
            pane.show_page(result.value)

    def _quarantine_read(self, result: JobResult) -> None:
        pane = self.query_one(QuarantinePane)
        if result.error is None:
            pane.show_rows(result.value)
        elif not self.seen.state.is_live:  # a run that began meanwhile has the checkpoint; they are read after it
            pane.show_problem(f"the quarantine can't be read: {result.error.message}")
