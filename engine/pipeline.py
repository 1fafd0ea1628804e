"""The public face: a pipeline, its runs, its frontier and its results.

Owns no protocol of its own: it opens the checkpoint for as long as a call needs it, and wires the parts
below together. Constructing a pipeline reads and writes nothing.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.checkpoint.location import checked_url
from engine.checkpoint.parts import parts
from engine.checkpoint.store import CheckpointStore
from engine.checkpoint.view import CheckpointView
from engine.errors import CheckpointLocked, UsageError, describe
from engine.events import RunEnded, StopWasRequested
from engine.executors.threads import ThreadExecutor
from engine.frontier import Frontier
from engine.progress import Progress
from engine.results import quarantine, read
from engine.runs import fingerprint, replay_run
from engine.runs import run as running
from engine.runs.arguments import check_arguments, checked_sinks, checked_steps, limits
from engine.runs.emitter import Emitter
from engine.runs.failure import failed_event, now
from engine.runs.plan import Plan, source_name
from engine.runs.recompute import recompute
from engine.runs.replay import Replayed
from engine.sources.base import Position, SeekableFetcher, SourceSize
from engine.state import RunState
from engine.worker.signals import StopSignal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import polars as pl

    from engine.checkpoint.catalog.records import FailureRecord, RunRecord
    from engine.checkpoint.parts.manifest import Manifest
    from engine.events import Listener
    from engine.executors.base import Executor
    from engine.policy import OnError, Quarantine, RetryPolicy
    from engine.progress import RunView
    from engine.results.quarantine import QuarantinedRow
    from engine.sinks.base import Sink
    from engine.sources.base import BatchFetcher
    from engine.steps.base import BatchStep

DEFAULT_BATCH_SIZE = 50_000


class BatchPipeline:
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
        part_compression: parts.PartCompression = "zstd",
        listeners: Sequence[Listener] = (),
        executor: Executor | None = None,
        sinks: Iterable[Sink] = (),
        on_error: OnError | Quarantine = "stop",
    ) -> None:
        self.steps = checked_steps(steps)
        check_arguments(batch_fetcher, batch_size, workers, part_compression)
        self.batch_fetcher = batch_fetcher
        self.batch_size = batch_size
        self.checkpoint_dir = Path(checkpoint_dir)
        self.results_url = checked_url(results_url)
        self.name = name or self.checkpoint_dir.name
        self.workers = workers
        self._given_name = name
        self._given_executor = executor
        self._retry = retry
        self._part_format = parts.PartFormat(part_compression)
        self._listeners = list(listeners)
        self._executor = executor or ThreadExecutor(workers)
        self.sinks = checked_sinks(sinks)
        self.quarantine = limits(on_error)
        self._checkpoint = CheckpointView(self.checkpoint_dir, self.results_url)
        self._stop = StopSignal()
        self._busy = threading.Lock()
        self._progress = self._new_progress(Frontier.at_start(self._step_names), RunState.IDLE)

    @property
    def _step_names(self) -> tuple[str, ...]:
        return tuple(step.name for step in self.steps)

    @property
    def source(self) -> str:
        """What is read, and how once that is known; for people to read, without secrets."""
        return source_name(self.batch_fetcher)

    def with_options(
        self,
        *,
        batch_size: int | None = None,
        checkpoint_dir: str | Path | None = None,
        workers: int | None = None,
        executor: Executor | None = None,
    ) -> BatchPipeline:
        """Return a pipeline of the same steps over the same source, other in what is given here.

        The steps and the fetcher are shared: run one of the two at a time. An executor that was passed in is
        kept, and `workers` means nothing to it.

        Raises:
            UsageError: a value that can't be right.
        """
        return BatchPipeline(
            self.steps,
            self.batch_fetcher,
            self.batch_size if batch_size is None else batch_size,
            self.checkpoint_dir if checkpoint_dir is None else checkpoint_dir,
            name=self._given_name,
            results_url=self.results_url,
            workers=self.workers if workers is None else workers,
            retry=self._retry,
            part_compression=self._part_format.compression,
            listeners=self._listeners,
            executor=executor or self._given_executor,
            sinks=self.sinks,
            on_error=self.quarantine or "stop",
        )

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` with each event of the runs to come."""
        self._listeners.append(listener)

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
        with self._alone():
            self._stop = StopSignal()
            with self._open() as store:
                if not resume:
                    # What would be refused must not cost the results.
                    fingerprint.description(self.steps, self.batch_fetcher, self.batch_size)
                    self._source_size(Position())
                    self._rewind(store, -1)
                emit = Emitter([self._progress, *self._listeners])
                try:
                    ended = running.run(
                        self._plan(on_error), store, stop=self._stop, emit=emit, accept_changes=accept_changes
                    )
                    frontier = store.frontier(self._step_names)
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
            Emitter([self._progress, *self._listeners])(StopWasRequested(now))

    def _plan(self, on_error: OnError | Quarantine | None = None) -> Plan:
        return Plan(
            name=self.name,
            steps=self.steps,
            fetcher=self.batch_fetcher,
            batch_size=self.batch_size,
            executor=self._executor,
            retry=self._retry,
            part_format=self._part_format,
            sinks=self.sinks,
            quarantine=self.quarantine if on_error is None else limits(on_error),
        )

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
            with self._checkpoint.open() as store:
                frontier = store.frontier(self._step_names) if store else Frontier.at_start(self._step_names)
                last = store.last_manifest() if store else None
                size = self._source_size(
                    Position(frontier.next_batch_id, frontier.next_row, last.cursor if last else None)
                )
                if store is None:
                    self._progress = self._new_progress(frontier, RunState.IDLE, size=size)
                else:
                    self._show_standing(store, size)
            return self.view()

    def get_frontier(self) -> Frontier:
        """Return the committed frontier; while another run holds the checkpoint, as its mirror file has it."""
        return self._checkpoint.frontier(self._step_names)

    def history(self, limit: int = 100) -> list[RunRecord]:
        """Return the runs of this checkpoint, newest first. Raises `CheckpointLocked` while one is going on."""
        with self._checkpoint.open() as store:
            return store.history.runs(limit) if store else []

    def failures(self, limit: int = 100) -> list[FailureRecord]:
        """Return the failures of this checkpoint, newest first. Raises `CheckpointLocked` during a run."""
        with self._checkpoint.open() as store:
            return store.history.failures(limit) if store else []

    def batch(self, batch_id: int) -> Manifest:
        """Return what is known of a committed batch: rows, times, cursor. Works during a run as well.

        Raises:
            UsageError: no such batch is committed.
        """
        try:
            return parts.read_metadata(self._checkpoint.layout.part(batch_id))[0]
        except (OSError, ValueError) as error:
            raise UsageError(f"there is no committed batch {batch_id} that can be read") from error

    # --- moving the frontier back ---------------------------------------------------------------------

    def reset_frontier(self) -> None:
        """Drop all results and start over with the next run. The history of runs stays."""
        self.rewind(-1)

    def rewind(self, batch_id: int) -> int:
        """Make `batch_id` the last committed batch, -1 for none; return how many batches were dropped.

        Raises:
            NothingToRewind: `batch_id` isn't behind the frontier.
            CheckpointLocked: a run is going on.
        """
        with self._alone(), self._checkpoint.open() as store:
            return self._rewind(store, batch_id) if store else 0

    def _rewind(self, store: CheckpointStore, batch_id: int) -> int:
        dropped = store.rewind(batch_id)
        frontier = store.frontier(self._step_names)
        state = RunState.RESUMABLE if batch_id >= 0 else RunState.IDLE
        view = self._progress.view()
        known = None if view.source_rows is None else SourceSize(view.source_rows, exact=view.source_rows_exact)
        self._progress = self._new_progress(
            frontier, state, store.history.failures(), size=known, quarantined=store.rows_quarantined()
        )
        return dropped

    def _show_standing(self, store: CheckpointStore, size: SourceSize | None = None) -> None:
        """Let `view` tell what the checkpoint says."""
        frontier = store.frontier(self._step_names)
        if size is None and (rows := self._progress.view().source_rows) is not None:
            size = SourceSize(rows, exact=self._progress.view().source_rows_exact)
        self._progress = self._new_progress(
            frontier,
            store.history.state(),
            store.history.failures(),
            size=size,
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
            recompute(self._plan(), store, batch_id, stop=StopSignal(), emit=Emitter(self._listeners))

    # --- quarantine -----------------------------------------------------------------------------------

    def quarantined(self, limit: int | None = 1000) -> list[QuarantinedRow]:
        """Return the rows in quarantine in source order, at most `limit`. Raises `CheckpointLocked` during a run."""
        with self._checkpoint.open() as store:
            return list(quarantine.rows(store, limit)) if store else []

    def replay_quarantine(self, *, accept_changes: bool = False) -> Replayed:
        """Put the rows in quarantine through the steps again, after these were mended.

        What gets through goes to the place in the results where it belongs, and leaves the quarantine in the same
        transaction; the rest stays there with its new error. `accept_changes` as in `run`: mended steps with another
        version or other settings count as changed. `request_stop` ends it after the batch it is at.

        Raises:
            PipelineChanged, CheckpointLocked: nothing was begun.
            StepError, CheckpointError, SinkError: what broke it off; rows that were through before are in the results.
        """
        with self._alone(), self._checkpoint.open() as store:
            if store is None or not store.rows_quarantined():
                return Replayed()
            self._stop = StopSignal()
            emit = Emitter(self._listeners)
            try:
                return replay_run.replay(self._plan(), store, stop=self._stop, emit=emit, accept_changes=accept_changes)
            finally:
                self._show_standing(store)

    def export_quarantine(self, path: str | Path, *, overwrite: bool = False) -> int:
        """Write the rows in quarantine, with their errors, to a `.csv` or `.parquet` file; return how many.

        Raises:
            UsageError: nothing in quarantine, another suffix, or a file that is there already.
        """
        with self._checkpoint.open() as store:
            if store is None:
                raise UsageError("there is nothing in quarantine")
            return quarantine.export(store, Path(path), overwrite=overwrite)

    # --- results --------------------------------------------------------------------------------------

    def collect_results(self) -> pl.DataFrame:
        """Return the results of all committed batches in one DataFrame, in source order.

        A frame without columns when nothing is committed. It holds all of it: for results larger than
        memory use `scan_results`, `iter_results` or `export`.
        """
        return read.collect(self._checkpoint.committed_parts())

    def scan_results(self) -> pl.LazyFrame:
        """Return the results of all committed batches as a LazyFrame, in source order."""
        return read.scan(self._checkpoint.committed_parts())

    def iter_results(self) -> Iterator[pl.DataFrame]:
        """Yield the results batch by batch, in order, holding one at a time."""
        return read.iterate(self._checkpoint.committed_parts())

    def query_results(self, sql: str) -> pl.DataFrame:
        """Return the answer of a SQL query (DuckDB's dialect) over the results, the table `results` in it.

        Raises:
            UsageError: no results yet, or a query that can't be run.
        """
        return read.query(self._checkpoint.committed_parts(), sql)

    def export(self, path: str | Path, *, table: str = "results", overwrite: bool = False) -> None:
        """Write the results into one file: `.parquet`, `.csv`, or a table of a `.duckdb` file.

        Holds one batch at a time. A file appears whole or not at all.

        Raises:
            UsageError: no results yet, an unknown suffix, or a file or table that is there already
                while `overwrite` is False.
        """
        parts = self._checkpoint.committed_parts()
        read.export(parts, Path(path), folder=self.checkpoint_dir, table=table, overwrite=overwrite)

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
            pipeline=self.name,
            source=self.source,
            checkpoint_dir=str(self.checkpoint_dir),
            steps=self._step_names,
            batch_size=self.batch_size,
            workers=self._executor.workers,
            window=self._executor.window,
            source_rows=size.rows if size else None,
            source_rows_exact=bool(size and size.exact),
            frontier=frontier,
            state=state,
            sinks=[sink.name for sink in self.sinks],
            rows_quarantined=quarantined,
            failures=[failed_event(failure) for failure in reversed(failures)],
        )

    def _source_size(self, position: Position) -> SourceSize | None:
        """Open the source as a run from `position` would, and close it again."""
        if not isinstance(self.batch_fetcher, SeekableFetcher):
            return None
        try:
            self.batch_fetcher.open(position)
            return self.batch_fetcher.size()
        finally:
            self.batch_fetcher.close()
