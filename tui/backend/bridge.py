"""The one way from the screen to the engine and back.

The screen asks for jobs, which never block it. Two threads do them: one may change the checkpoint, the other one only
reads. Each job ends in one `JobResult`. The screen pulls the progress with `view()`, as often as it likes; there is no
message per event. This module must not know Textual: `deliver` is called in the two threads, and a screen that is
closed or raises changes nothing for the run.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine import RunState, RunView
from engine.errors import CheckpointLocked, PipelineError
from engine.events import RowsReplayed, RunInfo, RunStarted
from engine.progress import BatchState
from tui.backend.jobs import ErrorReport, Job, JobResult, TextPage
from tui.backend.run_log import RunLog
from tui.backend.target import Overrides, Target
from tui.backend.worker_thread import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine import BatchPipeline, Frontier, Replayed, RunRecord
    from engine.events import Event

MOST_RUNS = 100
STOPPABLE = frozenset({Job.RUN, Job.REPLAY})
REPLACING = frozenset({Job.REWIND, Job.RESET, Job.REPLAY})
"""The jobs after which a committed batch may be gone, or have other results."""

_log = logging.getLogger(__name__)


class Bridge:
    """Drives one pipeline: either a target, which `load` loads again each time, or a pipeline object.

    One job at a time may change the checkpoint: `working` names it, and asking for another one meanwhile returns
    False. All methods return at once, except `close`.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        pipeline: BatchPipeline | None = None,
        overrides: Overrides | None = None,
    ) -> None:
        self.target = Target(target, overrides or Overrides()) if target else None
        self.pipeline: BatchPipeline | None = None
        self.log = RunLog()
        self.runs: tuple[RunRecord, ...] = ()
        """The runs of this checkpoint, newest first, as of the last job."""
        self.working: Job | None = None
        self.error: ErrorReport | None = None
        """The error of the last job on the checkpoint; None if there was none, and as soon as another job begins."""
        self.deliver: Callable[[JobResult], None] | None = None
        self.changes = 0
        """How often committed batches were dropped or replaced: what was read of them before is out of date."""
        self._given = pipeline
        self._frontier_in_file: Frontier | None = None
        """The frontier according to its file, while another process holds the checkpoint."""
        self._stop_asked = False
        self._stop_now = False
        self._closed = False
        # Reading opens the catalog while nothing runs. A run that starts in that moment would find the checkpoint in
        # use, so each thread holds this lock while it opens the catalog.
        self._catalog = threading.Lock()
        self._catalog_is_ours = False
        """Whether the changing thread holds the lock."""
        self._changing = WorkerThread("pipeline", self._report)
        self._reading = WorkerThread("results", self._report)

    # --- progress -------------------------------------------------------------------------------------

    def view(self) -> RunView:
        """Return the progress, from memory; while another process holds the checkpoint, from its frontier file."""
        if self.pipeline is None:
            return RunView(info=RunInfo(pipeline=self.target.text if self.target else ""))
        view, frontier = self.pipeline.view(), self._frontier_in_file
        return view if frontier is None or view.state.is_live else _with_frontier(view, frontier)

    @property
    def loaded(self) -> bool:
        """Whether there is a pipeline to act on."""
        return self.pipeline is not None

    @property
    def running(self) -> bool:
        """Whether a run or a replay is under way, from the key press to the closed checkpoint."""
        return self.working in STOPPABLE

    @property
    def stopping_steps(self) -> frozenset[str]:
        """The steps that declare that a bad row stops the run, whatever the run says."""
        steps = self.pipeline.steps if self.pipeline is not None else ()
        return frozenset(step.name for step in steps if step.on_error == "stop")

    # --- jobs that may change the checkpoint ----------------------------------------------------------

    def load(self) -> bool:
        """Load the target again and read its checkpoint."""
        return self._begin(Job.LOAD, self._load)

    def run(self, *, accept_changes: bool = False, quarantine: bool = False) -> bool:
        """Run from the frontier on; a pipeline file that was edited since is loaded first.

        With `quarantine`, rows that a step can't process are taken out: within the pipeline's limits, or the engine's
        own if it has none.
        """

        def run(pipeline: BatchPipeline) -> None:
            own_limits = pipeline.on_error is not None
            try:
                pipeline.run(
                    accept_changes=accept_changes, on_error="quarantine" if quarantine and not own_limits else None
                )
            finally:
                if pipeline.view().state.is_live:
                    # It ended without an event that says so: the screen must not say "running" for ever.
                    self._release_catalog()
                    with self._catalog_held():
                        self._refresh(pipeline)

        return self._change(Job.RUN, run, quarantine)

    def replay(self, *, accept_changes: bool = False) -> bool:
        """Process the rows in quarantine again; the job's value is a `Replayed`.

        A pipeline file that was edited since is loaded first.
        """

        def replay(pipeline: BatchPipeline) -> Replayed:
            if self._stop_asked:
                from engine import Replayed

                return Replayed()
            return pipeline.quarantine.replay(accept_changes=accept_changes)

        return self._change(Job.REPLAY, replay)

    def rewind(self, batch_id: int) -> bool:
        """Make `batch_id` the last committed batch, -1 to reset; the job's value is how many batches were dropped."""

        def rewind(pipeline: BatchPipeline) -> int:
            dropped = pipeline.rewind(batch_id)
            self._refresh(pipeline)
            return dropped

        return self._change(Job.RESET if batch_id < 0 else Job.REWIND, rewind, batch_id)

    def measure_loss(self, batch_id: int) -> bool:
        """Add up what a rewind to `batch_id` would drop, -1 for all; the job's value is a `Loss`."""
        return self._change(Job.LOSS, lambda pipeline: pipeline.loss_of_rewind(batch_id), batch_id)

    def stop(self, *, now: bool = False) -> None:
        """Ask the run to stop. Safe from a signal handler, and before the run has really begun."""
        self._stop_asked = True
        self._stop_now = self._stop_now or now
        if self.pipeline is not None and self.running:
            self.pipeline.request_stop(now=self._stop_now)

    # --- jobs that read -------------------------------------------------------------------------------

    def read_batch(self, batch_id: int) -> None:
        """Read what is known of a committed batch; the job's value is its `Manifest`."""
        self._read(Job.BATCH, lambda pipeline: pipeline.batch(batch_id), batch_id)

    def read_page(self, first_row: int, row_count: int) -> None:
        """Read rows of the results; the job's value is a `TextPage`."""
        self._read(Job.PAGE, lambda pipeline: TextPage.of(pipeline.results_page(first_row, row_count)), first_row)

    def read_quarantine(self, limit: int) -> None:
        """Read the first rows in quarantine; the job's value is a list of `QuarantinedRow`. Not during a run."""
        self._read(Job.QUARANTINE, lambda pipeline: pipeline.quarantine.rows(limit), limit, opens_catalog=True)

    def export_quarantine(self, path: str, *, overwrite: bool = False) -> None:
        """Write the rows in quarantine into one file; the job's value is how many there are."""

        def export(pipeline: BatchPipeline) -> int:
            return pipeline.quarantine.export(path, overwrite=overwrite)

        self._read(Job.EXPORT_QUARANTINE, export, path, opens_catalog=True)

    def export(self, path: str, *, overwrite: bool = False) -> None:
        """Write the results into one file."""
        self._read(Job.EXPORT, lambda pipeline: pipeline.export(path, overwrite=overwrite), path, opens_catalog=True)

    # --- the end --------------------------------------------------------------------------------------

    def close(self, seconds: float) -> bool:
        """Stop gracefully and wait so long for the jobs; return whether all of them have ended."""
        self._closed = True
        self.stop()
        return self._changing.close(seconds) and self._reading.close(min(seconds, 1.0))

    # --- in the worker threads ------------------------------------------------------------------------

    def _read(
        self, job: Job, work: Callable[[BatchPipeline], Any], asked: object, *, opens_catalog: bool = False
    ) -> None:
        pipeline = self.pipeline
        if pipeline is None:
            return

        def read() -> Any:
            with self._catalog if opens_catalog else nullcontext():
                return work(pipeline)

        self._reading.do(job, read, asked)

    def _change(self, job: Job, work: Callable[[BatchPipeline], Any], asked: object = None) -> bool:
        def change() -> Any:
            if job in STOPPABLE and self.target is not None and self.target.edited():
                self._load()
            return work(self.pipeline) if self.pipeline is not None else None

        return self._begin(job, change, asked)

    def _begin(self, job: Job, work: Callable[[], Any], asked: object = None) -> bool:
        if self.working is not None or self._closed:
            return False
        self.working = job
        self.error = None
        self._stop_asked = self._stop_now = False
        self._changing.do(job, lambda: self._with_history(work), asked)
        return True

    def _report(self, result: JobResult) -> None:
        self.changes += result.job in REPLACING
        if self.working is result.job:
            self.error = result.error
            self.working = None
        if result.error is not None:
            self.log.write(f"{result.job}: {result.error.message}")
        if self.deliver is None:
            return
        try:
            self.deliver(result)
        except Exception:  # noqa: BLE001 (whatever the screen raises, the run continues)
            _log.exception("the screen could not take the end of %s", result.job)

    def _with_history(self, work: Callable[[], Any]) -> Any:
        try:
            with self._catalog_held():
                return work()
        finally:
            # After an error too: the list of runs must not hide the run that has just failed.
            with suppress(PipelineError), self._catalog_held():
                if self.pipeline is not None:
                    self.runs = tuple(self.pipeline.history(MOST_RUNS))

    def _load(self) -> None:
        pipeline = self.target.load() if self.target is not None else self._given
        if pipeline is None:
            return
        if pipeline is not self.pipeline:
            pipeline.add_listener(self._heard)
            pipeline.add_listener(self.log)
            self.pipeline = pipeline
        self._refresh(pipeline)

    def _refresh(self, pipeline: BatchPipeline) -> None:
        try:
            pipeline.refresh()
        except CheckpointLocked:
            self._frontier_in_file = pipeline.get_frontier()
            raise
        self._frontier_in_file = None

    def _heard(self, event: Event) -> None:
        """Listen to the run, in its own thread: it has begun and holds the checkpoint."""
        if self.pipeline is None:
            return
        if isinstance(event, RowsReplayed) and self._stop_asked:
            self.pipeline.request_stop()  # it was asked before the replay could hear it
        if isinstance(event, RunStarted):
            self._frontier_in_file = None
            self._release_catalog()  # while a run holds the checkpoint, readers are let in by the engine
            if self._stop_asked:
                self.pipeline.request_stop(now=self._stop_now)

    @contextmanager
    def _catalog_held(self) -> Iterator[None]:
        self._catalog.acquire()
        self._catalog_is_ours = True
        try:
            yield
        finally:
            self._release_catalog()

    def _release_catalog(self) -> None:
        if self._catalog_is_ours:
            self._catalog_is_ours = False
            self._catalog.release()


def _with_frontier(view: RunView, frontier: Frontier) -> RunView:
    batches = frontier.next_batch_id
    return replace(
        view,
        state=RunState.RESUMABLE if batches else RunState.IDLE,
        frontier=frontier.last_completed_batch_id,
        rows_committed=frontier.total_rows_processed,
        rows_committed_before=frontier.total_rows_processed,
        batches_committed_before=batches,
        batch_states=bytes([BatchState.EARLIER]) * batches,
    )
