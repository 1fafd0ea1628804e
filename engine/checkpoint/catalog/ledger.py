"""The one writer of the catalog: it changes the catalog by whole transactions, and reconnects after errors.

This module owns the connection while the checkpoint is open, the head in memory, and the durability of DuckDB's log.
Invariant: `head` agrees with the catalog, also after a commit that failed in the database; only after an interruption
`look_again` must be called. This module must not know when parts are renamed and frontier.json is written; the store
owns that order.
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
from engine.checkpoint.waiting import patiently
from engine.errors import CheckpointCorrupt
from engine.storage import durable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.checkpoint.layout import Layout
    from engine.checkpoint.parts.manifest import Manifest


class Ledger:
    """The open catalog of one checkpoint. Except in `reading`, `duckdb.Error` and `OSError` are not translated.

    `catalog` is another object after a reconnection, so don't keep it. `notices` are sentences for the user about what
    the opening has changed.
    """

    def __init__(self, layout: Layout) -> None:
        """Connect to the catalog, which must exist.

        Raises:
            CheckpointForeign, CheckpointNewer, CheckpointCorrupt: this version can't use it.
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
        """Yield the catalog; translate errors of the disk and of DuckDB in the block to a `CheckpointError`."""
        with translated(self.layout.catalog):
            yield self.catalog

    @contextmanager
    def writing(self) -> Iterator[Catalog]:
        """The same as `reading`, for a block that changes something. The block opens a transaction if it needs one."""
        with self.reading() as catalog:
            yield catalog
            self.secure_log()

    # --- reading ------------------------------------------------------------------------------------

    def last_manifest(self) -> Manifest | None:
        """Return the manifest of the last committed batch, None if there is none."""
        return self.catalog.batch(self.head.next_batch_id - 1)

    def look_again(self) -> None:
        """Read the head from the catalog: after an interruption it is unknown whether a commit succeeded."""
        self.head = self.catalog.head()

    # --- moving the frontier ------------------------------------------------------------------------

    def append(
        self, manifests: Sequence[Manifest], *, replaces_last: bool = False, pipeline: str | None = None
    ) -> None:
        """Commit batches in one transaction. Their parts must be durable, under their temporary or final names.

        With `replaces_last`, the first batch replaces the last committed one. `pipeline` describes the pipeline that
        made them; it is recorded too if it differs from the latest description. None means that it doesn't.

        Raises:
            RowsNotContiguous: a batch isn't the next one; nothing is committed.
            CheckpointCorrupt: another program has moved the frontier; nothing is committed.
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
            # An fsync may fail after the commit has succeeded: only the catalog knows. The attempt ids are compared,
            # because a batch that is computed again has the same batch id and may have the same rows.
            self._reconnect()
            last = self.last_manifest()
            if self.head != after or last is None or last.attempt_id != manifests[-1].attempt_id:
                raise
        else:
            self.head = after

    def replace(self, manifest: Manifest, *, attempt_id: str, pipeline: str | None = None) -> None:
        """Replace the result of a committed batch, in one transaction. The head doesn't change.

        `pipeline` has the same meaning as in `append`.

        Raises:
            CheckpointCorrupt: this attempt isn't the committed one; nothing is changed.
            duckdb.Error: nothing is changed, and the catalog is connected again.
        """
        try:
            with self.catalog.transaction():
                if not self.catalog.replace(manifest, attempt_id=attempt_id, committed_at=datetime.now(UTC)):
                    raise CheckpointCorrupt(
                        self.layout.catalog, f"batch {manifest.batch_id} has changed in the catalog since it was read"
                    )
                self._record(pipeline, manifest.run_id)
        except duckdb.Error:
            self._reconnect()
            now = self.catalog.batch(manifest.batch_id)
            if now is None or now.attempt_id != manifest.attempt_id:
                raise

    def fill(self, manifests: Sequence[Manifest]) -> None:
        """Add batches that were lost before the frontier, in one transaction.

        Raises:
            CheckpointCorrupt: a gap would remain; nothing is changed.
        """
        with self.catalog.transaction():
            self.catalog.append_batches(manifests, datetime.now(UTC))
            if not self.catalog.is_contiguous(next_batch_id=self.head.next_batch_id, next_row=self.head.next_row):
                raise CheckpointCorrupt(
                    self.layout.catalog,
                    f"the catalog {self.layout.catalog} has lost batches, and their parts don't fill the gap",
                    hint=REPAIR_HINT,
                )

    def rewind(self, *, next_batch_id: int, next_row: int) -> None:
        """Drop the batches from `next_batch_id` on and begin a new epoch, in one transaction."""
        with self.catalog.transaction():
            self.catalog.rewind(next_batch_id=next_batch_id, next_row=next_row)
        self.head = self.catalog.head()

    def _record(self, pipeline: str | None, run_id: int) -> None:
        recorded = self.catalog.pipeline()
        if pipeline and (recorded is None or recorded[1] != pipeline):
            self.catalog.add_pipeline(recorded[0] + 1 if recorded else 1, run_id, pipeline)

    def _reconnect(self) -> None:
        with suppress(Exception):  # the connection is broken; errors of closing it don't matter
            self.catalog.close()
        self._log_secured = False  # the new connection may have created another log
        self.catalog = patiently(lambda: Catalog(self.layout.catalog))
        self.head = self.catalog.head()

    # --- the log ------------------------------------------------------------------------------------

    def secure_log(self) -> None:
        """Make the log private and its name durable: DuckDB does neither when it creates the file."""
        if not self._log_secured and self.layout.wal.exists():
            self.layout.wal.chmod(durable.PRIVATE_FILE)
            durable.fsync_path(self.layout.folder)
            self._log_secured = True

    def compact(self) -> None:
        """Fold the log into the file of the catalog, after making a copy of both."""
        try:
            compaction.compact(self.layout, self.catalog)
        except BaseException:
            with suppress(Exception):
                self.catalog.close()
            if not self.layout.guard.exists():
                self._reconnect()
            raise
        self._log_secured = False


def row_after(catalog: Catalog, layout: Layout, batch_id: int) -> int:
    """Return the first source row after this committed batch; 0 for batch -1.

    Raises:
        CheckpointCorrupt: the catalog has no record of the batch, so the row is unknown.
    """
    if batch_id < 0:
        return 0
    manifest = catalog.batch(batch_id)
    if manifest is None:
        raise CheckpointCorrupt(
            layout.catalog, f"the catalog has no batch {batch_id}, although its frontier is beyond it", hint=REPAIR_HINT
        )
    return manifest.end_row + 1
