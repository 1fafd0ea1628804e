"""What the ledger and the store do when the catalog isn't as they left it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.checkpoint.catalog import compaction
from engine.checkpoint.catalog.catalog import Catalog
from engine.checkpoint.layout import Layout
from engine.checkpoint.recovery.repair import carry_out
from engine.checkpoint.recovery.report import Means, Repair
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointCorrupt, CheckpointNotWritable


def test_a_log_that_is_made_anew_by_a_reconnection_is_made_private_again(store, written):
    store.commit([written(store, 0)])
    store._ledger._reconnect()
    store.layout.wal.chmod(0o644)
    store.commit([written(store, 1)])
    assert store.layout.wal.stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_looked_at_is_an_error_of_the_checkpoint(store, written, monkeypatch):
    def unreadable(layout):
        raise PermissionError(13, "Permission denied", str(layout.wal))

    monkeypatch.setattr(compaction, "needs_compacting", unreadable)
    with pytest.raises(CheckpointNotWritable):
        store.commit([written(store, 0)])
    assert store.next_batch_id == 1


def test_a_rewind_to_a_batch_that_the_catalog_has_lost_is_refused_and_changes_nothing(committed):
    with CheckpointStore(committed) as store:
        store._ledger.catalog._connection.execute("DELETE FROM batches WHERE batch_id = 1")
        with pytest.raises(CheckpointCorrupt, match="the catalog has no batch 1, although its frontier is beyond it"):
            store.rewind(1)
        assert (store.next_batch_id, store.next_row) == (3, 30)
        assert store.layout.part(2).exists()
        store.rewind(0)
        assert (store.next_batch_id, store.next_row) == (1, 10)
        store.rewind(-1)
        assert (store.next_batch_id, store.next_row) == (0, 0)


def test_a_repair_refuses_it_as_well(committed):
    catalog = Catalog(Layout(committed).catalog)
    catalog._connection.execute("DELETE FROM batches WHERE batch_id = 1")
    catalog.close()
    with pytest.raises(CheckpointCorrupt, match="the catalog has no batch 1"):
        carry_out(Layout(committed), Repair(Means.REWIND, 2))


def test_a_replacement_of_a_batch_that_is_another_by_now_is_refused(store, written):
    store.commit([written(store, 0)])
    with pytest.raises(CheckpointCorrupt, match="has changed in the catalog since it was read"):
        store.replace(replace(written(store, 0), attempt_id="another"), written(store, 0))
    assert len(store.batches(0, 9)) == 1


def test_the_pipeline_is_recorded_with_what_it_made_once(store, written):
    for batch_id, pipeline in enumerate(["{1}", "{1}", "{2}", None]):
        store._ledger.append([written(store, batch_id)], pipeline=pipeline)
    assert store._ledger.catalog.pipeline() == (2, "{2}")
