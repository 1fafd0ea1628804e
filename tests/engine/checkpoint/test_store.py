from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl
import pytest

from engine.checkpoint import frontier_file
from engine.checkpoint.catalog import compaction
from engine.checkpoint.catalog.catalog import Catalog
from engine.checkpoint.catalog.head import CatalogHead
from engine.checkpoint.parts import parts
from engine.checkpoint.store import CheckpointStore
from engine.errors import (
    CheckpointCorrupt,
    CheckpointError,
    CheckpointLocked,
    DiskFull,
    NothingToRewind,
    RowsNotContiguous,
)
from engine.frontier import Frontier


def rows(store):
    paths = [store.layout.part(batch_id) for batch_id in range(store.next_batch_id)]
    return [row for path in paths for row in pl.read_parquet(path)["id"].to_list()]


def mirrored(store):
    return Frontier.load(store.layout.frontier_file)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- opening --------------------------------------------------------------------------------------------


def test_a_new_checkpoint_stands_before_batch_0(store):
    assert (store.next_batch_id, store.next_row, store.epoch) == (0, 0, 0)
    assert store.last_manifest() is None
    assert store.pinned_schema() is None
    assert store.history.pipeline() is None
    assert store.history.runs() == []
    assert store.notices == []
    assert mirrored(store) == Frontier(-1, -1, 0, {})


def test_a_new_checkpoint_leaves_no_temporary_file(store):
    assert names(store.layout.folder) == ["checkpoint.duckdb", "checkpoint.lock", "frontier.json", "results"]


def test_what_was_committed_is_there_again(committed):
    with CheckpointStore(committed) as store:
        assert (store.next_batch_id, store.next_row) == (3, 30)
        assert rows(store) == list(range(30))
        assert store.last_manifest().cursor == {"next_row": 30}
        assert store.history.steps() == ("a",)
        assert store.notices == []


def test_opening_and_closing_changes_nothing(committed, contents):
    before = contents(committed)
    for _ in range(3):
        with CheckpointStore(committed):
            pass
    assert contents(committed) == before


def test_closing_twice_does_no_harm(folder):
    store = CheckpointStore(folder)
    store.close()
    with CheckpointStore(folder) as again:
        store.close()
        with pytest.raises(CheckpointLocked):  # the lock that the other one holds is still there
            CheckpointStore(folder)
        assert again.next_batch_id == 0


def test_the_key_stays(folder):
    with CheckpointStore(folder) as store:
        key = store.key
    with CheckpointStore(folder) as store:
        assert store.key == key


# --- commit ---------------------------------------------------------------------------------------------


def test_a_commit_moves_the_frontier_and_publishes_the_part(store, written):
    store.commit([written(store, 0)])
    assert (store.next_batch_id, store.next_row) == (1, 10)
    assert names(store.layout.results) == ["part-000000000000.parquet"]
    assert rows(store) == list(range(10))
    assert mirrored(store).last_completed_batch_id == 0
    assert store.result_row_count() == 10


def test_a_group_is_one_transaction(store, written, monkeypatch):
    transactions = []
    original = Catalog.transaction

    @contextmanager
    def counted(catalog):
        transactions.append(catalog)
        with original(catalog):
            yield

    monkeypatch.setattr(Catalog, "transaction", counted)
    store.commit([written(store, batch_id) for batch_id in range(5)])
    assert len(transactions) == 1
    assert store.next_batch_id == 5
    assert [manifest.batch_id for manifest in store.batches(0, 4)] == [0, 1, 2, 3, 4]


def test_an_empty_batch_is_a_batch(store, written):
    store.commit([written(store, 0, end_row=-1), written(store, 1, start_row=0)])
    assert (store.next_batch_id, store.next_row) == (2, 10)
    assert rows(store) == list(range(10))


@pytest.mark.parametrize(
    "places",
    [[(1, 0)], [(0, 5)], [(0, 0), (2, 10)], [(0, 0), (1, 15)], [(0, 0), (1, 5)], [(0, 0), (0, 0)]],
    ids=["a batch left out", "rows left out", "a gap of batches", "a gap of rows", "an overlap", "twice"],
)
def test_batches_that_do_not_follow_are_refused_as_a_whole(store, written, places):
    manifests = [written(store, batch_id, start_row=row) for batch_id, row in places]
    with pytest.raises(RowsNotContiguous):
        store.commit(manifests)
    assert store.next_batch_id == 0
    assert store.batches(0, 9) == []
    assert rows(store) == []
    assert mirrored(store).last_completed_batch_id == -1


def test_a_catalog_that_was_moved_by_somebody_else_is_refused(store, written):
    manifest = written(store, 0)
    store._ledger.catalog.place(CatalogHead(next_batch_id=7, next_row=70, epoch=0))
    with pytest.raises(CheckpointCorrupt, match="not where this run left it"):
        store.commit([manifest])
    assert store._ledger.catalog.batches(0, 9) == []


def test_the_protocol_is_part_then_catalog_then_name_then_mirror(store, written, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    transaction = Catalog.transaction

    def name_of(descriptor):
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    def noted_fsync(descriptor):
        order.append(f"fsync {name_of(descriptor).split('-')[0]}")
        fsync(descriptor)

    def noted_replace(source, target):
        order.append(f"rename to {Path(target).name}")
        replace(source, target)

    @contextmanager
    def noted_transaction(catalog):
        order.append("begin")
        with transaction(catalog):
            yield
        order.append("commit")

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(Catalog, "transaction", noted_transaction)
    store._ledger._log_secured = True  # only the first commit of a run looks after the log
    store.commit([written(store, 0)])
    assert order == [
        "fsync .part",
        "fsync results",
        "begin",
        "commit",
        "rename to part-000000000000.parquet",
        "fsync results",
        "rename to frontier.json",
    ]


def test_two_thousand_commits_keep_the_memory_of_what_is_open_small(store, written):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for batch_id in range(50):
        store.commit([written(store, batch_id)])
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


# --- the last batch done again --------------------------------------------------------------------------


@pytest.fixture
def short(store, written):
    """A store whose last batch, 1, has only five rows: 10 to 14."""
    store.commit([written(store, 0), written(store, 1, end_row=14)])
    return store


def test_a_short_last_batch_is_replaced_by_a_longer_one(short, written):
    short.commit([written(short, 1), written(short, 2)], replaces_last=True)
    assert (short.next_batch_id, short.next_row) == (3, 30)
    assert rows(short) == list(range(30))
    assert short.result_row_count() == 30
    assert len(short.batches(0, 9)) == 3


def test_a_replacement_survives_being_opened_again(folder, written):
    with CheckpointStore(folder) as store:
        store.commit([written(store, 0, end_row=4)])
        store.commit([written(store, 0)], replaces_last=True)
    with CheckpointStore(folder) as store:
        assert (rows(store), store.next_row, store.notices) == (list(range(10)), 10, [])


@pytest.mark.parametrize("start_row", [5, 12])
def test_a_replacement_that_starts_elsewhere_is_refused(short, written, start_row):
    with pytest.raises(RowsNotContiguous):
        short.commit([written(short, 1, start_row=start_row, end_row=19)], replaces_last=True)
    assert rows(short) == list(range(15))
    assert short.next_row == 15


# --- a commit whose outcome is unknown --------------------------------------------------------------------


def raising(monkeypatch, *, landed, error=None):
    """Let the next transaction raise, before or after it has landed."""
    original = Catalog.transaction
    error = error or duckdb.IOException("IO Error: Could not sync: Input/output error")

    @contextmanager
    def transaction(catalog):
        monkeypatch.setattr(Catalog, "transaction", original)
        if landed:
            with original(catalog):
                yield
            raise error
        catalog._connection.begin()
        yield
        catalog._connection.rollback()
        raise error

    monkeypatch.setattr(Catalog, "transaction", transaction)


def test_a_commit_that_raises_though_it_landed_has_landed(store, written, monkeypatch):
    raising(monkeypatch, landed=True)
    store.commit([written(store, 0)])
    assert store.next_batch_id == 1
    store.commit([written(store, 1)])
    assert rows(store) == list(range(20))


def test_a_commit_that_raises_and_did_not_land_has_not(store, written, monkeypatch):
    raising(monkeypatch, landed=False)
    manifest = written(store, 0)
    with pytest.raises(CheckpointError):
        store.commit([manifest])
    assert store.next_batch_id == 0
    assert rows(store) == []
    store.commit([manifest])
    assert rows(store) == list(range(10))


@pytest.mark.parametrize("landed", [True, False])
def test_a_replacement_whose_commit_raises_is_seen_for_what_it_is(short, written, monkeypatch, landed):
    raising(monkeypatch, landed=landed)
    manifest = written(short, 1)
    if landed:
        short.commit([manifest], replaces_last=True)
    else:
        with pytest.raises(CheckpointError):
            short.commit([manifest], replaces_last=True)
    expected = 20 if landed else 15
    assert rows(short) == list(range(expected))
    assert short.next_row == expected


@pytest.mark.parametrize("landed", [True, False])
def test_a_replacement_of_the_same_size_is_seen_for_what_it_is(store, written, monkeypatch, landed):
    first, second = written(store, 0), written(store, 0)
    store.commit([first])
    raising(monkeypatch, landed=landed)
    if landed:
        store.commit([second], replaces_last=True)
    else:
        with pytest.raises(CheckpointError):
            store.commit([second], replaces_last=True)
    kept = second if landed else first
    assert store.last_manifest().attempt_id == kept.attempt_id
    assert parts.read_metadata(store.layout.part(0))[0].attempt_id == kept.attempt_id


def test_when_the_catalog_cannot_be_opened_again_nothing_committed_is_thrown_away(folder, written, monkeypatch):
    with CheckpointStore(folder) as store:
        store.commit([written(store, 0)])
        raising(monkeypatch, landed=True)

        def unable(*_):
            raise duckdb.IOException("IO Error: Cannot open file: Too many open files")

        monkeypatch.setattr("engine.checkpoint.catalog.ledger.Catalog", unable)
        with pytest.raises(CheckpointError):
            store.commit([written(store, 1)])
        store.discard_uncommitted()  # as the end of a run does
    monkeypatch.undo()
    with CheckpointStore(folder) as store:
        assert rows(store) == list(range(20))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_when_naming_the_part_fails_it_is_not_thrown_away(folder, written, monkeypatch, error):
    original = os.replace

    def fail(source, target):
        if Path(target).name.startswith("part-"):
            raise error
        original(source, target)

    with CheckpointStore(folder) as store:
        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises((CheckpointError, KeyboardInterrupt)):
            store.commit([written(store, 0)])
        store.discard_uncommitted()
        monkeypatch.undo()
    with CheckpointStore(folder) as store:
        assert rows(store) == list(range(10))


def test_an_interruption_right_after_the_commit_throws_nothing_away(folder, written, monkeypatch):
    with CheckpointStore(folder) as store:
        raising(monkeypatch, landed=True, error=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            store.commit([written(store, 0)])
        store.discard_uncommitted()
    with CheckpointStore(folder) as store:
        assert rows(store) == list(range(10))


def test_an_interruption_while_rows_are_added_leaves_none_behind(folder, written, monkeypatch):
    append = Catalog.append_batches

    def interrupted(catalog, manifests, committed_at):
        append(catalog, manifests, committed_at)
        raise KeyboardInterrupt

    with CheckpointStore(folder) as store:
        monkeypatch.setattr(Catalog, "append_batches", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.commit([written(store, 0)])
        monkeypatch.undo()
        store.commit([written(store, 0)])
        assert len(store.batches(0, 9)) == 1
    with CheckpointStore(folder) as store:
        assert rows(store) == list(range(10))
        assert len(store.batches(0, 9)) == 1


def test_a_mirror_that_cannot_be_written_does_not_undo_the_commit(folder, written, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    with CheckpointStore(folder) as store:
        monkeypatch.setattr(frontier_file, "replace_text", fail)
        with pytest.raises(DiskFull):
            store.commit([written(store, 0)])
        store.discard_uncommitted()
        monkeypatch.undo()
        assert store.next_batch_id == 1
    with CheckpointStore(folder) as store:
        assert rows(store) == list(range(10))
        assert mirrored(store).last_completed_batch_id == 0


# --- what was never committed -----------------------------------------------------------------------------


def test_parts_that_were_never_committed_are_thrown_away(store, written):
    store.commit([written(store, 0)])
    written(store, 1)
    written(store, 2)
    store.discard_uncommitted()
    assert names(store.layout.results) == ["part-000000000000.parquet"]


def test_a_replacement_that_was_never_committed_is_thrown_away(short, written):
    written(short, 1)
    short.discard_uncommitted()
    assert names(short.layout.results) == ["part-000000000000.parquet", "part-000000000001.parquet"]


# --- back -----------------------------------------------------------------------------------------------


def test_a_rewind_drops_what_is_beyond(committed, written):
    with CheckpointStore(committed) as store:
        assert store.rewind(0) == 2
        assert (store.next_batch_id, store.next_row, store.epoch) == (1, 10, 1)
        assert names(store.layout.results) == ["part-000000000000.parquet"]
        assert mirrored(store) == Frontier(0, 9, 10, {"a": 0})
        assert store.last_manifest().cursor == {"next_row": 10}
        store.commit([written(store, 1)])
    with CheckpointStore(committed) as store:
        assert rows(store) == list(range(20))


def test_a_rewind_to_minus_one_drops_everything_but_the_history(committed):
    with CheckpointStore(committed) as store:
        assert store.rewind(-1) == 3
        assert (store.next_batch_id, store.next_row) == (0, 0)
        assert names(store.layout.results) == []
        assert len(store.history.runs()) == 1


def test_a_rewind_to_the_frontier_drops_nothing(committed):
    with CheckpointStore(committed) as store:
        assert store.rewind(2) == 0
        assert rows(store) == list(range(30))


@pytest.mark.parametrize("batch_id", [-2, 3, 1000])
def test_a_rewind_to_a_batch_that_is_not_there_is_refused(committed, contents, batch_id):
    with CheckpointStore(committed) as store:
        before = contents(committed)
        with pytest.raises(NothingToRewind):
            store.rewind(batch_id)
        assert contents(committed) == before


def test_parts_that_a_rewind_could_not_delete_are_deleted_on_opening(committed, monkeypatch):
    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    with CheckpointStore(committed) as store:
        monkeypatch.setattr(Path, "unlink", fail)
        with pytest.raises(CheckpointError):
            store.rewind(0)
        monkeypatch.undo()
    with CheckpointStore(committed) as store:
        assert (rows(store), store.notices) == (list(range(10)), [])
        assert names(store.layout.results) == ["part-000000000000.parquet"]


# --- compacting -----------------------------------------------------------------------------------------


def test_compacting_folds_the_log_in_and_loses_nothing(committed, written):
    with CheckpointStore(committed) as store:
        store.compact()
        assert not store.layout.wal.exists() or store.layout.wal.stat().st_size == 0
        assert not store.layout.guard.exists()
        store.commit([written(store, 3)])
    with CheckpointStore(committed) as store:
        assert rows(store) == list(range(40))
        assert [manifest.batch_id for manifest in store.batches(0, 9)] == [0, 1, 2, 3]


def test_compacting_when_there_is_no_log_does_nothing(store):
    assert not store.layout.wal.exists()
    store.compact()
    assert store.next_batch_id == 0


def test_a_long_log_is_compacted_by_a_commit(store, written, monkeypatch):
    monkeypatch.setattr(compaction, "COMPACT_AT_BYTES", 2_000)
    compacted = []
    original = compaction.compact
    monkeypatch.setattr(compaction, "compact", lambda *given: (compacted.append(given), original(*given)))
    for batch_id in range(20):
        store.commit([written(store, batch_id)])
    assert 1 <= len(compacted) < 20
    assert rows(store) == list(range(200))


def test_compacting_that_finds_the_disk_full_costs_no_batch(folder, written, monkeypatch):
    with CheckpointStore(folder) as store:
        monkeypatch.setattr(compaction, "COMPACT_AT_BYTES", 1)

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("shutil.copyfileobj", full)
        with pytest.raises(DiskFull):
            store.commit([written(store, 0)])
        assert store.next_batch_id == 1
        assert not [name for name in names(folder) if ".guard" in name]
        monkeypatch.undo()
        store.commit([written(store, 1)])
    with CheckpointStore(folder) as store:
        assert (rows(store), store.notices) == (list(range(20)), [])


# --- what is read ---------------------------------------------------------------------------------------


def test_the_pinned_schema_is_the_first_parts(committed):
    with CheckpointStore(committed) as store:
        assert store.pinned_schema() == pl.Schema({"id": pl.Int64})


def test_a_damaged_first_part_is_said_so(committed):
    (committed / "results" / "part-000000000000.parquet").write_bytes(b"PAR1 but not really")
    with CheckpointStore(committed) as store, pytest.raises(CheckpointCorrupt, match="first part can't be read"):
        store.pinned_schema()


def test_the_frontier_names_the_steps_that_are_asked_for(committed):
    with CheckpointStore(committed) as store:
        assert store.frontier(["x", "y"]) == Frontier(2, 29, 30, {"x": 2, "y": 2})
