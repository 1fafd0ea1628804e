"""A second writer that gets past the lock file, because a user has deleted it, at each moment that the first one is in.

Whoever of the two comes first, the checkpoint has no gap afterwards, and nothing of the second writer's is rolled back.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

import polars as pl
import pytest

from engine.checkpoint.catalog import compaction
from engine.checkpoint.catalog.catalog import Catalog
from engine.checkpoint.catalog.ledger import Ledger
from engine.checkpoint.layout import Layout
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointCorrupt, CheckpointError, CheckpointLocked, LockLost

pytestmark = pytest.mark.integration

INTRUDER = """
import sys
from pathlib import Path
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointError
try:
    with CheckpointStore(Path(sys.argv[1])) as store:
        store.rewind(0)
except CheckpointError as error:
    print(type(error).__name__, error)
else:
    print("came in")
"""


def intrude(folder):
    """Delete the lock file and let another process rewind the checkpoint to batch 0; return what it says."""
    (folder / "checkpoint.lock").unlink(missing_ok=True)
    command = [sys.executable, "-c", INTRUDER, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def intruder(committed, monkeypatch):
    """A function that lets the second writer come before or after the first call of a function, and its answers."""
    answers = []

    def come():
        if not answers:
            answers.append("on its way")
            answers[:] = [intrude(committed)]

    def at(owner, name, *, after=False):
        original = getattr(owner, name)

        def call(*arguments, **keywords):
            if not after:
                come()
            result = original(*arguments, **keywords)
            if after:
                come()
            return result

        monkeypatch.setattr(owner, name, call)
        return answers

    return at


def assert_whole(folder, batches):
    with CheckpointStore(folder) as store:
        assert (store.next_batch_id, store.notices) == (batches, [])
        manifests = store.batches(0, batches)
        assert [manifest.batch_id for manifest in manifests] == list(range(batches))
        found = [row for one in manifests for row in pl.read_parquet(store.layout.part(one.batch_id))["id"]]
        assert found == list(range(10 * batches))
    assert not (folder / "checkpoint.guard").exists()


WHILE_COMPACTING = {
    "before it": (compaction, "needs_compacting", False),
    "before the copy": (compaction, "_copy", False),
    "between the copies": (compaction, "_copy", True),
    "before the log is folded": (compaction, "_checkpoint", False),
    "after the log is folded": (compaction, "_checkpoint", True),
    "before the copy is removed": (compaction, "_remove_guard", False),
    "after it": (compaction, "compact", True),
}


@pytest.mark.parametrize("moment", WHILE_COMPACTING)
def test_a_writer_that_comes_while_the_catalog_is_compacted_is_kept_out(
    committed, written, intruder, monkeypatch, moment
):
    owner, name, after = WHILE_COMPACTING[moment]
    monkeypatch.setattr(compaction, "COMPACT_AT_BYTES", 1)
    with CheckpointStore(committed) as store:
        answers = intruder(owner, name, after=after)
        try:
            store.commit([written(store, 3)])
        except LockLost:
            assert moment == "before it"
        with pytest.raises(LockLost):
            store.commit([written(store, 4)])
    assert answers[0].startswith("CheckpointLocked")
    assert_whole(committed, 4)


@pytest.mark.parametrize("after", [False, True])
def test_a_writer_that_comes_while_a_failed_compaction_is_undone_is_not_rolled_back(
    committed, written, intruder, monkeypatch, after
):
    def fail(_):
        raise OSError(5, "Input/output error")

    with CheckpointStore(committed) as store:
        monkeypatch.setattr(Catalog, "checkpoint", fail)
        answers = intruder(compaction, "restore", after=after)
        with pytest.raises(CheckpointError):
            store.compact()
        assert answers == ["came in"]
        with pytest.raises(CheckpointError):
            store.commit([written(store, 3)])
    assert_whole(committed, 1)


@pytest.mark.parametrize("after", [False, True])
def test_a_writer_that_comes_while_the_first_one_reconnects_is_not_overwritten(committed, written, intruder, after):
    with CheckpointStore(committed) as store:
        answers = intruder(Catalog, "close", after=after)
        store._ledger._reconnect()
        with pytest.raises(LockLost):
            store.commit([written(store, 3)])
        with pytest.raises(LockLost):
            store.rewind(-1)
        with pytest.raises(LockLost):
            store.compact()
    assert answers == ["came in"] if after else answers[0].startswith("CheckpointLocked")
    assert_whole(committed, 1 if after else 3)


def test_a_copy_of_a_compaction_that_is_not_dead_is_not_put_back(committed, intruder):
    layout = Layout(committed)
    layout.guard.mkdir()
    (layout.guard / layout.catalog.name).write_bytes(b"an older catalog")
    opened = Catalog(layout.catalog)
    assert intrude(committed).startswith("CheckpointLocked")
    opened.close()
    assert layout.catalog.stat().st_size > 10_000


def test_a_copy_that_appears_after_the_lock_was_taken_ends_the_opening(committed, monkeypatch):
    original = Catalog.__init__

    def guarded_meanwhile(self, path, **keywords):
        original(self, path, **keywords)
        Layout(committed).guard.mkdir()

    monkeypatch.setattr(Catalog, "__init__", guarded_meanwhile)
    with pytest.raises(CheckpointLocked, match="compacting"):
        CheckpointStore(committed)


# --- gaps ---------------------------------------------------------------------------------------------------


@contextmanager
def changed(folder):
    catalog = Catalog(Layout(folder).catalog)
    try:
        yield catalog._connection
    finally:
        catalog.close()


def lose(folder, batch_ids):
    with changed(folder) as connection:
        connection.execute("DELETE FROM batches WHERE list_contains($ids, batch_id)", {"ids": list(batch_ids)})


@pytest.mark.parametrize("batch_ids", [(0,), (1,), (2,), (0, 2), (0, 1), (0, 1, 2)])
def test_batches_that_the_catalog_has_lost_are_restored_from_their_parts(committed, batch_ids):
    with CheckpointStore(committed) as store:
        before = store.batches(0, 2)
    lose(committed, batch_ids)
    numbers = ", ".join(map(str, batch_ids))
    with CheckpointStore(committed) as store:
        assert store.notices == [
            f"the catalog had lost {len(batch_ids)} committed batches ({numbers}); they were restored from their parts"
        ]
        assert [one.attempt_id for one in store.batches(0, 2)] == [one.attempt_id for one in before]
        assert [one.cursor for one in store.batches(0, 2)] == [one.cursor for one in before]
    assert_whole(committed, 3)


def foreign(folder, written, tmp_path):
    with CheckpointStore(tmp_path / "other") as other:
        for batch_id in range(2):
            other.commit([written(other, batch_id)])
        other.layout.part(1).replace(Layout(folder).part(1))


def of_other_rows(folder, written, _):
    with changed(folder) as connection:
        ((key,),) = connection.execute("SELECT checkpoint_key FROM checkpoint").fetchall()
    with CheckpointStore(folder.parent / "scratch") as scratch:
        scratch._ledger.key = key
        written(scratch, 1, start_row=10, end_row=20, attempt_id="0" * 16)
        scratch.layout.temporary_part(1, "0" * 16).replace(Layout(folder).part(1))


def damaged(folder, *_):
    Layout(folder).part(1).write_bytes(b"PAR1")


@pytest.mark.parametrize("spoil", [foreign, of_other_rows, damaged])
def test_a_gap_that_the_parts_cannot_fill_is_refused_and_nothing_changed(committed, written, tmp_path, spoil):
    spoil(committed, written, tmp_path)
    lose(committed, (1,))
    for _ in range(2):
        with pytest.raises(CheckpointCorrupt, match="lost batch") as caught:
            CheckpointStore(committed)
        assert "verify --repair" in caught.value.hint
    with changed(committed) as connection:
        assert connection.execute("SELECT batch_id FROM batches ORDER BY ALL").fetchall() == [(0,), (2,)]


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO batches SELECT * FROM batches WHERE batch_id = 1",
        "UPDATE batches SET batch_id = 7 WHERE batch_id = 1",
        "UPDATE batches SET batch_id = 0 WHERE batch_id = 1",
        "INSERT INTO batches SELECT * REPLACE (9 AS batch_id) FROM batches WHERE batch_id = 2",
    ],
)
def test_batches_that_do_not_agree_with_the_frontier_are_refused(committed, change):
    with changed(committed) as connection:
        connection.execute(change)
    with pytest.raises(CheckpointCorrupt, match=r"gap|lost"):
        CheckpointStore(committed)


def test_a_commit_of_the_ledger_that_is_rolled_back_leaves_no_gap(committed, written):
    with CheckpointStore(committed) as store:
        ledger = store._ledger
        with pytest.raises(CheckpointCorrupt):
            Ledger.fill(ledger, [written(store, 7)])
        assert ledger.catalog.count_batches()[0] == 3
