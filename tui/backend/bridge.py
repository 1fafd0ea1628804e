"""The one way from the screen to the engine and back.

The screen asks for jobs, which never block it: they are done in two threads, one that may change the
checkpoint and one that only reads. Each ends in one `JobResult`. Where a run stands is pulled with `view()`, as
often as the screen likes; there is no message per event. It must not know Textual: `deliver` is called from
the worker threads, and a screen that has gone or raises changes nothing for the run.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine import RunState
from engine.errors import CheckpointLocked, PipelineError
from engine.events import RowsReplayed, RunInfo, RunStarted
from engine.progress import BatchState, RunView
from tui.backend.jobs import Dropped, ErrorReport, Job, JobResult
from tui.backend.results_page import ResultsReader
from tui.backend.run_log import RunLog
from tui.backend.target import Overrides, Target
from tui.backend.worker_thread import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine import BatchPipeline, Frontier, QuarantinedRow, Replayed, RunRecord
    from engine.events import Event

HISTORY = 100
STOPPABLE = frozenset({Job.RUN, Job.REPLAY})

_log = logging.getLogger(__name__)


class Bridge:
    """Drives one pipeline: either a target, which `load` reads and reads again, or a pipeline that is there.

    One job at a time that may change the checkpoint: `working` names it, and asking for another meanwhile
    returns False. All methods return at once, except `close`.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        pipeline: BatchPipeline | None = None,
        overrides: Overrides | None = None,
        deliver: Callable[[JobResult], None] | None = None,
        log: RunLog | None = None,
    ) -> None:
        self.target = Target(target, overrides or Overrides()) if target else None
        self.pipeline: BatchPipeline | None = None
        self.log = log or RunLog()
        self.runs: tuple[RunRecord, ...] = ()
        """The runs of this checkpoint, newest first, as of the last job."""
        self.working: Job | None = None
        self.error: ErrorReport | None = None
        """What the last job on the checkpoint ended with, None when it went well or a new one has begun."""
        self.deliver = deliver
        self._given = pipeline
        self._mirror: Frontier | None = None
        self._results = ResultsReader()
        self.changes = 0
        """How often committed batches were dropped or written anew: what was read of them holds no more."""
        self._stop_asked = False
        self._stop_now = False
        self._closed = False
        # Reading results looks into the catalog for the frontier while nothing runs, and a run that starts in
        # that moment would be told that the checkpoint is in use.
        self._door = threading.Lock()
        self._door_is_ours = False
        self._changing = WorkerThread("pipeline", self._report)
        self._reading = WorkerThread("results", self._report)

    # --- where it stands ------------------------------------------------------------------------------

    def view(self) -> RunView:
        """Return where the run stands, from memory. While another process holds the checkpoint: its mirror."""
        if self.pipeline is None:
            return RunView(info=RunInfo(pipeline=self.target.text if self.target else ""))
        view = self.pipeline.view()
        return view if self._mirror is None or view.state.is_live else _as_mirrored(view, self._mirror)

    @property
    def loaded(self) -> bool:
        """Whether there is a pipeline to act on."""
        return self.pipeline is not None

    @property
    def running(self) -> bool:
        """Whether a run or a replay was asked for and isn't over, from the key press to the closed checkpoint."""
        return self.working in STOPPABLE

    @property
    def stopping_steps(self) -> frozenset[str]:
        """The steps that say of themselves that a bad row stops the run, whatever the run says."""
        steps = self.pipeline.steps if self.pipeline is not None else ()
        return frozenset(step.name for step in steps if step.on_error == "stop")

    # --- jobs that may change the checkpoint ----------------------------------------------------------

    def load(self) -> bool:
        """Load the target anew and read its checkpoint."""
        return self._begin(Job.LOAD, self._load)

    def refresh(self) -> bool:
        """Read the checkpoint and the source's size."""
        return self._begin(Job.REFRESH, self._refresh)

    def run(self, *, accept_changes: bool = False, quarantine: bool = False) -> bool:
        """Go on from the frontier; a pipeline file that was edited since is loaded first.

        With `quarantine`, rows that a step can't process are taken out: within the pipeline's limits, or the engine's
        own if it has none.
        """
        self._stop_asked = self._stop_now = False
        return self._begin(Job.RUN, lambda: self._run(accept_changes=accept_changes, quarantine=quarantine), quarantine)

    def replay(self, *, accept_changes: bool = False) -> bool:
        """Put the rows in quarantine through the steps again; the job's value is a `Replayed`.

        A pipeline file that was edited since is loaded first.
        """
        self._stop_asked = self._stop_now = False
        return self._begin(Job.REPLAY, lambda: self._replay(accept_changes=accept_changes))

    def rewind(self, batch_id: int) -> bool:
        """Make `batch_id` the last committed batch; the job's value is how many batches were dropped."""
        return self._begin(Job.REWIND, lambda: self._rewind(batch_id), batch_id)

    def reset(self) -> bool:
        """Drop all results; the job's value is how many batches were dropped."""
        return self._begin(Job.RESET, lambda: self._rewind(-1))

    def measure_loss(self, batch_id: int) -> bool:
        """Add up what a rewind to `batch_id` would drop, -1 for all; the job's value is a `Dropped`."""
        return self._begin(Job.LOSS, lambda: self._loss(batch_id), batch_id)

    def stop(self, *, now: bool = False) -> None:
        """Ask the run to stop. Safe from a signal handler, and before the run has really begun."""
        self._stop_asked = True
        self._stop_now = self._stop_now or now
        if self.pipeline is not None and self.running:
            self.pipeline.request_stop(now=self._stop_now)

    # --- jobs that read -------------------------------------------------------------------------------

    def read_batch(self, batch_id: int) -> None:
        """Read what is known of a committed batch; the job's value is its Manifest."""
        pipeline = self.pipeline
        if pipeline is not None:
            self._reading.do(Job.BATCH, lambda: pipeline.batch(batch_id), batch_id)

    def read_page(self, first_row: int, row_count: int) -> None:
        """Read rows of the results; the job's value is a `ResultsPage`."""
        pipeline = self.pipeline
        if pipeline is not None:
            generation = (id(pipeline), self.changes)
            self._reading.do(
                Job.PAGE, lambda: self._results.page(pipeline, generation, first_row, row_count), first_row
            )

    def read_quarantine(self, most: int) -> None:
        """Read the first rows in quarantine; the job's value is a list of QuarantinedRow. Not while a run goes on."""
        pipeline = self.pipeline
        if pipeline is not None:
            self._reading.do(Job.QUARANTINE, lambda: self._quarantined(pipeline, most), most)

    def export_quarantine(self, path: str, *, overwrite: bool = False) -> None:
        """Write the rows in quarantine into one file; the job's value is how many there are."""
        pipeline = self.pipeline
        if pipeline is not None:
            self._reading.do(
                Job.EXPORT_QUARANTINE, lambda: self._export_quarantine(pipeline, path, overwrite=overwrite), path
            )

    def export(self, path: str, *, overwrite: bool = False) -> None:
        """Write the results into one file."""
        pipeline = self.pipeline
        if pipeline is not None:
            self._reading.do(Job.EXPORT, lambda: self._export(pipeline, path, overwrite=overwrite), path)

    # --- the end --------------------------------------------------------------------------------------

    def close(self, seconds: float) -> bool:
        """Stop gracefully and wait that long for what is being done; say whether all of it is over."""
        self._closed = True
        self.stop()
        return self._changing.close(seconds) and self._reading.close(min(seconds, 1.0))

    # --- in the worker threads ------------------------------------------------------------------------

    def _begin(self, job: Job, work: Callable[[], Any], asked: object = None) -> bool:
        if self.working is not None or self._closed:
            return False
        self.working = job
        self.error = None
        self._changing.do(job, lambda: self._with_history(work), asked)
        return True

    def _report(self, result: JobResult) -> None:
        if self.working is result.job:
            self.error = result.error
            self.working = None
        if result.error is not None:
            self.log.write(f"{result.job}: {result.error.message}")
        if self.deliver is None:
            return
        try:
            self.deliver(result)
        except Exception:  # noqa: BLE001 (whatever the screen raises, the run goes on)
            _log.exception("the screen could not take the end of %s", result.job)

    def _with_history(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        finally:
            # Whatever became of it: the list of runs must not hide the one that has just failed.
            with suppress(PipelineError), self._at_the_door():
                if self.pipeline is not None:
                    self.runs = tuple(self.pipeline.history(HISTORY))

    def _load(self) -> None:
        if self.target is not None:
            self._adopt(self.target.load())
        elif self._given is not None:
            self._adopt(self._given)
        self._refresh()

    def _adopt(self, pipeline: BatchPipeline) -> None:
        if pipeline is not self.pipeline:
            pipeline.add_listener(self._heard)
            pipeline.add_listener(self.log)
            self.pipeline = pipeline

    def _refresh(self) -> None:
        if self.pipeline is None:
            return
        with self._at_the_door():
            try:
                self.pipeline.refresh()
            except CheckpointLocked:
                self._mirror = self.pipeline.get_frontier()
                raise
            self._mirror = None

    def _load_if_edited(self) -> None:
        if self.target is not None and self.target.edited():
            self._adopt(self.target.load())
            self._refresh()

    def _run(self, *, accept_changes: bool, quarantine: bool) -> None:
        self._load_if_edited()
        if self.pipeline is None:
            return
        own_limits = self.pipeline.on_error is not None
        try:
            with self._at_the_door():
                self.pipeline.run(
                    accept_changes=accept_changes, on_error="quarantine" if quarantine and not own_limits else None
                )
        finally:
            if self.pipeline.view().state.is_live:
                # It ended in a way that it could not tell; saying "running" for ever would be a lie.
                self._refresh()

    def _replay(self, *, accept_changes: bool) -> Replayed:
        from engine import Replayed

        self._load_if_edited()
        if self.pipeline is None or self._stop_asked:
            return Replayed()
        try:
            # The door stays shut to the end: unlike a run, a replay changes what readers would find.
            with self._at_the_door():
                return self.pipeline.replay_quarantine(accept_changes=accept_changes)
        finally:
            self.changes += 1

    def _heard(self, event: Event) -> None:
        """Listen to the run, in its own thread: it has begun, and holds the checkpoint."""
        if isinstance(event, RowsReplayed) and self._stop_asked and self.pipeline is not None:
            self.pipeline.request_stop()  # it was asked before the replay could hear it
        if isinstance(event, RunStarted):
            self._mirror = None
            self._open_door()
            if self._stop_asked and self.pipeline is not None:
                self.pipeline.request_stop(now=self._stop_now)

    def _rewind(self, batch_id: int) -> int:
        if self.pipeline is None:
            return 0
        with self._at_the_door():
            dropped = self.pipeline.rewind(batch_id)
            self.changes += 1
        self._refresh()
        return dropped

    def _loss(self, batch_id: int) -> Dropped:
        from engine.checkpoint.loss import Loss

        if self.pipeline is None:
            return Dropped(Loss())
        with self._at_the_door():
            loss = self.pipeline.loss_of_rewind(batch_id)
        return Dropped(loss, loss.quarantined_rows)

    def _quarantined(self, pipeline: BatchPipeline, most: int) -> list[QuarantinedRow]:
        with self._door:
            return pipeline.quarantined(most)

    def _export_quarantine(self, pipeline: BatchPipeline, path: str, *, overwrite: bool) -> int:
        with self._door:
            return pipeline.export_quarantine(path, overwrite=overwrite)

    def _export(self, pipeline: BatchPipeline, path: str, *, overwrite: bool) -> str:
        with self._door:
            pipeline.export(path, overwrite=overwrite)
        return path

    @contextmanager
    def _at_the_door(self) -> Iterator[None]:
        self._door.acquire()
        self._door_is_ours = True
        try:
            yield
        finally:
            self._open_door()

    def _open_door(self) -> None:
        if self._door_is_ours:
            self._door_is_ours = False
            self._door.release()


def _as_mirrored(view: RunView, frontier: Frontier) -> RunView:
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
