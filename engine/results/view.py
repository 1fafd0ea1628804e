"""A view of a checkpoint without its pipeline: frontier, history, results, quarantine, and its health.

Invariant: looking changes nothing and takes no lock, so it works during a run and never hinders one: it reads a copy of
the catalog. Only a rewind and a repair open the checkpoint itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine.checkpoint.copying import is_held
from engine.checkpoint.location import checked_url, located
from engine.checkpoint.lock import holder
from engine.checkpoint.loss import Loss
from engine.checkpoint.parts import parts
from engine.checkpoint.reader import CheckpointReader, looking
from engine.checkpoint.recovery import repair, verify
from engine.checkpoint.recovery.report import Repaired
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointCorrupt, FrontierUnreadable, UsageError
from engine.frontier import Frontier
from engine.results import read
from engine.results.page import PageReader
from engine.results.quarantine import QuarantineView
from engine.state import RunState
from engine.storage import files
from engine.storage.working_folder import absolute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from engine.checkpoint.catalog.records import RunRecord
    from engine.checkpoint.layout import Layout
    from engine.checkpoint.parts.manifest import Manifest
    from engine.checkpoint.recovery.report import Report
    from engine.events import FailureRecord
    from engine.results.page import ResultsPage
    from engine.storage.files import StoredPath

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CheckpointStatus:
    """The frontier of a checkpoint, and a summary of its content.

    `held_by` describes the process that holds the checkpoint, None if there is none. `runs` and `failures` have the
    latest run and the latest failure. `parts` result files have `part_bytes` bytes; they are in `results_url`, None for
    the folder itself.
    """

    state: RunState
    frontier: Frontier
    held_by: str | None = None
    runs: tuple[RunRecord, ...] = ()
    failures: tuple[FailureRecord, ...] = ()
    rows_quarantined: int = 0
    result_rows: int = 0
    parts: int = 0
    part_bytes: int = 0
    results_url: str | None = None


class CheckpointView:
    """Reads the checkpoint in `checkpoint_dir`. Nothing stays open between calls.

    A relative `checkpoint_dir` is looked up in the working folder now; the attribute is absolute. `results_url` is the
    URL of its results in object storage; None if the folder records it or has the results.

    Raises:
        UsageError: `results_url` isn't a valid URL.
    """

    def __init__(self, checkpoint_dir: str | Path = "checkpoints", results_url: str | None = None) -> None:
        self.checkpoint_dir = absolute(checkpoint_dir)
        self.results_url = checked_url(results_url)
        self._pages = PageReader()

    def exists(self) -> bool:
        """Return whether there is a checkpoint, whole or damaged."""
        layout = self._layout()
        return layout.catalog.exists() or layout.guard.exists() or parts.any_published(layout)

    def require(self) -> None:
        """Raise `UsageError` unless there is a checkpoint."""
        if not self.exists():
            raise UsageError(
                f"there is no checkpoint in {self.checkpoint_dir}",
                hint="Name the folder that holds checkpoint.duckdb, or run the pipeline first.",
            )

    def _layout(self) -> Layout:
        return located(self.checkpoint_dir)

    @contextmanager
    def _opened(self) -> Iterator[CheckpointStore | None]:
        """Open the checkpoint during the block; yield None if there is none. Raises `CheckpointError`."""
        if not self.exists():
            yield None
            return
        with CheckpointStore(self.checkpoint_dir, self.results_url) as store:
            yield store

    @contextmanager
    def _looking(self) -> Iterator[CheckpointReader | None]:
        """Open a copy of the checkpoint to read during the block; yield None if there is none."""
        if not self.exists():
            yield None
            return
        with looking(self.checkpoint_dir, self.results_url) as reader:
            yield reader

    # --- frontier and history -------------------------------------------------------------------------

    def _steps(self) -> Sequence[str] | None:
        """Return the names of the steps to show in the frontier; None for those that were recorded last."""
        return None

    def _frontier(self, store: CheckpointReader | None) -> Frontier:
        steps = self._steps()
        if store is None:
            return Frontier.at_start(steps or ())
        return store.frontier(store.history.steps() if steps is None else steps)

    def get_frontier(self) -> Frontier:
        """Return the committed frontier. It works during a run too."""
        with self._looking() as reader:
            return self._frontier(reader)

    def status(self) -> CheckpointStatus:
        """Return the frontier and a summary of the content. Raises `CheckpointError` if that can't be read."""
        layout = self._layout()
        with self._looking() as reader:
            status = self._status(reader)
        if is_held(layout):
            status = replace(status, state=RunState.RUNNING, held_by=holder(layout.lock))
        sizes = [size for name, size in files.sizes_in(layout.results) if layout.parse_part(name) is not None]
        return replace(status, parts=len(sizes), part_bytes=sum(sizes), results_url=layout.remote)

    def _status(self, store: CheckpointReader | None) -> CheckpointStatus:
        frontier = self._frontier(store)
        if store is None:
            return CheckpointStatus(RunState.IDLE, frontier)
        return CheckpointStatus(
            store.history.state(),
            frontier,
            runs=tuple(store.history.runs(1)),
            failures=tuple(store.history.failures(1)),
            rows_quarantined=store.rows_quarantined(),
            result_rows=store.result_row_count(),
        )

    def history(self, limit: int = 100) -> list[RunRecord]:
        """Return the runs of this checkpoint, newest first."""
        with self._looking() as reader:
            return reader.history.runs(limit) if reader else []

    def failures(self, limit: int = 100) -> list[FailureRecord]:
        """Return the failures of this checkpoint, newest first."""
        with self._looking() as reader:
            return reader.history.failures(limit) if reader else []

    def batch(self, batch_id: int) -> Manifest:
        """Return the manifest of a committed batch: rows, times, cursor. It works during a run too.

        Raises:
            UsageError: no such batch is committed.
        """
        try:
            return parts.read_metadata(self._layout().part(batch_id))[0]
        except (OSError, ValueError) as error:
            raise UsageError(f"there is no committed batch {batch_id} that can be read") from error

    # --- moving the frontier back ---------------------------------------------------------------------

    def loss_of_rewind(self, batch_id: int) -> Loss:
        """Return what a rewind to `batch_id` (-1 for the very start) drops."""
        with self._looking() as reader:
            return reader.loss_of_rewind(batch_id) if reader else Loss()

    def rewind(self, batch_id: int, *, confirm: Callable[[Loss], object] | None = None) -> int:
        """Make `batch_id` the last committed batch, -1 for none; return how many batches were dropped.

        If anything will be lost, `confirm` is called with the loss, while the checkpoint is held: so the loss can't
        change after that. If it raises, nothing is changed.

        Raises:
            NothingToRewind: `batch_id` is after the frontier.
            CheckpointLocked: a run is using the checkpoint.
        """
        with self._opened() as store:
            return self._rewind(store, batch_id, confirm) if store else 0

    def _rewind(self, store: CheckpointStore, batch_id: int, confirm: Callable[[Loss], object] | None = None) -> int:
        if confirm is not None and (loss := store.loss_of_rewind(batch_id)):
            confirm(loss)
        self._pages = PageReader()
        return store.rewind(batch_id)

    def reset_frontier(self, *, confirm: Callable[[Loss], object] | None = None) -> int:
        """Drop all results; the next run starts at the first batch. The history of runs stays. See `rewind`."""
        return self.rewind(-1, confirm=confirm)

    # --- health ---------------------------------------------------------------------------------------

    def verify(self) -> Report:
        """Read everything, and return a report of the faults; nothing is changed. It works during a run too.

        Raises:
            UsageError: there is no checkpoint.
            CheckpointForeign, CheckpointNewer: this version can't judge the checkpoint.
            CheckpointNotWritable: it can't be read.
        """
        self.require()
        return verify.look(self.checkpoint_dir)

    def repair(self, confirm: Callable[[Report], object] | None = None) -> Repaired:
        """Repair what `verify` finds: from the parts, or by moving the frontier before the first damaged batch.

        `confirm` is called with the report, while the checkpoint is held; `report.repair` says what is lost. If it
        raises, nothing is changed.

        Raises:
            CheckpointCorrupt: there is no usable part for the repair. Other errors are those of `verify`.
        """
        self.require()
        with verify.held(self.checkpoint_dir) as layout:
            report = verify.verify(layout)
            if confirm is not None:
                confirm(report)
            done = repair.carry_out(layout, report.repair)
        self._pages = PageReader()
        with self._opened() as store:  # opening repairs the rest, as for a run
            done += store.notices if store else []
        return Repaired(tuple(done), self.verify())

    # --- results and quarantine -----------------------------------------------------------------------

    @property
    def quarantine(self) -> QuarantineView:
        """The rows that steps couldn't process: `rows`, `reasons`, `export`."""
        return QuarantineView(self._looking)

    def _committed_parts(self) -> list[StoredPath]:
        with self._looking() as reader:
            return reader.committed_parts() if reader else []

    def _of_committed(self, function: Callable[[Sequence[StoredPath]], T]) -> T:
        """Return what `function` makes of the committed parts; call it again if another process rewinds meanwhile."""
        paths = self._committed_parts()
        try:
            return function(paths)
        except (CheckpointCorrupt, UsageError):
            again = self._committed_parts()
            if again == paths:
                raise
            return function(again)

    def collect_results(self) -> pl.DataFrame:
        """Return the results of all committed batches in one DataFrame, in source order.

        If nothing is committed, the frame has no columns. All rows are in memory: for larger results use
        `scan_results`, `iter_results` or `export`.
        """
        return self._of_committed(read.collect)

    def scan_results(self) -> pl.LazyFrame:
        """Return the results of all committed batches as a LazyFrame, in source order."""
        return read.scan(self._committed_parts())

    def iter_results(self) -> Iterator[pl.DataFrame]:
        """Yield the results batch by batch, in order, with one batch in memory at a time."""
        return read.iterate(self._committed_parts())

    def results_page(self, first_row: int, row_count: int) -> ResultsPage:
        """Return at most `row_count` rows of the results from `first_row` on, 0-based.

        It takes no lock, so it never delays a run. Only one thread at a time may call it.

        Raises:
            CheckpointCorrupt: a part can't be read.
        """
        layout = self._layout()
        try:
            frontier = Frontier.load(layout.frontier_file)
        except FrontierUnreadable:
            frontier = self.get_frontier()
        try:
            return self._pages.page(layout.part, frontier.next_batch_id, first_row, row_count)
        except CheckpointCorrupt:  # a run died before it named a part, or rewinds at this moment: the catalog knows
            self._pages = PageReader()
            return self._of_committed(
                lambda paths: self._pages.page(paths.__getitem__, len(paths), first_row, row_count)
            )

    def query_results(self, sql: str) -> pl.DataFrame:
        """Return the answer of a SELECT (DuckDB's dialect). In the query, the results are the table `results`.

        The query can only read the results: no other files, no network, no settings.

        Raises:
            UsageError: no results yet, another statement than one SELECT, or a query that can't be run.
        """
        return self._of_committed(lambda paths: read.query(paths, sql))

    def export(self, path: str | Path, *, table: str = "results", overwrite: bool = False) -> int:
        """Write the results into one file: `.parquet`, `.csv`, or a table of a `.duckdb` file; return the batches.

        Only one batch at a time is in memory. A file appears whole or not at all.

        Raises:
            UsageError: no results yet, an unknown suffix, or a file or table that already exists
                while `overwrite` is False.
        """
        paths = self._committed_parts()
        read.export(paths, Path(path), folder=self.checkpoint_dir, table=table, overwrite=overwrite)
        return len(paths)
