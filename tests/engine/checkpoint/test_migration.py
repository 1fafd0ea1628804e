"""Checkpoints that commit 345d5b2 wrote, the last one with format 1, go on exactly once.

`format_1_finished`: 25 numbers in batches of 10, doubled; rewound to batch 0 and run again. `format_1_killed`: 300
numbers; 3, 15 and 137 are in quarantine; run 1 was stopped, run 2 failed at batch 12, and run 3 was killed after it had
committed batch 12, with a temporary part of batch 13 on disk.
"""

from __future__ import annotations

import shutil
import tarfile
from contextlib import closing
from pathlib import Path

import duckdb
import polars as pl
import pytest

from engine import AddColumnBatchStep, BatchPipeline, CheckpointView, Quarantine, RunState
from engine.checkpoint.catalog import catalog, compaction
from engine.checkpoint.catalog.catalog import FORMAT, Catalog
from engine.checkpoint.layout import Layout
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointCorrupt, CheckpointNewer, DiskFull
from engine.events import Warned
from engine.testing import FailingStep, PickyStep, SeekableNumbers

SAID = [f"the checkpoint was migrated from format 1 to format {FORMAT}"]


@pytest.fixture
def unpacked(tmp_path):
    def unpack(name):
        folder = tmp_path / name
        with tarfile.open(Path(__file__).parent / "fixtures" / f"format_1_{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        return folder

    return unpack


def finished_pipeline(folder, rows):
    return BatchPipeline([AddColumnBatchStep("double", "id", multiplier=2)], SeekableNumbers(rows), 10, folder)


def killed_pipeline(folder, bad):
    limits = Quarantine(max_rows=None, max_fraction=None)
    steps = [PickyStep("picky", bad), FailingStep("failing", {})]
    return BatchPipeline(steps, SeekableNumbers(300), 10, folder, on_error=limits)


def test_a_migration_is_said_once(unpacked):
    folder = unpacked("finished")
    with CheckpointStore(folder) as store:
        assert store.notices == SAID
        assert (store.next_batch_id, store.next_row, store.epoch) == (3, 25, 1)
    with CheckpointStore(folder) as store:
        assert store.notices == []
    with closing(Catalog(folder / "checkpoint.duckdb")) as opened:
        assert opened.identity()[0] == FORMAT


def test_a_run_warns_that_it_has_migrated(unpacked):
    heard = []
    run = finished_pipeline(unpacked("finished"), 25)
    run.add_listener(heard.append)
    run.run()
    assert [event.message for event in heard if isinstance(event, Warned)] == SAID


def test_a_finished_checkpoint_goes_on_when_its_source_has_grown(unpacked):
    folder = unpacked("finished")
    before = finished_pipeline(folder, 25)
    assert before.status().state is RunState.FINISHED
    assert [run.state for run in before.history()] == [RunState.FINISHED, RunState.FINISHED]
    finished_pipeline(folder, 45).run()
    assert before.collect_results()["id"].to_list() == list(range(45))
    assert before.verify().sound


def test_a_killed_checkpoint_goes_on_and_its_quarantine_is_replayed(unpacked):
    folder = unpacked("killed")
    run = killed_pipeline(folder, {137})
    frontier = run.run()
    assert frontier.last_completed_row == 299
    rest = sorted(set(range(300)) - {3, 15, 137})
    assert run.collect_results()["id"].to_list() == rest
    assert [row.source_row for row in run.quarantine.rows()] == [3, 15, 137]
    again = killed_pipeline(folder, ())
    assert again.quarantine.replay().rows == 3
    assert again.collect_results()["id"].to_list() == list(range(300))
    assert again.verify().sound


def test_the_history_keeps_its_moments_and_says_how_runs_ended_in_the_words_of_today(unpacked):
    folder = unpacked("killed")
    with closing(duckdb.connect(folder / "checkpoint.duckdb")) as old:
        moments = old.sql("SELECT epoch_us(started_at), epoch_us(ended_at) FROM runs ORDER BY run_id DESC").fetchall()
    view = CheckpointView(folder)
    runs = view.history()
    assert [run.state for run in runs] == [RunState.CRASHED, RunState.FAILED, RunState.RESUMABLE]
    assert [(_microseconds(run.started_at), run.ended_at and _microseconds(run.ended_at)) for run in runs] == moments
    (failure,) = view.failures()
    assert (failure.run_id, failure.batch_id, failure.step) == (2, 12, "failing")


def _microseconds(moment):
    return pl.Series([moment]).dt.epoch("us").item()


@pytest.mark.parametrize("rows", [0, 1])
def test_the_last_run_is_incomplete_if_rows_were_in_quarantine(unpacked, rows):
    folder = unpacked("killed" if rows else "finished")
    with closing(duckdb.connect(folder / "checkpoint.duckdb")) as old:
        old.execute("UPDATE runs SET outcome = 'finished'")
    states = [run.state for run in CheckpointView(folder).history()]
    assert states[0] is (RunState.INCOMPLETE if rows else RunState.FINISHED)
    assert set(states[1:]) == {RunState.FINISHED}


def test_a_lost_catalog_is_rebuilt_from_parts_of_format_1(unpacked):
    folder = unpacked("killed")
    (folder / "checkpoint.duckdb").unlink()
    view = CheckpointView(folder)
    assert view.repair().report.sound
    assert view.get_frontier().last_completed_batch_id == 12
    run = killed_pipeline(folder, {137})
    run.run()
    assert run.collect_results()["id"].to_list() == sorted(set(range(300)) - {3, 15, 137})


def test_a_catalog_of_format_1_that_lost_its_log_takes_its_parts_back_in(unpacked):
    folder = unpacked("finished")
    with CheckpointStore(unpacked("finished")) as store:
        key = store.key
    shutil.rmtree(folder)
    unpacked("finished")
    with closing(duckdb.connect(folder / "checkpoint.duckdb")) as old:
        old.execute("DELETE FROM batches WHERE batch_id = 2")
        old.execute("UPDATE frontier SET next_batch_id = 2, next_row = 20")
    with CheckpointStore(folder) as store:
        assert (store.key, store.next_batch_id, store.next_row) == (key, 3, 25)


def test_verify_finds_nothing_wrong_with_format_1(unpacked):
    folder = unpacked("finished")
    before = (folder / "checkpoint.duckdb").read_bytes()
    report = CheckpointView(folder).verify()
    assert report.sound
    assert report.catalog.notes == ("it has an older format; the next run migrates it",)
    assert (folder / "checkpoint.duckdb").read_bytes() == before


def test_a_damaged_part_of_format_1_is_repaired_by_going_back(unpacked):
    folder = unpacked("killed")
    (folder / "results" / "part-000000000005.parquet").write_bytes(b"garbage")
    view = CheckpointView(folder)
    assert view.repair().report.sound
    assert view.get_frontier().last_completed_batch_id == 4
    assert len(view.history()) == 3


@pytest.mark.integration
@pytest.mark.parametrize("name", ["finished", "killed"])
def test_killed_anywhere_in_a_migration_the_next_opening_migrates(unpacked, photographs, monkeypatch, name):
    folder = unpacked(name)
    taken = photographs(folder)
    with CheckpointStore(folder) as store:
        expected = (store.key, store.next_batch_id, store.next_row, store.epoch)
        history = [(run.run_id, run.state) for run in store.history.runs()]
    monkeypatch.undo()
    assert len(taken) > 10
    for photograph in taken:
        with CheckpointStore(photograph) as store:
            assert (store.key, store.next_batch_id, store.next_row, store.epoch) == expected
            assert [(run.run_id, run.state) for run in store.history.runs()] == history
        assert not Layout(photograph).guard.exists()
        assert not [path for path in photograph.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize("when", ["filling", "swapping"])
def test_a_migration_that_fails_leaves_the_old_catalog(unpacked, monkeypatch, when):
    folder = unpacked("killed")
    before = (folder / "checkpoint.duckdb").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if when == "filling":
            patch.setattr(catalog, "_with_moments", full)
        else:
            patch.setattr(compaction, "_remove_guard", full)
        with pytest.raises(DiskFull):
            CheckpointStore(folder)
    if when == "filling":
        assert (folder / "checkpoint.duckdb").read_bytes() == before
    with CheckpointStore(folder) as store:
        assert store.next_batch_id == 13


def test_a_newer_format_is_refused_and_left_as_it_is(unpacked):
    folder = unpacked("finished")
    with closing(duckdb.connect(folder / "checkpoint.duckdb")) as newer:
        newer.execute(f"UPDATE checkpoint SET format = {FORMAT + 1}")
    before = (folder / "checkpoint.duckdb").read_bytes()
    for call in (CheckpointStore, lambda folder: CheckpointView(folder).repair()):
        with pytest.raises(CheckpointNewer, match=f"has format {FORMAT + 1}, and this version reads up to {FORMAT}"):
            call(folder)
    assert (folder / "checkpoint.duckdb").read_bytes() == before


def test_a_damaged_catalog_of_format_1_is_named(unpacked):
    folder = unpacked("finished")
    with closing(duckdb.connect(folder / "checkpoint.duckdb")) as old:
        old.execute("ALTER TABLE batches RENAME COLUMN token TO gone")
    with pytest.raises(CheckpointCorrupt):
        CheckpointStore(folder)
    assert CheckpointView(folder).repair().report.sound
