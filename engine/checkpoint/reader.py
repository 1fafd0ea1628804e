"""Reads an open checkpoint: frontier, manifests, history. A store can also change it; `looking` opens a copy to read.

Looking changes nothing in the folder, takes no lock and works during a run. What the next opening will repair is
repaired in the copy, so a reader sees the checkpoint as a run would find it.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import polars as pl

from engine.checkpoint import location
from engine.checkpoint.catalog import opening
from engine.checkpoint.catalog.catalog import PAGE
from engine.checkpoint.catalog.history import History
from engine.checkpoint.catalog.ledger import Ledger
from engine.checkpoint.copying import copied
from engine.checkpoint.layout import Layout
from engine.checkpoint.loss import Loss
from engine.checkpoint.parts import parts
from engine.checkpoint.recovery import recover
from engine.checkpoint.translate_errors import REPAIR_HINT, translated
from engine.errors import CheckpointCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from engine.checkpoint.parts.manifest import Manifest
    from engine.frontier import Frontier
    from engine.storage.files import StoredPath
    from engine.storage.objects import ObjectPath


class CheckpointReader:
    """An open checkpoint, to read. `history` has its runs, failures and pipelines."""

    layout: Layout
    history: History
    _ledger: Ledger
    _waiting: Mapping[int, StoredPath] = {}
    """The paths of committed parts that still have their temporary names."""

    @property
    def key(self) -> str:
        """The unique key of this checkpoint: 32 hex digits that never change."""
        return self._ledger.key

    @property
    def next_batch_id(self) -> int:
        """The first batch that is not committed."""
        return self._ledger.head.next_batch_id

    @property
    def next_row(self) -> int:
        """The first source row that is not committed."""
        return self._ledger.head.next_row

    @property
    def epoch(self) -> int:
        """How many rewinds and resets there were."""
        return self._ledger.head.epoch

    def frontier(self, steps: Sequence[str]) -> Frontier:
        """Return the committed frontier; each of `steps` has the same one."""
        return self._ledger.head.frontier(steps)

    def last_manifest(self) -> Manifest | None:
        """Return the manifest of the last committed batch: the next batch continues with its cursor and snapshots."""
        with translated(self.layout.catalog):
            return self._ledger.last_manifest()

    def pinned_schema(self) -> pl.Schema | None:
        """Return the columns and dtypes of the results, which are those of the first part; None without parts."""
        if not self.next_batch_id:
            return None
        try:
            return parts.read_schema(self.layout.part(0))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise CheckpointCorrupt(self.layout.part(0), f"the first part can't be read: {error}") from error

    def result_row_count(self) -> int:
        """Return how many rows the results have."""
        with self._ledger.reading() as catalog:
            return catalog.count_batches()[2]

    def rows_quarantined(self) -> int:
        """Return how many rows are in quarantine."""
        with self._ledger.reading() as catalog:
            return catalog.rows_quarantined()

    def quarantined_batches(self) -> Iterator[Manifest]:
        """Yield the manifests of the batches that have rows in quarantine, in order."""
        with self._ledger.reading() as catalog:
            for batch_id, _ in catalog.quarantined():
                manifest = catalog.batch(batch_id)
                if manifest is not None:
                    yield manifest

    def batches(self, first_batch_id: int, last_batch_id: int) -> list[Manifest]:
        """Return the manifests of committed batches, both ids inclusive, in order."""
        with self._ledger.reading() as catalog:
            return catalog.batches(first_batch_id, last_batch_id)

    def loss_of_rewind(self, batch_id: int) -> Loss:
        """Return what a rewind to `batch_id` (-1 for the very start) drops; it may be nothing."""
        loss = Loss()
        for first in range(max(batch_id + 1, 0), self.next_batch_id, PAGE):
            loss = loss.plus(self.batches(first, first + PAGE - 1))
        return loss

    def committed_parts(self) -> list[StoredPath]:
        """Return the paths of the parts of all committed batches, in order."""
        return [self._waiting.get(one, self.layout.part(one)) for one in range(self.next_batch_id)]


class _Look(CheckpointReader):
    """A reader of a copy."""

    def __init__(self, layout: Layout, *, held: bool) -> None:
        self.layout = layout
        self._ledger = Ledger(layout)
        try:
            if self.next_batch_id and not held:
                location.check(layout)
            self._waiting = recover.recover_copy(self._ledger, held=held)
            self.history = History(self._ledger)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._ledger.close()


@contextmanager
def looking(folder: Path, remote: ObjectPath | None = None) -> Iterator[CheckpointReader | None]:
    """Open a copy of the checkpoint in `folder` during the block; yield None if there is none yet.

    Raises:
        CheckpointForeign, CheckpointNewer, CheckpointCorrupt: see errors.py.
        CheckpointNotWritable, DiskFull: it can't be read, or copied to the system's temporary folder.
    """
    layout = Layout(folder.absolute())
    opening.check_name(layout.folder)
    opening.refuse_links(layout)
    with translated(layout.catalog), copied(location.resolve(layout, remote)) as (copy, held):
        if not copy.catalog.exists():
            if copy.wal.exists() or (parts.any_published(copy) and not held):
                raise CheckpointCorrupt(
                    layout.catalog, f"the catalog {layout.catalog} is missing, but results are there", hint=REPAIR_HINT
                )
            yield None
            return
        with closing(_Look(copy, held=held)) as look:
            yield look
