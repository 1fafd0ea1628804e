"""The catalog as its one writer keeps it: moved by whole transactions, connected again when that is needed.

Owns the connection for as long as the checkpoint is open, the head in memory, and what DuckDB leaves to
chance about its log. Invariant: `head` is what the catalog says, also after a commit that the database failed;
only after an interruption it has to `look_again`. It must not know when parts get their names and frontier.json is
written; that order is the store's.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from engine.checkpoint.catalog import compaction, opening
from engine.checkpoint.catalog.catalog import Catalog
from engine.checkpoint.translate_errors import REPAIR_HINT, translated
from engine.errors import CheckpointCorrupt
from engine.storage import durable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.checkpoint.layout import Layout
    from engine.checkpoint.parts.manifest import Manifest


class Ledger:
    """The open catalog of one checkpoint. Raises `duckdb.Error` and `OSError` as they come, but see `reading`.

    `catalog` is another object after a reconnection: take it from here each time. `notices` are sentences about what
    opening it has changed, for the user to see.
    """

    def __init__(self, layout: Layout) -> None:
        """Connect to the catalog, which is there.

        Raises:
            CheckpointForeign, CheckpointNewer, CheckpointCorrupt: it isn't one that this version can keep.
        """
        self.layout = layout
        self._log_secured = False
        self.catalog, self.key, self.notices = opening.open_catalog(layout)
        try:
            self.head = self.catalog.head()
        except BaseException:
            self.catalog.close()
            raise

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()

    @contextmanager
    def reading(self) -> Iterator[Catalog]:
        """Give the catalog to the block; what the disk or DuckDB raises there becomes a `CheckpointError`."""
        with translated(self.layout.catalog):
            yield self.catalog

    @contextmanager
    def writing(self) -> Iterator[Catalog]:
        """As `reading`, for a block that changes something. It opens its own transaction if it needs one."""
        with self.reading() as catalog:
            yield catalog
            self.secure_log()

    # --- where things stand -------------------------------------------------------------------------

    def last_manifest(self) -> Manifest | None:
        """Return the manifest of the last committed batch, None when there is none."""
        return self.catalog.batch(self.head.next_batch_id - 1)

    def look_again(self) -> None:
        """Take the head from the catalog: after an interruption nobody knows whether a commit has landed."""
        self.head = self.catalog.head()

    # --- moving the frontier ------------------------------------------------------------------------

    def append(
        self, manifests: Sequence[Manifest], *, replaces_last: bool = False, pipeline: str | None = None
    ) -> None:
        """Commit batches in one transaction. Their parts are durable, under whatever name.

        `replaces_last` says that the first one takes the place of the last committed batch. `pipeline` describes the
        one that made them; it is recorded with them unless it is the one on record, and None when that is known.

        Raises:
            RowsNotContiguous: a batch that isn't the next one; nothing is committed.
            CheckpointCorrupt: somebody else has moved the frontier; nothing is committed.
            duckdb.Error: nothing is committed, and the catalog is connected again.
        """
        before = self.head
        start = before
        if replaces_last and (last := self.last_manifest()):
            start = replace(before, next_batch_id=last.batch_id, next_row=last.start_row)
        after = start.after(manifests)
        try:
            with self.catalog.transaction():
                if replaces_last:
                    self.catalog.delete_batches_from(start.next_batch_id)
                if not self.catalog.advance(before, next_batch_id=after.next_batch_id, next_row=after.next_row):
                    raise CheckpointCorrupt(
                        self.layout.catalog, "the frontier in the catalog is not where this run left it"
                    )
                self.catalog.append_batches(manifests, datetime.now(UTC))
                self._record(pipeline, manifests[-1].run_id)
        except duckdb.Error:
            # A failed fsync may come after the commit has landed. Only a new look can tell; the attempt's id because a
            # batch that was done again has the id and may have the rows of the one before it.
            self._reconnect()
            last = self.last_manifest()
            if self.head != after or last is None or last.attempt_id != manifests[-1].attempt_id:
                raise
        else:
            self.head = after

    def replace(self, manifest: Manifest, *, attempt_id: str, pipeline: str | None = None) -> None:
        """Put another result of a committed batch in its place, in one transaction. The head stays.

        `pipeline` as in `append`.

        Raises:
            CheckpointCorrupt: the batch of this attempt isn't there; nothing is changed.
            duckdb.Error: nothing is changed, and the catalog is connected again.
        """
        try:
            with self.catalog.transaction():
                if not self.catalog.replace(manifest, attempt_id=attempt_id, committed_at=datetime.now(UTC)):
                    raise CheckpointCorrupt(
                        self.layout.catalog, f"batch {manifest.batch_id} is not in the catalog as it was found"
                    )
                self._record(pipeline, manifest.run_id)
        except duckdb.Error:
            self._reconnect()
            now = self.catalog.batch(manifest.batch_id)
            if now is None or now.attempt_id != manifest.attempt_id:
                raise

    def rewind(self, *, next_batch_id: int, next_row: int) -> None:
        """Drop the batches from `next_batch_id` on and begin an epoch, in one transaction."""
        with self.catalog.transaction():
            self.catalog.rewind(next_batch_id=next_batch_id, next_row=next_row)
        self.head = self.catalog.head()

    def _record(self, pipeline: str | None, run_id: int) -> None:
        recorded = self.catalog.pipeline()
        if pipeline and (recorded is None or recorded[1] != pipeline):
            self.catalog.add_pipeline(recorded[0] + 1 if recorded else 1, run_id, pipeline)

    def _reconnect(self) -> None:
        with suppress(Exception):  # the handle is broken; whatever closing says changes nothing
            self.catalog.close()
        self._log_secured = False  # opening may have made another one
        self.catalog = Catalog(self.layout.catalog)
        self.head = self.catalog.head()

    # --- the log ------------------------------------------------------------------------------------

    def secure_log(self) -> None:
        """Make the log private and its name durable: DuckDB leaves both to chance when it makes the file."""
        if not self._log_secured and self.layout.wal.exists():
            self.layout.wal.chmod(durable.PRIVATE_FILE)
            durable.fsync_path(self.layout.folder)
            self._log_secured = True

    def compact(self) -> None:
        """Fold the log into the catalog's file, under a copy."""
        self.catalog.close()
        try:
            compaction.compact(self.layout)
        finally:
            if not self.layout.guard.exists():
                self.catalog = Catalog(self.layout.catalog)
                self._log_secured = False


def row_after(catalog: Catalog, layout: Layout, batch_id: int) -> int:
    """Return the source row after this committed batch, 0 for -1.

    Raises:
        CheckpointCorrupt: the catalog has lost the batch; a frontier there would begin at a row that nobody knows.
    """
    if batch_id < 0:
        return 0
    manifest = catalog.batch(batch_id)
    if manifest is None:
        raise CheckpointCorrupt(
            layout.catalog, f"the catalog has no batch {batch_id}, although its frontier is beyond it", hint=REPAIR_HINT
        )
    return manifest.end_row + 1
