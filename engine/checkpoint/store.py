"""The checkpoint of one pipeline: opened, recovered, moved forward by commits, moved back by rewinds.

Invariants: the frontier moves only inside a committed transaction, by contiguous batches, after their
parts are durable. Between `open` and `close` this process alone holds the lock. All methods belong to
one thread.
"""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import duckdb
import polars as pl

from engine import durable
from engine.checkpoint import guard, opening, parts, recovery
from engine.checkpoint.catalog import Catalog, Head
from engine.checkpoint.failures import REPAIR_HINT, translate
from engine.checkpoint.layout import Layout, new_token
from engine.checkpoint.lock import CheckpointLock
from engine.errors import CheckpointCorrupt, CheckpointError, FrontierUnreadable, NothingToRewind, RowsNotContiguous
from engine.frontier import Frontier

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from engine.checkpoint.manifest import Manifest
    from engine.checkpoint.records import FailureRecord, RunOutcome, RunRecord

SOFTWARE = "batchpipe-tui"


class CheckpointStore:
    """An open checkpoint. Use it as a context manager, or call `close`.

    `notices` are sentences about what had to be mended on opening; the user should see them.
    """

    def __init__(self, folder: Path) -> None:
        """Open the checkpoint in `folder`, making it when there is none, and finish what a crash left.

        Raises:
            CheckpointLocked, CheckpointForeign, CheckpointNewer, CheckpointCorrupt,
            CheckpointNotWritable, DiskFull: see errors.py. What is there is left as it is.
        """
        self.folder = folder
        self.layout = Layout(folder.absolute())  # DuckDB takes a relative "md:x" for something else than a folder
        self.notices: list[str] = []
        self._closed = False
        self._log_secured = False
        opening.check_name(self.layout.folder)
        with self._translated():
            durable.make_private_folder(self.layout.folder)
            durable.make_private_folder(self.layout.results)
            self._lock = CheckpointLock(self.layout.lock)
        try:
            with self._translated():
                self._open()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalog and let go of the lock. Closing twice does no harm."""
        if self._closed:
            return
        self._closed = True
        try:
            self._catalog.close()
        finally:
            self._lock.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, duckdb.Error) as error:
            raise translate(self.layout.catalog, error) from error
        except RuntimeError as error:
            if str(error) != "Query interrupted":  # what DuckDB makes of a Ctrl-C that comes during a query
                raise
            raise KeyboardInterrupt from error

    # --- opening ------------------------------------------------------------------------------------

    def _open(self) -> None:
        layout = self.layout
        if guard.restore(layout):
            self.notices.append("the last run died while the catalog was being compacted; its copy was put back")
        _sweep(layout.folder)
        if not layout.catalog.exists():
            if layout.wal.exists() or any(layout.results.glob("part-*.parquet")):
                raise CheckpointCorrupt(
                    layout.catalog, f"the catalog {layout.catalog} is missing, but results are there", hint=REPAIR_HINT
                )
            guard.create(layout, key=uuid.uuid4().hex, software=SOFTWARE)
        opening.inspect(layout.catalog)
        self._catalog = Catalog(layout.catalog)
        try:
            self.key = opening.check_identity(layout.catalog, self._catalog)
            self._head = self._catalog.head()
            self._recover()
            crashed = self._catalog.mark_crashed_runs()
            self._steps = opening.step_names(self.pipeline())  # kept: the mirror is written after each commit
        except BaseException:
            self._catalog.close()
            raise
        if crashed:
            self.notices.append(
                f"run {', '.join(map(str, crashed))} ended without a word (crash or kill); "
                f"going on from batch {self._head.next_batch_id}"
            )
        if self.notices:  # something was written to the log
            self._secure_log()
        if not self._mirror_is_right():
            with suppress(OSError):  # it may lag behind: looking at a checkpoint works on a full disk as well
                self._write_mirror()

    def _recover(self) -> None:
        layout, head = self.layout, self._head
        plan = recovery.decide(
            self._found(),
            next_batch_id=head.next_batch_id,
            next_row=head.next_row,
            generation=head.generation,
            committed=self._committed,
            published=lambda batch_id: layout.part(batch_id).exists(),
            read_part=self._read_own_part,
        )
        if plan.missing:
            raise CheckpointCorrupt(
                layout.results,
                f"{plan.missing} of {head.next_batch_id} parts are missing from {layout.results}",
                hint="Put them back, or run `batch-pipeline verify --repair` to go back to the batch before the "
                "first missing one.",
            )
        self._check_last_part(plan)
        for batch_id in plan.set_aside:
            part = layout.part(batch_id)
            aside = part.with_name(part.name + ".set-aside")
            if aside.exists():
                aside = aside.with_name(f"{aside.name}-{new_token()}")
            part.replace(aside)
            self.notices.append(f"{part.name} is beyond the frontier and no part of this: renamed to {aside.name}")
        for batch_id, token in plan.delete_temporary:
            layout.temporary_part(batch_id, token).unlink()
        for batch_id in plan.delete_parts:
            layout.part(batch_id).unlink()
        parts.publish(layout, plan.publish)
        if plan.take_back:
            self._commit_rows(plan.take_back)
            self._take_back_pipeline(plan.take_back[-1])
            self.notices.append(
                f"the catalog's log had lost {len(plan.take_back)} committed batches; they were taken back in from "
                "their parts"
            )

    def _check_last_part(self, plan: recovery.Plan) -> None:
        """Refuse a catalog whose log has lost a rewind or a replacement: the parts tell of a later history.

        The last part is enough. Tokens are unique, and whatever puts other parts in the place of committed ones
        goes on to the last of them.
        """
        last = self._committed(self._head.next_batch_id - 1)
        if last is None or last in plan.publish:
            return
        own = self._read_own_part(last.batch_id)
        if own is not None and own.token != last.token:
            raise CheckpointCorrupt(
                self.layout.catalog,
                f"the catalog has lost its latest entries: {self.layout.part(last.batch_id).name} is of another "
                "attempt than it says",
                hint=REPAIR_HINT,
            )

    def _take_back_pipeline(self, manifest: Manifest) -> None:
        """Record the pipeline that made this part, unless the catalog still knows it."""
        pipeline = parts.read_metadata(self.layout.part(manifest.batch_id))[1].get("pipeline")
        recorded = self._catalog.pipeline()
        if pipeline and (recorded is None or recorded[1] != pipeline):
            self._catalog.add_pipeline(recorded[0] + 1 if recorded else 1, manifest.run_id, pipeline)

    def _found(self) -> recovery.Found:
        with os.scandir(self.layout.results) as entries:
            return recovery.survey((entry.name for entry in entries), self._head.next_batch_id)

    def _committed(self, batch_id: int) -> Manifest | None:
        manifests = self._catalog.batches(batch_id, batch_id)
        return manifests[0] if manifests else None

    def _read_own_part(self, batch_id: int) -> Manifest | None:
        try:
            manifest, checkpoint = parts.read_metadata(self.layout.part(batch_id))
        except ValueError:
            return None
        return manifest if checkpoint.get("key") == self.key else None

    # --- where things stand -------------------------------------------------------------------------

    @property
    def next_batch_id(self) -> int:
        """The first batch that is not committed."""
        return self._head.next_batch_id

    @property
    def next_row(self) -> int:
        """The first source row that is not committed."""
        return self._head.next_row

    @property
    def generation(self) -> int:
        """How many rewinds and resets there were."""
        return self._head.generation

    def frontier(self, steps: Sequence[str]) -> Frontier:
        """Return the committed frontier; every one of `steps` stands at it."""
        return _frontier(self._head, steps)

    def last_manifest(self) -> Manifest | None:
        """Return the manifest of the last committed batch: its cursor and snapshots are where to go on."""
        with self._translated():
            return self._committed(self._head.next_batch_id - 1)

    def pinned_schema(self) -> pl.Schema | None:
        """Return the columns and dtypes of the results, which the first part has; None before the first."""
        if not self._head.next_batch_id:
            return None
        try:
            return pl.scan_parquet(self.layout.part(0), glob=False).collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise CheckpointCorrupt(self.layout.part(0), f"the first part can't be read: {error}") from error

    def part_paths(self) -> list[Path]:
        """Return the committed parts in batch order."""
        return [self.layout.part(batch_id) for batch_id in range(self._head.next_batch_id)]

    def result_row_count(self) -> int:
        """Return how many rows the results have."""
        with self._translated():
            return self._catalog.count_batches()[2]

    def pipeline(self) -> str | None:
        """Return the description of the pipeline as recorded last, None before the first run."""
        with self._translated():
            recorded = self._catalog.pipeline()
        return recorded[1] if recorded else None

    def steps(self) -> tuple[str, ...]:
        """Return the names of the steps as recorded last."""
        return self._steps

    def runs(self, limit: int = 100) -> list[RunRecord]:
        """Return the newest runs first."""
        with self._translated():
            return self._catalog.runs(limit)

    def failures(self, limit: int = 100) -> list[FailureRecord]:
        """Return the newest failures first."""
        with self._translated():
            return self._catalog.failures(limit)

    def batches(self, first_batch_id: int, last_batch_id: int) -> list[Manifest]:
        """Return the manifests of committed batches, both ids inclusive, in order."""
        with self._translated():
            return self._catalog.batches(first_batch_id, last_batch_id)

    # --- forward ------------------------------------------------------------------------------------

    def commit(self, manifests: Sequence[Manifest], *, replaces_last: bool = False) -> None:
        """Make finished batches part of the results, all or none of them.

        Their parts are durable under temporary names. One transaction moves the frontier behind them; then
        they get their final names, and the mirror is replaced. `replaces_last` says that the first one
        takes the place of the last committed batch.

        Raises:
            RowsNotContiguous: a batch that isn't the next one; nothing is committed.
            DiskFull, CheckpointNotWritable: nothing is committed, and the store is still usable.
        """
        # The parts' contents are on disk; their directory entries are only now.
        with self._translated():
            durable.fsync_path(self.layout.results)
            self._commit_rows(manifests, replaces_last=replaces_last)
            self._secure_log()
            parts.publish(self.layout, manifests)
            self._write_mirror()
        if guard.needs_compacting(self.layout):
            self.compact()

    def _commit_rows(self, manifests: Sequence[Manifest], *, replaces_last: bool = False) -> None:
        before = self._head
        start = before
        if replaces_last and (last := self.last_manifest()):
            start = replace(before, next_batch_id=last.batch_id, next_row=last.start_row)
        after = _after(start, manifests)
        try:
            with self._catalog.transaction():
                if replaces_last:
                    self._catalog.delete_batches_from(start.next_batch_id)
                if not self._catalog.advance(before, next_batch_id=after.next_batch_id, next_row=after.next_row):
                    raise CheckpointCorrupt(
                        self.layout.catalog, "the frontier in the catalog is not where this run left it"
                    )
                self._catalog.append_batches(manifests, datetime.now(UTC))
        except duckdb.Error:
            # A failed fsync may come after the commit has landed. Only a new look can tell; the token because a
            # batch that was done again has the id and may have the rows of the one before it.
            self._reconnect()
            last = self.last_manifest()
            if self._head != after or last is None or last.token != manifests[-1].token:
                raise
        else:
            self._head = after

    def _reconnect(self) -> None:
        with suppress(Exception):  # the handle is broken; whatever closing says changes nothing
            self._catalog.close()
        self._catalog = Catalog(self.layout.catalog)
        self._head = self._catalog.head()

    def compact(self) -> None:
        """Fold the catalog's log into its file, under a copy."""
        with self._translated():
            self._catalog.close()
            try:
                guard.compact(self.layout)
            finally:
                if not self.layout.guard.exists():
                    self._catalog = Catalog(self.layout.catalog)
                    self._log_secured = False

    def discard_uncommitted(self) -> None:
        """Delete the temporary parts of batches that were computed and never committed.

        A commit that was cut off by an error may have landed, and its parts wait for their names: only the
        catalog can tell. What can't be told or deleted now is sorted out on the next opening.
        """
        with suppress(CheckpointError), self._translated():
            self._head = self._catalog.head()
            for batch_id, token in self._found().temporary:
                manifest = self._committed(batch_id)
                if manifest is None or manifest.token != token:
                    self.layout.temporary_part(batch_id, token).unlink(missing_ok=True)

    # --- back ---------------------------------------------------------------------------------------

    def rewind(self, batch_id: int) -> int:
        """Make `batch_id` the last committed batch, -1 for none; return how many batches were dropped.

        Raises:
            NothingToRewind: `batch_id` isn't behind the frontier.
        """
        dropped = self._head.next_batch_id - 1 - batch_id
        if batch_id < -1 or dropped < 0:
            raise NothingToRewind(
                f"there is no batch {batch_id} to go back to: the frontier is at batch {self._head.next_batch_id - 1}",
                hint="Name a batch that is committed, or -1 for the very start.",
            )
        with self._translated():
            kept = self._committed(batch_id)
            next_row = kept.end_row + 1 if kept else 0
            # The mirror goes back first: it may lag behind the catalog, but is never ahead of it.
            self._write_mirror(replace(self._head, next_batch_id=batch_id + 1, next_row=next_row))
            with self._catalog.transaction():
                self._catalog.rewind(next_batch_id=batch_id + 1, next_row=next_row)
            self._head = self._catalog.head()
            self._secure_log()
            # Committed: a crash from here on leaves parts of an older generation, which opening deletes.
            for gone in range(batch_id + 1, batch_id + 1 + dropped):
                self.layout.part(gone).unlink(missing_ok=True)
            durable.fsync_path(self.layout.results)
        return dropped

    # --- history ------------------------------------------------------------------------------------

    def begin_run(self, *, batch_size: int, pipeline: str, changed: bool) -> int:
        """Record the start of a run, and the pipeline when it is new or changed; return the run's number."""
        with self._translated(), self._catalog.transaction():
            run_id = self._catalog.add_run(
                first_batch_id=self._head.next_batch_id,
                batch_size=batch_size,
                host=socket.gethostname(),
                pid=os.getpid(),
            )
            if changed:
                recorded = self._catalog.pipeline()
                self._catalog.add_pipeline(recorded[0] + 1 if recorded else 1, run_id, pipeline)
        if changed:
            self._steps = opening.step_names(pipeline)
        with self._translated():
            self._secure_log()
            self._write_mirror()
        return run_id

    def _secure_log(self) -> None:
        """Make the log private and its name durable: DuckDB leaves both to chance when it makes the file."""
        if not self._log_secured and self.layout.wal.exists():
            self.layout.wal.chmod(durable.PRIVATE_FILE)
            durable.fsync_path(self.layout.folder)
            self._log_secured = True

    def end_run(self, run_id: int, outcome: RunOutcome, message: str = "") -> None:
        """Record how a run ended."""
        with self._translated():
            self._catalog.end_run(run_id, outcome, message)
            self._secure_log()

    def add_failure(self, failure: FailureRecord) -> None:
        """Record the batch that ended a run."""
        with self._translated():
            self._catalog.add_failure(failure)
            self._secure_log()

    def _mirror_is_right(self) -> bool:
        try:
            return Frontier.load(self.layout.mirror) == self.frontier(self._steps)
        except FrontierUnreadable:
            return False

    def _write_mirror(self, head: Head | None = None) -> None:
        frontier = _frontier(head or self._head, self._steps)
        durable.replace_text(self.layout.mirror, frontier.to_json() + "\n", durable=False)


def _frontier(head: Head, steps: Sequence[str]) -> Frontier:
    last = head.next_batch_id - 1
    return Frontier(
        last_completed_batch_id=last,
        last_completed_row=head.next_row - 1,
        total_rows_processed=head.next_row,
        step_states=dict.fromkeys(steps, last),
    )


def _after(head: Head, manifests: Sequence[Manifest]) -> Head:
    for manifest in manifests:
        if (manifest.batch_id, manifest.start_row) != (head.next_batch_id, head.next_row):
            raise RowsNotContiguous(
                manifest.batch_id,
                manifest.start_row,
                manifest.end_row,
                expected_batch_id=head.next_batch_id,
                expected_row=head.next_row,
            )
        head = replace(head, next_batch_id=manifest.batch_id + 1, next_row=manifest.end_row + 1)
    return head


def _sweep(folder: Path) -> None:
    """Delete what a process that died left under temporary names of this package."""
    for entry in folder.iterdir():
        if entry.name.startswith((".checkpoint", ".guard", ".frontier.json")) and ".tmp" in entry.name:
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
