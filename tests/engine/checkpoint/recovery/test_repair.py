from __future__ import annotations

import pytest

from engine.checkpoint.layout import Layout
from engine.checkpoint.loss import Loss
from engine.checkpoint.recovery.repair import carry_out
from engine.checkpoint.recovery.report import Check, Means, Repair, Report
from engine.checkpoint.recovery.verify import held, verify
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointCorrupt
from engine.frontier import Frontier

pytestmark = pytest.mark.integration

GOOD = Check("x", "fine")
BAD = Check("x", "bad", ("broken",))
NOTED = Check("x", "fine", notes=("left by a crash",))


@pytest.mark.parametrize(
    ("catalog", "parts", "mirror", "loss", "means"),
    [
        (GOOD, GOOD, GOOD, Loss(), Means.NOTHING),
        (GOOD, NOTED, GOOD, Loss(), Means.OPENING),
        (GOOD, GOOD, BAD, Loss(), Means.OPENING),
        (GOOD, BAD, GOOD, Loss(2, 20, 20), Means.REWIND),
        (BAD, GOOD, GOOD, Loss(), Means.REBUILD),
        (BAD, BAD, BAD, Loss(1, 10, 10), Means.REBUILD),
    ],
)
def test_the_means_follow_from_what_is_wrong(catalog, parts, mirror, loss, means):
    report = Report(catalog, parts, mirror, usable_batches=3, loss=loss)
    assert report.repair == Repair(means, 3, loss)


def repair(folder):
    with held(folder) as layout:
        plan = verify(layout).repair
        sentences = carry_out(layout, plan)
    with CheckpointStore(folder):
        pass
    with held(folder) as layout:
        assert verify(layout).sound
    return plan, sentences


def ids(folder):
    with CheckpointStore(folder) as store:
        import polars as pl

        parts = [store.layout.part(batch_id) for batch_id in range(store.next_batch_id)]
        return pl.concat([pl.read_parquet(part) for part in parts])["id"].to_list()


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage"])
def test_a_catalog_is_made_anew_from_the_parts(committed, damage):
    catalog = committed / "checkpoint.duckdb"
    with CheckpointStore(committed) as store:
        before = store.key, store.batches(0, 2), store.history.pipeline()
    if damage == "missing":
        catalog.unlink()
    else:
        catalog.write_bytes(b"" if damage == "empty" else b"\0" * 100_000)
    plan, sentences = repair(committed)
    assert plan == Repair(Means.REBUILD, 3, Loss())
    assert sentences[-1] == "the catalog was rebuilt from 3 parts; the history of runs before is lost"
    with CheckpointStore(committed) as store:
        assert (store.key, store.batches(0, 2), store.history.pipeline()) == before
    assert ids(committed) == list(range(30))


def test_a_damaged_catalog_is_kept_with_its_log(committed):
    (committed / "checkpoint.duckdb").write_bytes(b"not a database, and no way back")
    log = (committed / "checkpoint.duckdb.wal").read_bytes()
    repair(committed)
    aside, aside_log = sorted(committed.glob("checkpoint.duckdb.damaged-*"))
    assert aside.read_bytes() == b"not a database, and no way back"
    assert aside_log.read_bytes() == log
    assert aside_log.name == aside.name + ".wal"


def test_two_repairs_within_a_second_keep_both_damaged_catalogs(committed):
    for content in (b"first", b"second"):
        (committed / "checkpoint.duckdb").write_bytes(content)
        repair(committed)
    kept = {path.read_bytes() for path in committed.glob("checkpoint.duckdb.damaged-*") if path.suffix != ".wal"}
    assert kept == {b"first", b"second"}


def test_runs_after_a_rebuild_are_numbered_on_and_commits_go_on(committed, written):
    (committed / "checkpoint.duckdb").unlink()
    repair(committed)
    with CheckpointStore(committed) as store:
        (lost,) = store.history.runs()
        assert (lost.run_id, lost.state, lost.next_batch_id) == (1, "resumable", 3)
        assert "are not known" in lost.message
        assert store.history.begin_run(batch_size=10, pipeline=store.history.pipeline(), changed=False) == 2
        store.commit([written(store, 3)])
        assert store.next_batch_id == 4
    assert ids(committed) == list(range(40))


def test_parts_that_a_rewind_left_behind_do_not_come_back(committed, written):
    with CheckpointStore(committed) as store:
        left = store.layout.part(2).read_bytes()
        store.rewind(0)
        store.commit([written(store, 1, end_row=14)])
    layout = Layout(committed)
    layout.part(2).write_bytes(left)  # as if the process had been killed before it deleted it
    layout.catalog.unlink()
    repair(committed)
    assert ids(committed) == list(range(15))
    with CheckpointStore(committed) as store:
        assert store.epoch == 1


def test_a_rebuild_stops_before_a_damaged_part_and_says_what_goes(committed):
    layout = Layout(committed)
    layout.catalog.unlink()
    layout.part(1).write_bytes(b"damaged")
    with held(committed) as held_layout:
        plan = verify(held_layout).repair
    assert plan == Repair(Means.REBUILD, 1, Loss(2, 10, 10))
    repair(committed)
    assert ids(committed) == list(range(10))
    assert (layout.results / "part-000000000001.parquet.set-aside").read_bytes() == b"damaged"


def test_parts_of_another_checkpoint_are_not_taken_in(committed, tmp_path, written):
    with CheckpointStore(tmp_path / "other") as other:
        other.history.begin_run(batch_size=10, pipeline=pipeline_of(committed), changed=True)
        other.commit([written(other, 0)])
        other.commit([written(other, 1)])
        theirs = other.layout.part(1).read_bytes()
    layout = Layout(committed)
    layout.part(1).write_bytes(theirs)
    layout.catalog.unlink()
    plan, _ = repair(committed)
    assert plan.batches == 1


def pipeline_of(folder):
    with CheckpointStore(folder) as store:
        return store.history.pipeline()


def test_without_a_catalog_and_without_parts_nothing_can_be_made(committed):
    layout = Layout(committed)
    layout.catalog.write_bytes(b"")
    for batch_id in range(3):
        layout.part(batch_id).unlink()
    with held(committed) as held_layout, pytest.raises(CheckpointCorrupt, match="there is no part"):
        carry_out(held_layout, verify(held_layout).repair)
    assert layout.catalog.read_bytes() == b""


def test_a_missing_part_puts_the_frontier_before_it(committed):
    layout = Layout(committed)
    layout.part(1).unlink()
    plan, sentences = repair(committed)
    assert plan == Repair(Means.REWIND, 1, Loss(2, 20, 20))
    assert sentences == ["the frontier is at batch 0 now"]
    assert ids(committed) == list(range(10))
    assert Frontier.load(layout.frontier_file).last_completed_row == 9
    with CheckpointStore(committed) as store:
        assert store.epoch == 1


def test_a_damaged_first_part_puts_the_frontier_at_the_start(committed):
    Layout(committed).part(0).write_bytes(b"damaged")
    plan, sentences = repair(committed)
    assert plan.batches == 0
    assert sentences == ["the frontier is at the very start now"]


def test_a_mirror_of_garbage_is_written_anew(committed):
    mirror = committed / "frontier.json"
    mirror.write_text("garbage", encoding="utf-8")
    plan, _ = repair(committed)
    assert plan.means is Means.OPENING
    assert Frontier.load(mirror).last_completed_batch_id == 2


def test_a_killed_repair_can_be_begun_again(committed, monkeypatch):
    layout = Layout(committed)
    layout.catalog.write_bytes(b"damaged")

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    import shutil

    with monkeypatch.context() as patch:
        patch.setattr("engine.checkpoint.recovery.repair._move_aside", kill)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed), held(committed) as held_layout:
            carry_out(held_layout, verify(held_layout).repair)
    repair(committed)
    assert ids(committed) == list(range(30))
    assert not list(committed.glob(".checkpoint-*"))
