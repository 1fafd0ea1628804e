"""The public interface: a pipeline, its runs, its frontier and its results.

This module has no protocol: it opens the checkpoint while a call needs it, and connects the parts of the
engine. To construct a pipeline reads and writes nothing.
"""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.checkpoint.copying import is_held
from engine.checkpoint.location import checked_url
from engine.checkpoint.lock import holder
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointLocked, FetchFailed, describe, raised_as
from engine.events import RunEnded, StopWasRequested
from engine.executors.threads import ThreadExecutor
from engine.frontier import Frontier
from engine.progress import Progress
from engine.results.mended import read_mended
from engine.results.page import PageReader
from engine.results.quarantine import QuarantineView
from engine.results.view import CheckpointView
from engine.runs import fingerprint
from engine.runs import run as running
from engine.runs.failure import now
from engine.runs.plan import Plan, as_tuple, listed_steps, quarantine_limits
from engine.runs.recompute import recompute
from engine.runs.replay import Replayed, replay
from engine.runs.resume_rules import next_position
from engine.runs.session import Emitter
from engine.sources.base import Position, SeekableFetcher, SourceSize
from engine.sources.generator import as_fetcher
from engine.state import RunState
from engine.worker.signals import StopSignal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import polars as pl

    from engine.checkpoint.loss import Loss
    from engine.checkpoint.parts.parts import PartCompression
    from engine.checkpoint.reader import CheckpointReader
    from engine.events import Event, Listener
    from engine.executors.base import Executor
    from engine.policy import OnError, Quarantine, RetryPolicy
    from engine.progress import RunView
    from engine.sinks.base import Sink
    from engine.sources.base import BatchFetcher
    from engine.steps.base import BatchStep

DEFAULT_BATCH_SIZE = 50_000


class BatchPipeline(CheckpointView):
    """Steps over a source, batch by batch, with a checkpoint from which each run continues.

    Args:
        steps: in the order in which each batch goes through them; names must differ.
        batch_fetcher: a fetcher of `engine`; or any callable `(batch_id, batch_size) -> Batch | None`, which may also
            return a frame; or a generator function without arguments that yields frames, see `GeneratorFetcher`.
        batch_size: source rows per batch.
        batch_bytes: how many bytes of memory the rows of a batch may take; a batch of wide rows has fewer than
            `batch_size`. By default a share of this machine's memory, 16 to 256 MiB. It may change at any time. A
            function that finds its rows by batch id times batch size, and a `SqlFetcher`, keep to `batch_size` alone.
        checkpoint_dir: the folder of the checkpoint. The first run creates it; only its owner can read it. A relative
            one is looked up in the working folder when the pipeline is made.
        name: the name of the pipeline on screens; by default the name of the checkpoint folder.
        results_url: the URL of the result files, such as s3://bucket/flights, instead of the checkpoint folder. It
            can't be changed after the first run. It needs `pip install 'batchpipe-tui[s3]'`.
        workers: how many batches to work on at the same time; by default one more than the number of cores,
            but at most 4. Peak memory grows with it.
        retry: when to try a failed step or fetch again; by default never. The `retry` of a step has priority.
        part_compression: how the result files are compressed: "zstd", "snappy", "lz4" or "uncompressed".
        listeners: called with each event of a run, from its threads; see `engine.events`.
        executor: where the steps run, instead of threads of this process.
        on_error: what to do with rows that the source can't read or a step can't process. "stop" ends the run before
            their batch; "quarantine", or a `Quarantine` with other limits, puts them into quarantine. The `on_error` of
            a step has priority for what this step can't process.
        sinks: targets that also get the results, exactly once: a `SqlSink`, a `DuckDBSink`.

    Raises:
        UsageError: an argument isn't valid, or two steps have the same name.
    """

    def __init__(
        self,
        steps: Iterable[BatchStep],
        batch_fetcher: BatchFetcher | Callable[[], Iterator[pl.DataFrame | pl.LazyFrame]],
        batch_size: int = DEFAULT_BATCH_SIZE,
        checkpoint_dir: str | Path = "checkpoints",
        *,
        name: str = "",
        results_url: str | None = None,
        batch_bytes: int | None = None,
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
                batch_fetcher=as_fetcher(batch_fetcher),
                batch_size=batch_size,
                batch_bytes=batch_bytes,
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
        self._plan = replace(plan, checkpoint_dir=self.checkpoint_dir)
        self._executor = plan.executor or ThreadExecutor(plan.workers)
        self._stop = StopSignal()
        self._busy = threading.Lock()
        self._progress = self._new_progress()
        self._emitter = Emitter(())

    @property
    def steps(self) -> tuple[BatchStep, ...]:
        """The steps, in order."""
        return self._plan.steps

    @property
    def batch_fetcher(self) -> BatchFetcher:
        """The source. A new one takes effect with the next run."""
        return self._plan.batch_fetcher

    @batch_fetcher.setter
    def batch_fetcher(self, batch_fetcher: BatchFetcher) -> None:
        self._plan = replace(self._plan, batch_fetcher=as_fetcher(batch_fetcher))

    @property
    def batch_size(self) -> int:
        """Source rows per batch."""
        return self._plan.batch_size

    @property
    def batch_bytes(self) -> int | None:
        """How many bytes of memory the rows of a batch may take, None for the default."""
        return self._plan.batch_bytes

    @property
    def name(self) -> str:
        """The name of the pipeline on screens."""
        return self._plan.title

    @property
    def workers(self) -> int | None:
        """How many batches to work on at the same time, None for the default."""
        return self._plan.workers

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """The targets that also get the results."""
        return self._plan.sinks

    @property
    def on_error(self) -> Quarantine | None:
        """How many rows may go into quarantine; None if the run stops at the first row that fails."""
        return self._plan.on_error

    @property
    def source(self) -> str:
        """A description of the source, and of the way it is read if that is known; for people, without secrets."""
        return self._plan.source

    def with_options(
        self,
        *,
        batch_size: int | None = None,
        batch_bytes: int | None = None,
        checkpoint_dir: str | Path | None = None,
        workers: int | None = None,
        executor: Executor | None = None,
    ) -> BatchPipeline:
        """Return a pipeline with the same plan except for these arguments; None keeps a value.

        The two pipelines share steps and fetcher: run only one of them at a time. An executor that was passed in is
        kept, and `workers` has no effect on it.

        Raises:
            UsageError: a value isn't valid.
        """
        given: dict[str, Any] = {
            "batch_size": batch_size,
            "batch_bytes": batch_bytes,
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
        """Call `listener` with each event of later runs."""
        self._plan = replace(self._plan, listeners=(*self._plan.listeners, listener))

    # --- running --------------------------------------------------------------------------------------

    def run(
        self,
        resume: bool = True,  # noqa: FBT001, FBT002 (the API's word)
        *,
        accept_changes: bool = False,
        on_error: OnError | Quarantine | None = None,
    ) -> Frontier:
        """Continue from the frontier until the source ends or `request_stop` is called; return the frontier.

        `resume=False` drops all results first and starts at the first batch. With `accept_changes` the run continues
        although steps, settings or source have changed since the last run; then the results have two kinds of rows.
        `on_error` replaces that of the pipeline for this run.
        Only one call at a time. It blocks until the run ends, and may be called from any thread.

        Raises:
            StepError, SourceError: a batch failed and ended the run. Everything before it is committed, and the next
                call continues there.
            CheckpointError: the checkpoint can't be used or written.
            PipelineChanged, SourceNotFound: the run didn't start. It leaves no checkpoint folder; if there was one, its
                history says why.
        """
        plan = self._plan if on_error is None else replace(self._plan, on_error=quarantine_limits(on_error))
        with self._alone():
            self._stop = StopSignal()
            self._emitter = Emitter([self._apply, *self._plan.listeners])
            with self._emitter as emit, self._open() as store:
                try:
                    if not resume:
                        self._start_over(plan, store)
                    ended = running.run(
                        plan, self._executor, store, stop=self._stop, emit=emit, accept_changes=accept_changes
                    )
                    frontier = store.frontier(self._plan.step_names)
                    store.close()
                except BaseException as error:
                    store.abandon()
                    self._end_broken_run(error, emit)
                    raise
                message = describe(ended.error) if ended.state is RunState.FAILED and ended.error else ""
                emit(RunEnded(ended.run_id, now(), ended.state, message))
        if ended.error is not None:
            raise ended.error
        return frontier

    def _apply(self, event: Event) -> None:
        """Apply the event to the progress that there is now: a start over replaces it during a run."""
        self._progress(event)

    def _start_over(self, plan: Plan, store: CheckpointStore) -> None:
        """Drop the results, unless a run from the first batch on would be refused."""
        try:
            fingerprint.description(self.steps, self.batch_fetcher, self.batch_size)
            self._source_size(Position())
        except Exception as error:
            running.record_refusal(plan, store, error)
            raise
        self._rewind(store, -1)

    def _end_broken_run(self, error: BaseException, emit: Listener) -> None:
        """Emit the end of a run that couldn't emit it itself: Ctrl-C may come at any moment."""
        view = self._progress.view()
        if view.run_id is None or not view.state.is_live:
            return
        interrupted = isinstance(error, KeyboardInterrupt)
        if interrupted:
            emit(StopWasRequested(now=True))
        state = RunState.RESUMABLE if interrupted else RunState.FAILED
        emit(RunEnded(view.run_id, now(), state, "" if interrupted else describe(error)))

    def request_stop(self, *, now: bool = False) -> None:
        """Request a stop: after the batches in flight; with `now` at once, without them.

        It returns at once, and may be called from any thread and from a signal handler. In both cases committed batches
        stay, and the next run continues after them.
        """
        if self._stop.asked and (self._stop.now or not now):
            return
        self._stop.ask(now=now)
        if self._busy.locked():
            self._emitter(StopWasRequested(now))

    # --- the state of the run ---------------------------------------------------------------------------

    def view(self) -> RunView:
        """Return the state of the run at this moment, from memory. It is cheap, and may be called from any thread."""
        return self._progress.view()

    def refresh(self) -> RunView:
        """Read the checkpoint and the size of the source, so that `view` shows what a run would do; return the view.

        Raises:
            CheckpointError, SourceNotFound, SourceError: a run would fail for the same reason. If it is the source,
                `view` shows what is committed all the same.
        """
        with self._alone():
            with self._looking() as store:
                if is_held(self._layout()):
                    raise CheckpointLocked(self.checkpoint_dir, holder(self._layout().lock))
                self._progress = self._new_progress(store)  # what is committed is seen although the source fails
                size = self._source_size(next_position(store.last_manifest() if store else None))
                self._progress = self._new_progress(store, size)
            return self.view()

    def _steps(self) -> tuple[str, ...]:
        return self._plan.step_names

    # --- moving the frontier back ---------------------------------------------------------------------

    def rewind(self, batch_id: int, *, confirm: Callable[[Loss], object] | None = None) -> int:
        """See `CheckpointView.rewind`. Afterwards, `view` shows the new frontier."""
        with self._alone():
            return super().rewind(batch_id, confirm=confirm)

    def _rewind(self, store: CheckpointStore, batch_id: int, confirm: Callable[[Loss], object] | None = None) -> int:
        dropped = super()._rewind(store, batch_id, confirm)
        self._progress = self._new_progress(store, self._known_size())
        return dropped

    def recompute(self, batch_id: int) -> None:
        """Compute one committed batch again and replace its part, which is damaged; the other parts stay.

        Raises:
            UsageError: no such batch is committed.
            PipelineChanged: steps, settings or source aren't those of the checkpoint.
            SourceChanged: the source has other rows than those that were committed; nothing is changed.
            StepError, SourceError, CheckpointError: the batch can't be computed or replaced; nothing is changed.
        """
        with self._alone(), Emitter(self._plan.listeners) as emit, self._open() as store:
            recompute(self._plan, store, batch_id, stop=StopSignal(), emit=emit)
            self._pages = PageReader()

    @property
    def quarantine(self) -> PipelineQuarantine:
        """The rows that steps couldn't process: `rows`, `reasons`, `export`, `replay`."""
        return PipelineQuarantine(self)

    def _replay(self, mended: Path | None, *, accept_changes: bool) -> Replayed:
        with self._alone(), self._opened() as store:
            if store is None or not store.rows_quarantined():
                return Replayed()
            self._stop = StopSignal()
            self._emitter = Emitter(self._plan.listeners)
            try:
                with self._emitter as emit:
                    return replay(
                        self._plan,
                        store,
                        mended=read_mended(mended, store) if mended else None,
                        stop=self._stop,
                        emit=emit,
                        accept_changes=accept_changes,
                    )
            finally:
                self._pages = PageReader()
                self._progress = self._new_progress(store, self._known_size())

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

    def _new_progress(self, store: CheckpointReader | None = None, size: SourceSize | None = None) -> Progress:
        """Return a progress that shows the state of the checkpoint, or the state before the first run."""
        info, names = self._plan.info(self._executor, size), self._plan.step_names
        if store is None:
            return Progress(info, frontier=Frontier.at_start(names), state=RunState.IDLE)
        return Progress(
            info,
            frontier=store.frontier(names),
            state=store.history.state(),
            rows_quarantined=store.rows_quarantined(),
            failures=reversed(store.history.failures()),
        )

    def _known_size(self) -> SourceSize | None:
        """Return the size in the view, None if it is unknown."""
        info = self._progress.view().info
        return None if info.source_rows is None else SourceSize(info.source_rows, exact=info.source_rows_exact)

    def _source_size(self, position: Position) -> SourceSize | None:
        """Open the source as for a run from `position`, read its size, and close it."""
        if not isinstance(self.batch_fetcher, SeekableFetcher):
            return None
        with raised_as(partial(FetchFailed, position.next_batch_id)), closing(self.batch_fetcher) as fetcher:
            fetcher.open(position)
            return fetcher.size()


class PipelineQuarantine(QuarantineView):
    """The rows in quarantine of a pipeline's checkpoint, which the pipeline can replay."""

    def __init__(self, pipeline: BatchPipeline) -> None:
        super().__init__(pipeline._looking)  # noqa: SLF001 (one object with the pipeline)
        self._pipeline = pipeline

    def replay(self, *, mended: str | Path | None = None, accept_changes: bool = False) -> Replayed:
        """Apply the steps to the rows in quarantine again, after the steps were fixed.

        A row that the source couldn't read is read again first: its own line as it is now, or the text that `mended`
        has for it. `mended` is a file that `export` wrote, in which a person has corrected the column `text`. With it,
        rows that it doesn't have stay in quarantine, and so do rows that a step refused.

        One transaction moves the rows that succeed from the quarantine to their places in the results; the others stay
        with their new error. `accept_changes` has the same meaning as in `BatchPipeline.run`: fixed steps with another
        version or other settings count as changed. `request_stop` ends the replay after the current batch.

        Raises:
            UsageError: `mended` can't be used; nothing was changed.
            PipelineChanged, CheckpointLocked: the replay didn't start.
            StepError, CheckpointError, SinkError: the replay failed; rows that succeeded before are in the results.
        """
        path = None if mended is None else Path(mended)
        return self._pipeline._replay(path, accept_changes=accept_changes)  # noqa: SLF001 (as above)
