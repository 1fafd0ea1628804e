"""What is found on opening, as files: each case of recovery.py, and logs that were cut short."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress

import polars as pl
import pytest

from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointCorrupt, CheckpointError
from engine.frontier import Frontier

pytestmark = pytest.mark.integration


def rows(store):
    paths = [store.layout.part(batch_id) for batch_id in range(store.next_batch_id)]
    return [row for path in paths for row in pl.read_parquet(path)["id"].to_list()]


def part(folder, batch_id):
    return folder / "results" / f"part-{batch_id:012d}.parquet"


def names(folder):
    return sorted(path.name for path in (folder / "results").iterdir())


def un_name(folder, batch_id):
    """Undo the renaming of a committed part, as if the process had died before it."""
    with CheckpointStore(folder) as store:
        manifest = store.batches(batch_id, batch_id)[0]
        temporary = store.layout.temporary_part(batch_id, manifest.attempt_id)
    part(folder, batch_id).rename(temporary)


def test_committed_parts_get_the_names_that_they_still_lack(committed):
    for batch_id in (0, 2):
        un_name(committed, batch_id)
        assert f"part-{batch_id:012d}.parquet" not in names(committed)
        with CheckpointStore(committed) as store:
            assert rows(store) == list(range(30))
    assert len(names(committed)) == 3


def test_parts_that_were_written_and_not_committed_are_deleted(committed, written):
    with CheckpointStore(committed) as store:
        written(store, 3)
        written(store, 3)
        written(store, 5)
    with CheckpointStore(committed) as store:
        assert (store.next_batch_id, store.notices) == (3, [])
    assert len(names(committed)) == 3


def test_a_mirror_that_lies_is_put_right(committed):
    for lie in (Frontier(99, 999, 1000, {"a": 99}).to_json(), "not even JSON", ""):
        (committed / "frontier.json").write_text(lie)
        with CheckpointStore(committed):
            pass
        assert Frontier.load(committed / "frontier.json") == Frontier(2, 29, 30, {"a": 2})


def test_a_missing_mirror_is_made(committed):
    (committed / "frontier.json").unlink()
    with CheckpointStore(committed):
        pass
    assert Frontier.load(committed / "frontier.json").last_completed_batch_id == 2


@pytest.mark.parametrize("batch_id", [0, 1, 2])
def test_a_missing_part_is_refused_and_nothing_touched(committed, contents, batch_id):
    part(committed, batch_id).unlink()
    before = contents(committed)
    with pytest.raises(CheckpointCorrupt, match="1 of 3 parts are missing") as caught:
        CheckpointStore(committed)
    assert "verify --repair" in caught.value.hint
    assert contents(committed) == before


def test_a_missing_catalog_beside_parts_is_refused_and_nothing_touched(committed, contents):
    (committed / "checkpoint.duckdb").unlink()
    (committed / "checkpoint.duckdb.wal").unlink()
    before = contents(committed)
    with pytest.raises(CheckpointCorrupt, match="missing, but results are there") as caught:
        CheckpointStore(committed)
    assert "verify --repair" in caught.value.hint
    assert contents(committed) == before


def test_a_missing_catalog_beside_its_log_is_refused_and_the_log_kept(committed):
    (committed / "checkpoint.duckdb").unlink()
    shutil.rmtree(committed / "results")
    log = (committed / "checkpoint.duckdb.wal").read_bytes()
    with pytest.raises(CheckpointCorrupt):
        CheckpointStore(committed)
    assert (committed / "checkpoint.duckdb.wal").read_bytes() == log


# --- the log was cut short --------------------------------------------------------------------------------


def test_a_lost_log_is_made_up_for_by_the_parts(committed):
    (committed / "checkpoint.duckdb.wal").unlink()
    with CheckpointStore(committed) as store:
        assert rows(store) == list(range(30))
        assert store.last_manifest().cursor == {"next_row": 30}
        assert "restored from their parts" in " ".join(store.notices)
        assert Frontier.load(committed / "frontier.json").last_completed_batch_id == 2


def test_with_the_batches_the_pipeline_is_taken_back_in(committed):
    with CheckpointStore(committed) as store:
        recorded = store.history.pipeline()
    (committed / "checkpoint.duckdb.wal").unlink()
    with CheckpointStore(committed) as store:
        assert store.history.pipeline() == recorded
        assert store.history.steps() == ("a",)
        assert store.frontier(store.history.steps()) == Frontier.load(committed / "frontier.json")


def test_wherever_the_log_is_cut_no_batch_is_lost(committed, tmp_path):
    log = (committed / "checkpoint.duckdb.wal").read_bytes()
    for cut in sorted({0, 1, 8, len(log) - 1, *random.Random(1).sample(range(len(log)), 40)}):
        folder = tmp_path / f"cut-{cut}"
        shutil.copytree(committed, folder)
        (folder / "checkpoint.duckdb.wal").write_bytes(log[:cut])
        with CheckpointStore(folder) as store:
            assert (store.next_batch_id, store.next_row) == (3, 30), cut
            assert rows(store) == list(range(30)), cut
            assert [manifest.batch_id for manifest in store.batches(0, 9)] == [0, 1, 2], cut
        with CheckpointStore(folder) as store:
            assert (rows(store), store.notices) == (list(range(30)), []), cut


def test_a_log_without_the_last_rewind_never_mixes_two_histories(committed, written):
    log = (committed / "checkpoint.duckdb.wal").read_bytes()
    with CheckpointStore(committed) as store:
        store.rewind(0)
        store.commit([written(store, 1, end_row=12), written(store, 2, start_row=13, end_row=14)])
    (committed / "checkpoint.duckdb.wal").write_bytes(log)
    with pytest.raises(CheckpointCorrupt, match="another attempt") as caught:
        CheckpointStore(committed)
    assert "verify --repair" in caught.value.hint


def test_a_log_without_the_last_replacement_never_mixes_two_attempts(folder, written):
    with CheckpointStore(folder) as store:
        store.commit([written(store, 0), written(store, 1, end_row=14)])
    log = (folder / "checkpoint.duckdb.wal").read_bytes()
    with CheckpointStore(folder) as store:
        store.commit([written(store, 1), written(store, 2)], replaces_last=True)
    (folder / "checkpoint.duckdb.wal").write_bytes(log)
    with pytest.raises(CheckpointCorrupt, match="another attempt"):
        CheckpointStore(folder)


def test_parts_of_another_checkpoint_are_set_aside(committed, tmp_path, written):
    with CheckpointStore(tmp_path / "other") as other:
        for batch_id in range(4):
            other.commit([written(other, batch_id)])
    shutil.copy(part(tmp_path / "other", 3), part(committed, 3))
    with CheckpointStore(committed) as store:
        assert store.next_batch_id == 3
        assert "part-000000000003.parquet.set-aside" in " ".join(store.notices)
    assert names(committed)[-1] == "part-000000000003.parquet.set-aside"
    with CheckpointStore(committed) as store:
        assert store.notices == []


def test_rubbish_beyond_the_frontier_is_set_aside(committed):
    part(committed, 3).write_bytes(b"rubbish")
    with CheckpointStore(committed) as store:
        assert rows(store) == list(range(30))
        assert len(store.notices) == 1
    assert part(committed, 3).with_name("part-000000000003.parquet.set-aside").read_bytes() == b"rubbish"


def test_what_was_set_aside_before_is_not_overwritten(committed):
    for rubbish in (b"one", b"two"):
        part(committed, 3).write_bytes(rubbish)
        with CheckpointStore(committed):
            pass
    kept = {path.read_bytes() for path in (committed / "results").iterdir() if "set-aside" in path.name}
    assert kept == {b"one", b"two"}


# --- bits flipped -----------------------------------------------------------------------------------------


def flipped(content, random_source):
    place = random_source.randrange(len(content))
    changed = bytearray(content)
    changed[place] ^= 1 << random_source.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("name", ["checkpoint.duckdb", "checkpoint.duckdb.wal"])
def test_whatever_bit_is_flipped_the_frontier_and_the_results_are_right_or_refused(committed, tmp_path, contents, name):
    original = (committed / name).read_bytes()
    source = random.Random(name)
    for attempt in range(60):
        folder = tmp_path / f"flip-{attempt}"
        shutil.copytree(committed, folder)
        (folder / name).write_bytes(flipped(original, source))
        before = contents(folder)
        try:
            store = CheckpointStore(folder)
        except CheckpointError as error:
            assert error.hint  # noqa: PT017 (to open or to refuse are both fine)
            assert contents(folder) == before
            continue
        with store, suppress(CheckpointError):  # blocks are read, and found damaged, when they are asked for
            assert rows(store) == list(range(30))
            assert (store.next_batch_id, store.next_row) == (3, 30)
            manifests = store.batches(0, 9)
            assert [(m.batch_id, m.start_row, m.end_row) for m in manifests] == [(0, 0, 9), (1, 10, 19), (2, 20, 29)]
            assert store.last_manifest().cursor == {"next_row": 30}
            store.history.runs()
            store.history.failures()
            store.history.pipeline()
