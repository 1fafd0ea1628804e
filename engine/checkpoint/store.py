"""The checkpoint of one pipeline: opened, moved forward by commits, moved back by rewinds.

This module owns the order in which parts, catalog and frontier.json are written. Invariants: the frontier moves only
inside a committed transaction, by contiguous batches, after their parts are durable. From construction to `close` this
process alone holds the lock. Call all methods from one thread.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from engine.checkpoint import frontier_file, location
from engine.checkpoint.catalog import compaction, opening
from engine.checkpoint.catalog.history import History
from engine.checkpoint.catalog.ledger import Ledger, row_after
from engine.checkpoint.layout import Layout
from engine.checkpoint.lock import CheckpointLock
from engine.checkpoint.parts import parts, quarantine
from engine.checkpoint.reader import CheckpointReader
from engine.checkpoint.recovery import plan, recover
from engine.checkpoint.translate_errors import REPAIR_HINT, translated
from engine.errors import CheckpointCorrupt, CheckpointError, NothingToRewind
from engine.storage import durable, files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.checkpoint.catalog.catalog import Catalog
    from engine.checkpoint.catalog.head import CatalogHead
    from engine.checkpoint.parts.manifest import Manifest
    from engine.storage.objects import ObjectPath


class CheckpointStore(CheckpointReader):
    """An open checkpoint. Use it as a context manager, or call `close`.

    `history` has its runs, failures and pipelines. `notices` are sentences about the recovery on opening; the user
    should see them.
    """

    def __init__(self, folder: Path, remote: ObjectPath | None = None) -> None:
        """Open the checkpoint in `folder`, create it if there is none, and recover from a crash.

        `remote` is the URL of its results in object storage; None if the folder records it or has the results.

        Raises:
            CheckpointLocked, CheckpointForeign, CheckpointNewer, CheckpointCorrupt,
            CheckpointNotWritable, DiskFull, StorageUnavailable: see errors.py. Nothing is changed.
            UsageError: its results are in another location than `remote`.
        """
        self.folder = folder
        self.layout = Layout(folder.absolute())  # DuckDB gives a relative "md:x" another meaning
        self.notices: list[str] = []
        self._closed = False
        self._writes = False
        self._is_new = False
        opening.check_name(self.layout.folder)
        opening.refuse_links(self.layout)
        with translated(self.layout.catalog):
            self._made_folder = not self.layout.folder.exists()
            durable.make_private_folder(self.layout.folder)
            self._lock = CheckpointLock(self.layout.lock)
        try:
            with translated(self.layout.catalog):
                self.layout = location.resolve(self.layout, remote)
                files.make_folder(self.layout.results)
                self._open()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalog and release the lock. It may be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self._ledger.close()
        finally:
            self._lock.release()

    def abandon(self) -> None:
        """Close, and delete what opening has created if nothing was recorded since: no run began.

        A checkpoint with its results in object storage stays, because their URL belongs to it from now on.
        """
        if self._closed:
            return
        with suppress(CheckpointError, OSError):
            if self._is_new and self.layout.remote is None and self.history.pipeline() is None:
                self._lock.check()
                self._ledger.close()
                # The log first: without its catalog it would be taken for that of a lost one.
                layout = self.layout
                files.delete([layout.wal, layout.catalog, layout.frontier_file])
                files.delete([layout.lock])  # who waits for it finds out that it is gone
                (layout.folder / layout.results.name).rmdir()
                if self._made_folder:
                    layout.folder.rmdir()
        self.close()

    def _open(self) -> None:
        layout = self.layout
        self.notices += recover.recover_files(layout)
        if not layout.catalog.exists():
            location.check(layout)
            if layout.wal.exists() or parts.any_published(layout):
                raise CheckpointCorrupt(
                    layout.catalog, f"the catalog {layout.catalog} is missing, but results are there", hint=REPAIR_HINT
                )
            compaction.create(layout, uuid.uuid4().hex)
            self._is_new = True
        self._ledger = Ledger(layout)
        self.notices += self._ledger.notices
        try:
            location.acquire(layout, self._ledger.key, empty=not self.next_batch_id)
            self.notices += recover.recover(self._ledger)
            self.history = History(self._ledger)
        except BaseException:
            self._ledger.close()
            raise
        if self.notices:  # something was written to the log
            self._ledger.secure_log()
        if not frontier_file.shows(layout, self.frontier(self.history.steps())):
            with suppress(OSError):  # the file may be older, and a checkpoint can be read on a full disk
                self._write_frontier_file(self._ledger.head)

    def _write_frontier_file(self, head: CatalogHead) -> None:
        frontier_file.write(self.layout, head.frontier(self.history.steps()))

    # --- forward ------------------------------------------------------------------------------------

    def commit(self, manifests: Sequence[Manifest], *, replaces_last: bool = False) -> None:
        """Make finished batches part of the results, all or none of them.

        Their parts must be durable under temporary names. One transaction moves the frontier past the batches; then
        the parts get their final names, and frontier.json is replaced. With `replaces_last`, the first batch replaces
        the last committed one.

        Raises:
            RowsNotContiguous: a batch isn't the next one; nothing is committed.
            DiskFull, CheckpointNotWritable: nothing is committed, and the store is still usable.
        """
        with translated(self.layout.catalog):
            self._fence()
            # The contents of the parts are on disk already; this makes their directory entries durable.
            files.sync(self.layout.results)
            self._ledger.append(manifests, replaces_last=replaces_last)
            self._ledger.secure_log()
            parts.publish(self.layout, manifests)
            self._write_frontier_file(self._ledger.head)
            if compaction.needs_compacting(self.layout):
                self.compact()

    def replace(self, before: Manifest, manifest: Manifest) -> None:
        """Replace the results and the quarantine of a committed batch, whose manifest is `before`.

        The new part must be durable under its temporary name, and so must the new files of the quarantine. The
        frontier doesn't move.

        Raises:
            CheckpointCorrupt: the catalog has another manifest than `before` for the batch; nothing is changed.
            DiskFull, CheckpointNotWritable: nothing is changed, and the store is still usable.
        """
        with translated(self.layout.catalog):
            self._fence()
            files.sync(self.layout.results)
            self._ledger.replace(manifest, attempt_id=before.attempt_id)
            self._ledger.secure_log()
            parts.publish(self.layout, [manifest])
            quarantine.drop(self.layout, before)
            if compaction.needs_compacting(self.layout):
                self.compact()

    def compact(self) -> None:
        """Fold the log of the catalog into its file, after making a copy of both."""
        with translated(self.layout.catalog):
            self._lock.check()
            self._ledger.compact()

    def discard_uncommitted(self) -> None:
        """Delete the temporary parts of batches that were computed and never committed.

        After an error, a commit may have succeeded before its parts got their names: only the catalog knows. If it
        can't be read, or files can't be deleted, the next opening does this.
        """
        with suppress(CheckpointError), self._ledger.reading() as catalog:
            files.require(self.layout.results)  # fail soon: the end of the run waits for this
            self._ledger.look_again()
            found = plan.survey(files.names_in(self.layout.results), self.next_batch_id).temporary
            files.delete(self.layout.temporary_part(*one) for one in found if not _is_committed(catalog, *one))
            quarantine.sweep(self.layout, catalog.quarantined())

    def _fence(self) -> None:
        """Before a change, ensure that no other process, and no copy of this folder, can write to the same location."""
        self._lock.check()
        if not self._writes:
            location.fence(self.layout, self.key)
            self._writes = True

    # --- back ---------------------------------------------------------------------------------------

    def rewind(self, batch_id: int) -> int:
        """Make `batch_id` the last committed batch, -1 for none; return how many batches were dropped.

        Raises:
            NothingToRewind: `batch_id` isn't committed.
            CheckpointCorrupt: the catalog has no record of that batch; nothing is changed.
        """
        before = self._ledger.head
        dropped = before.next_batch_id - 1 - batch_id
        if batch_id < -1 or dropped < 0:
            raise NothingToRewind(
                f"there is no batch {batch_id} to go back to: the frontier is at batch {before.next_batch_id - 1}",
                hint="Name a batch that is committed, or -1 for the very start.",
            )
        with self._ledger.reading() as catalog:
            next_row = row_after(catalog, self.layout, batch_id)
            self._fence()
            # frontier.json is moved back first: it may be older than the catalog, but never ahead of it.
            back = replace(before, next_batch_id=batch_id + 1, next_row=next_row)
            frontier_file.write(self.layout, back.frontier(self.history.steps()), durable=True)
            self._ledger.rewind(next_batch_id=batch_id + 1, next_row=next_row)
            self._ledger.secure_log()
            # The rewind is committed. A crash after this leaves parts of an older epoch, which opening deletes.
            files.delete(self.layout.part(gone) for gone in range(batch_id + 1, batch_id + 1 + dropped))
            quarantine.sweep(self.layout, catalog.quarantined())
            files.sync(self.layout.results)
        return dropped


def _is_committed(catalog: Catalog, batch_id: int, attempt_id: str) -> bool:
    manifest = catalog.batch(batch_id)
    return manifest is not None and manifest.attempt_id == attempt_id
