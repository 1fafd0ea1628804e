"""Making and compacting the catalog, with the process gone at any point in between.

A kill is a photograph: the folder is copied at that instant, and the copy is what the next process finds. A kill
inside DuckDB's own checkpoint is the matter of the kill harness, with real processes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from engine.checkpoint.catalog import compaction
from engine.checkpoint.catalog.catalog import Catalog
from engine.checkpoint.layout import Layout
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointError

pytestmark = pytest.mark.integration


def rows(store):
    paths = [store.layout.part(batch_id) for batch_id in range(store.next_batch_id)]
    return [row for path in paths for row in pl.read_parquet(path)["id"].to_list()]


def test_killed_anywhere_while_compacting_nothing_is_lost(committed, photographs, monkeypatch, written):
    with CheckpointStore(committed) as store:
        taken = photographs(committed)
        store.compact()
        monkeypatch.undo()
    assert len(taken) > 7
    notices = set()
    for photograph in taken:
        with CheckpointStore(photograph) as store:
            assert rows(store) == list(range(30)), photograph
            assert len(store.history.runs()) == 1
            notices.update(store.notices)
            store.commit([written(store, 3)])
        with CheckpointStore(photograph) as store:
            assert (rows(store), store.notices) == (list(range(40)), [])
        assert not [path.name for path in photograph.iterdir() if "guard" in path.name or "tmp" in path.name]
    assert notices == {"the last run died while the catalog was being compacted; its copy was put back"}


def test_killed_anywhere_while_the_copy_is_put_back_nothing_is_lost(committed, photographs, monkeypatch):
    layout = Layout(committed)
    layout.guard.mkdir()
    for path in (layout.catalog, layout.wal):
        shutil.copyfile(path, layout.guard / path.name)
    layout.catalog.write_bytes(layout.catalog.read_bytes()[:100_000])  # as a checkpoint that was cut off left it
    layout.wal.unlink()
    taken = photographs(committed)
    assert compaction.restore(layout)
    monkeypatch.undo()
    assert len(taken) > 5
    for photograph in taken:
        with CheckpointStore(photograph) as store:
            assert rows(store) == list(range(30)), photograph


def test_killed_anywhere_while_the_catalog_is_made_the_next_process_makes_it(folder, photographs, monkeypatch, written):
    folder.mkdir()
    taken = photographs(folder)
    CheckpointStore(folder).close()
    monkeypatch.undo()
    assert len(taken) > 5
    for photograph in taken:
        with CheckpointStore(photograph) as store:
            store.commit([written(store, 0)])
        with CheckpointStore(photograph) as store:
            assert (rows(store), store.notices) == (list(range(10)), [])
        assert not [path.name for path in photograph.iterdir() if "tmp" in path.name]


@pytest.mark.parametrize("disk", ["works", "is full"])
def test_a_checkpoint_that_fails_costs_nothing_that_is_committed_later(committed, written, monkeypatch, disk):
    def fail(_):
        raise OSError(5, "Input/output error")

    copyfileobj = shutil.copyfileobj

    def full(source, *target):
        if Path(source.name).parent.name == "checkpoint.guard":
            raise OSError(28, "No space left on device")
        return copyfileobj(source, *target)

    expected = 40
    with CheckpointStore(committed) as store:
        monkeypatch.setattr(Catalog, "checkpoint", fail)
        if disk == "is full":
            monkeypatch.setattr(shutil, "copyfileobj", full)
        with pytest.raises(CheckpointError):
            store.compact()
        try:
            store.commit([written(store, 3)])
        except CheckpointError:
            expected = 30
        monkeypatch.undo()
    with CheckpointStore(committed) as store:
        assert rows(store) == list(range(expected))


def test_there_is_no_checkpoint_but_the_guarded_one(folder, written):
    with CheckpointStore(folder) as store:
        inode, size = store.layout.catalog.stat().st_ino, store.layout.catalog.stat().st_size
        before = store.layout.catalog.read_bytes()
        for batch_id in range(20):
            store.commit([written(store, batch_id)])
    assert (Layout(folder).catalog.stat().st_ino, Layout(folder).catalog.stat().st_size) == (inode, size)
    assert Layout(folder).catalog.read_bytes() == before
    assert Layout(folder).wal.stat().st_size > 0


def test_a_log_is_compacted_only_when_it_is_long(committed, monkeypatch):
    layout = Layout(committed)
    assert not compaction.needs_compacting(layout)
    monkeypatch.setattr(compaction, "COMPACT_AT_BYTES", layout.wal.stat().st_size)
    assert compaction.needs_compacting(layout)
    layout.wal.unlink()
    assert not compaction.needs_compacting(layout)
