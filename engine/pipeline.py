"""The public face: a pipeline, its runs, its frontier and its results.

Owns no protocol of its own: it opens the checkpoint for as long as a call needs it, and wires the parts
below together. Constructing a pipeline reads and writes nothing.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.checkpoint.location import checked_url
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointLocked, describe
from engine.events import RunEnded, StopWasRequested
from engine.executors.threads import ThreadExecutor
from engine.frontier import Frontier
from engine.progress import Progress
from engine.results.page import PageReader
from engine.results.quarantine import QuarantineView
from engine.results.view import CheckpointView
from engine.runs import fingerprint
from engine.runs import run as running
from engine.runs.emitter import Emitter
from engine.runs.failure import now
from engine.runs.plan import Plan, as_tuple, listed_steps, quarantine_limits
from engine.runs.recompute import recompute
from engine.runs.replay import Replayed, replay
from engine.sources.base import Position, SeekableFetcher, SourceSize
from engine.state import RunState
from engine.worker.signals import StopSignal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from engine.checkpoint.loss import Loss
    from engine.checkpoint.parts.parts import PartCompression
    from engine.events import FailureRecord, Listener
    from engine.executors.base import Executor
    from engine.policy import OnError, Quarantine, RetryPolicy
    from engine.progress import RunView
    from engine.results.quarantine import QuarantinedRow
    from engine.sinks.base import Sink
    from engine.sources.base import BatchFetcher
    from engine.steps.base import BatchStep

DEFAULT_BATCH_SIZE = 50_000


class BatchPipeline(CheckpointView):
    """Steps over a source, batch by batch, with a checkpoint that every run goes on from.

    Args:
        steps: in the order in which each batch goes through them; names must differ.
        batch_fetcher: a fetcher of `engine`, or any callable `(batch_id, batch_size) -> Batch | None`.
        batch_size: source rows a batch.
        checkpoint_dir: the folder of the checkpoint; made by the first run, private to its owner.
        name: what to call the pipeline on screens; the checkpoint folder's name unless given.
        results_url: where the result files are, such as s3://bucket/flights, instead of in the checkpoint folder. It
            is decided by the first run; needs `pip install 'batchpipe-tui[s3]'`.
        workers: how many batches to work on at the same time; by default one more than there are cores,
            4 at most. Peak memory grows with it.
        retry: when to try a step or a fetch again that failed; by default never. A step's own `retry` wins.
        part_compression: how the result files are compressed: "zstd", "snappy", "lz4" or "uncompressed".
        listeners: called with each event of a run, from its threads; see `engine.events`.
        executor: where the steps run, instead of threads of this process.
        on_error: what to do with rows that a step can't process. "stop" ends the run before their batch;
            "quarantine", or a `Quarantine` with other limits, takes them out and goes on. A step's own `on_error` wins.
        sinks: places besides the parts where the results go too, exactly once: a `SqlSink`, a `DuckDBSink`.

    Raises:
        UsageError: an argument that can't be right, or two steps of the same name.
    """

    def __init__(
        self,
        steps: Iterable[BatchStep],
        batch_fetcher: BatchFetcher,
        batch_size: int = DEFAULT_BATCH_SIZE,
        checkpoint_dir: str | Path = "checkpoints",
        *,
        name: str = "",
        results_url: str | None = None,
        workers: int | None = None,
        retry: RetryPolicy | None = None,
        part_compression: PartCompression = "zstd",
        listeners: Sequence[Listener] = (),
        executor: Executor | None = None,
        sinks: Iterable[Sink] = (),
        on_error: OnError | Quarantine = "stop",
    ) -> None:
        self._begin_with(
            Plan(
                steps=listed_steps(steps),
                batch_fetcher=batch_fetcher,
                batch_size=batch_size,
                checkpoint_dir=Path(checkpoint_dir),
                name=name,
                results_url=checked_url(results_url),
                workers=workers,
                retry=retry,
                part_compression=part_compression,
                listeners=tuple(listeners),
                executor=executor,
                sinks=as_tuple(sinks),
                on_error=quarantine_limits(on_error),
            )
        )

    def _begin_with(self, plan: Plan) -> None:
        super().__init__(plan.checkpoint_dir, plan.results_url)
        self._plan = plan
        self._executor = plan.executor or ThreadExecutor(plan.workers)
        self._stop = StopSignal()
        self._busy = threading.Lock()
        self._progress = self._new_progress(Frontier.at_start(plan.step_names), RunState.IDLE)

    @property
    def steps(self) -> tuple[BatchStep, ...]:
        """The steps, in order."""
        return self._plan.steps

    @property
    def batch_fetcher(self) -> BatchFetcher:
        """The source; another one counts from the next run on."""
        return self._plan.batch_fetcher

    @batch_fetcher.setter
    def batch_fetcher(self, batch_fetcher: BatchFetcher) -> None:
        self._plan = replace(self._plan, batch_fetcher=batch_fetcher)

    @property
    def batch_size(self) -> int:
        """Source rows a batch."""
        return self._plan.batch_size

    @property
    def name(self) -> str:
        """What to call the pipeline on screens."""
        return self._plan.title

    @property
    def workers(self) -> int | None:
        """How many batches to work on at the same time, None for the default."""
        return self._plan.workers

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """Where the results go besides the parts."""
        return self._plan.sinks

    @property
    def on_error(self) -> Quarantine | None:
        """How many rows may go into quarantine, None when the run stops at the first one that fails."""
        return self._plan.on_error

    @property
    def source(self) -> str:
        """What is read, and how once that is known; for people to read, without secrets."""
        return self._plan.source

    def with_options(
        self,
        *,
        batch_size: int | None = None,
        checkpoint_dir: str | Path | None = None,
        workers: int | None = None,
        executor: Executor | None = None,
    ) -> BatchPipeline:
        """Return a pipeline with the same plan except for what is given here; None keeps a value.

        The steps and the fetcher are shared: run one of the two at a time. An executor that was passed in is
        kept, and `workers` means nothing to it.

        Raises:
            UsageError: a value that can't be right.
        """
        given: dict[str, Any] = {
            "batch_size": batch_size,
            "checkpoint_dir": None if checkpoint_dir is None else Path(checkpoint_dir),
            "workers": workers,
            "executor": executor,
        }
        pipeline = BatchPipeline.__new__(BatchPipeline)
        pipeline._begin_with(  # noqa: SLF001 (its own class)
            replace(self._plan, **{name: value for name, value in given.items() if value is not None})
        )
        return pipeline

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` with each event of the runs to come."""
        self._plan = replace(self._plan, listeners=(*self._plan.listeners, listener))

    # --- running --------------------------------------------------------------------------------------

    def run(
        self,
        resume: bool = True,  # noqa: FBT001, FBT002 (the API's word)
        *,
        accept_changes: bool = False,
        on_error: OnError | Quarantine | None = None,
    ) -> Frontier:
        """Go on from the frontier until the source ends or `request_stop` is called; return the frontier.

        `resume=False` starts afresh: the checkpoint's results are dropped first. `accept_changes` goes on
        although steps, settings or source have changed since; the results then have two kinds of rows. `on_error`
        is for this run, instead of the pipeline's.
        One call at a time; blocks, and may be called from any thread.

        Raises:
            StepError, SourceError: the batch that ended the run. Everything before it is committed,
                and the next call goes on there.
            CheckpointError: the checkpoint can't be used or written.
            PipelineChanged, SourceNotFound: nothing was begun.
        """
        plan = self._plan if on_error is None else replace(self._plan, on_error=quarantine_limits(on_error))
        with self._alone():
            self._stop = StopSignal()
            with self._open() as store:
                if not resume:
                    # What would be refused must not cost the results.
                    fingerprint.description(self.steps, self.batch_fetcher, self.batch_size)
                    self._source_size(Position())
                    self._rewind(store, -1)
                emit = Emitter([self._progress, *self._plan.listeners])
                try:
                    ended = running.run(
                        plan, self._executor, store, stop=self._stop, emit=emit, accept_changes=accept_changes
                    )
                    frontier = store.frontier(self._plan.step_names)
                    store.close()
                except BaseException as error:
                    self._end_what_was_begun(error, emit)
                    raise
            message = describe(ended.error) if ended.state is RunState.FAILED and ended.error else ""
            emit(RunEnded(ended.run_id, now(), ended.state, message))
        if ended.error is not None:
            raise ended.error
        return frontier

    def _end_what_was_begun(self, error: BaseException, emit: Listener) -> None:
        """Tell the listeners that the run is over although it couldn't say so itself: Ctrl-C comes at any moment."""
        view = self._progress.view()
        if view.run_id is None or not view.state.is_live:
            return
        interrupted = isinstance(error, KeyboardInterrupt)
        if interrupted:
            emit(StopWasRequested(now=True))
        state = RunState.RESUMABLE if interrupted else RunState.FAILED
        emit(RunEnded(view.run_id, now(), state, "" if interrupted else describe(error)))

    def request_stop(self, *, now: bool = False) -> None:
        """Ask a run to stop: after what is in flight, or giving up what is in flight with `now`.

        Returns at once; safe from any thread and from a signal handler. Either way what is committed stays
        and the next run goes on from there.
        """
        if self._stop.asked and (self._stop.now or not now):
            return
        self._stop.ask(now=now)
        if self._busy.locked():
            Emitter([self._progress, *self._plan.listeners])(StopWasRequested(now))

    # --- where things stand ---------------------------------------------------------------------------

    def view(self) -> RunView:
        """Return where the run stands at this instant, from memory; cheap, from any thread."""
        return self._progress.view()

    def refresh(self) -> RunView:
        """Read the checkpoint and the source's size, so that `view` tells what a run would do; return it.

        Raises:
            CheckpointError, SourceNotFound, SourceChanged: as `run` would.
        """
        with self._alone():
            with self._opened() as store:
                frontier = store.frontier(self._plan.step_names) if store else Frontier.at_start(self._plan.step_names)
                last = store.last_manifest() if store else None
                size = self._source_size(
                    Position(frontier.next_batch_id, frontier.next_row, last.cursor if last else None)
                )
                if store is None:
                    self._progress = self._new_progress(frontier, RunState.IDLE, size=size)
                else:
                    self._show_standing(store, size)
            return self.view()

    def _step_names(self) -> tuple[str, ...]:
        return self._plan.step_names

    # --- moving the frontier back ---------------------------------------------------------------------

    def rewind(self, batch_id: int, *, confirm: Callable[[Loss], object] | None = None) -> int:
        """As `CheckpointView.rewind`; `view` shows it."""
        with self._alone():
            return super().rewind(batch_id, confirm=confirm)

    def _rewind(self, store: CheckpointStore, batch_id: int, confirm: Callable[[Loss], object] | None = None) -> int:
        dropped = super()._rewind(store, batch_id, confirm)
        self._show_standing(store)
        return dropped

    def _show_standing(self, store: CheckpointStore, size: SourceSize | None = None) -> None:
        """Let `view` tell what the checkpoint says."""
        frontier = store.frontier(self._plan.step_names)
        self._progress = self._new_progress(
            frontier,
            store.history.state(),
            store.history.failures(),
            size=size or self._known_size(),
            quarantined=store.rows_quarantined(),
        )

    def recompute(self, batch_id: int) -> None:
        """Compute one committed batch again and put it in the place of its part, which is damaged; the others stay.

        Raises:
            UsageError: no such batch is committed.
            PipelineChanged: steps, settings or source aren't those of the checkpoint.
            SourceChanged: the source gives other rows than were committed; nothing is changed.
            StepError, SourceError, CheckpointError: what ended it; nothing is changed.
        """
        with self._alone(), self._open() as store:
            recompute(self._plan, store, batch_id, stop=StopSignal(), emit=Emitter(self._plan.listeners))
            self._pages = PageReader()

    @property
    def quarantine(self) -> PipelineQuarantine:
        """The rows that steps couldn't process: `rows`, `reasons`, `export`, `replay`."""
        return PipelineQuarantine(self)

    def _replay(self, *, accept_changes: bool) -> Replayed:
        with self._alone(), self._opened() as store:
            if store is None or not store.rows_quarantined():
                return Replayed()
            self._stop = StopSignal()
            emit = Emitter(self._plan.listeners)
            try:
                return replay(self._plan, store, stop=self._stop, emit=emit, accept_changes=accept_changes)
            finally:
                self._pages = PageReader()
                self._show_standing(store)

    def quarantined(self, limit: int | None = 1000) -> list[QuarantinedRow]:
        """Old name, only until the dashboard has moved."""
        return self.quarantine.rows(limit)

    def replay_quarantine(self, *, accept_changes: bool = False) -> Replayed:
        """Old name, only until the dashboard has moved."""
        return self.quarantine.replay(accept_changes=accept_changes)

    def export_quarantine(self, path: str | Path, *, overwrite: bool = False) -> int:
        """Old name, only until the dashboard has moved."""
        return self.quarantine.export(path, overwrite=overwrite)

    # --- plumbing -------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise CheckpointLocked(self.checkpoint_dir, "this pipeline object, which is running")
        try:
            yield
        finally:
            self._busy.release()

    def _open(self) -> CheckpointStore:
        return CheckpointStore(self.checkpoint_dir, self.results_url)

    def _new_progress(
        self,
        frontier: Frontier,
        state: RunState,
        failures: Sequence[FailureRecord] = (),
        *,
        size: SourceSize | None = None,
        quarantined: int = 0,
    ) -> Progress:
        return Progress(
            self._plan.info(self._executor, size),
            frontier=frontier,
            state=state,
            rows_quarantined=quarantined,
            failures=reversed(failures),
        )

    def _known_size(self) -> SourceSize | None:
        """Return the size that the view has, None when it is unknown."""
        info = self._progress.view().info
        return None if info.source_rows is None else SourceSize(info.source_rows, exact=info.source_rows_exact)

    def _source_size(self, position: Position) -> SourceSize | None:
        """Open the source as a run from `position` would, and close it again."""
        if not isinstance(self.batch_fetcher, SeekableFetcher):
            return None
        try:
            self.batch_fetcher.open(position)
            return self.batch_fetcher.size()
        finally:
            self.batch_fetcher.close()


class PipelineQuarantine(QuarantineView):
    """The rows in quarantine of a pipeline's checkpoint, which the pipeline can replay."""

    def __init__(self, pipeline: BatchPipeline) -> None:
        super().__init__(pipeline._opened)  # noqa: SLF001 (one object with the pipeline)
        self._pipeline = pipeline

    def replay(self, *, accept_changes: bool = False) -> Replayed:
        """Put the rows through the steps again, after the steps were fixed.

        A row that gets through goes to its place in the results and leaves the quarantine, in one transaction; the
        others stay with their new error. `accept_changes` as in `BatchPipeline.run`: fixed steps with another version
        or other settings count as changed. `request_stop` ends the replay after the current batch.

        Raises:
            PipelineChanged, CheckpointLocked: nothing was begun.
            StepError, CheckpointError, SinkError: what ended it; rows that got through before are in the results.
        """
        return self._pipeline._replay(accept_changes=accept_changes)  # noqa: SLF001 (as above)
