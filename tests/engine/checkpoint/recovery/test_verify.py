from __future__ import annotations

import json
import shutil

import duckdb
import polars as pl
import pytest

from engine.checkpoint.catalog.catalog import Catalog
from engine.checkpoint.layout import Layout
from engine.checkpoint.loss import Loss
from engine.checkpoint.recovery.verify import held, verify
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointForeign, CheckpointLocked


def report_on(folder):
    with held(folder) as layout:
        return verify(layout)


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)


def test_a_committed_checkpoint_is_sound(committed):
    report = report_on(committed)
    assert report.sound
    assert [check.what for check in report.checks] == ["catalog", "parts", "frontier.json"]
    assert report.catalog.found == "opens; 3 batches without a gap, 30 source rows, 30 result rows"
    assert report.parts.found.startswith("3 of 3 present, with recorded size and CRC-32, readable; ")
    assert report.frontier_file.found == "agrees: batch 2"
    assert not any(check.notes for check in report.checks)


def test_verifying_changes_nothing(committed, contents):
    before = contents(committed)
    report_on(committed)
    assert contents(committed) == before


def test_it_is_refused_while_someone_is_at_work(committed):
    with CheckpointStore(committed), pytest.raises(CheckpointLocked), held(committed):
        pass


def test_a_missing_part_is_named_and_what_lies_behind_it_counted(committed):
    Layout(committed).part(1).unlink()
    report = report_on(committed)
    assert report.parts.faults == ("batch 1: part-000000000001.parquet is missing",)
    assert report.usable_batches == 1
    assert report.loss == Loss(2, 20, 20)


def test_one_flipped_bit_in_a_part_is_seen(committed):
    part = Layout(committed).part(1)
    flip(part, part.stat().st_size // 2)
    (fault,) = report_on(committed).parts.faults
    assert fault.startswith("batch 1: part-000000000001.parquet has been altered: its CRC-32 isn't ")


def test_a_part_that_is_cut_short_is_seen(committed):
    part = Layout(committed).part(2)
    part.write_bytes(part.read_bytes()[:-1])
    (fault,) = report_on(committed).parts.faults
    assert "bytes instead of" in fault


def test_two_parts_that_changed_places_are_seen(committed):
    layout = Layout(committed)
    shutil.copy(layout.part(0), committed / "kept")
    layout.part(1).replace(layout.part(0))
    (committed / "kept").replace(layout.part(1))
    assert len(report_on(committed).parts.faults) == 2


def test_a_catalog_that_is_missing_or_empty_is_a_fault(committed):
    (committed / "checkpoint.duckdb").write_bytes(b"")
    report = report_on(committed)
    assert "is cut short" in report.catalog.faults[0]
    assert report.usable_batches == 3
    (committed / "checkpoint.duckdb").unlink()
    assert report_on(committed).catalog.faults == ("checkpoint.duckdb is missing",)


def test_a_record_with_a_hole_is_a_note_if_its_part_is_there_and_else_a_fault(committed):
    catalog = Catalog(committed / "checkpoint.duckdb")
    catalog._connection.execute("DELETE FROM batches WHERE batch_id = 1")
    catalog.close()
    report = report_on(committed)
    assert (report.sound, report.usable_batches) == (True, 3)
    assert report.catalog.found == "opens; 3 batches without a gap, 30 source rows, 30 result rows"
    assert report.catalog.notes == ("1 batches that the catalog has lost; the next run restores them from their parts",)
    (committed / "results" / "part-000000000001.parquet").unlink()
    report = report_on(committed)
    assert "lost batch 1, whose part is missing" in report.catalog.faults[0]
    assert report.usable_batches == 1


def test_a_frontier_behind_its_batches_is_a_fault_of_the_catalog(committed):
    catalog = Catalog(committed / "checkpoint.duckdb")
    catalog._connection.execute("UPDATE frontier SET next_batch_id = 2, next_row = 20")
    catalog.close()
    assert not report_on(committed).sound


def test_a_database_of_somebody_else_is_left_to_them(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    duckdb.connect(folder / "checkpoint.duckdb").close()
    with pytest.raises(CheckpointForeign):
        report_on(folder)


def test_a_catalog_overwritten_by_something_else_is_a_fault_when_the_parts_are_ours(committed):
    (committed / "checkpoint.duckdb").write_bytes(b"SQLite format 3\x00" * 1000)
    report = report_on(committed)
    assert "an SQLite database, not a checkpoint" in report.catalog.faults[0]
    assert report.usable_batches == 3


def test_a_mirror_of_garbage_is_a_fault(committed):
    (committed / "frontier.json").write_text("{", encoding="utf-8")
    report = report_on(committed)
    assert report.frontier_file.found == "can't be read"
    assert not report.sound


def test_a_mirror_that_is_ahead_is_a_fault(committed):
    mirror = committed / "frontier.json"
    content = json.loads(mirror.read_text(encoding="utf-8"))
    mirror.write_text(
        json.dumps(content | {"last_completed_batch_id": 7, "last_completed_row": 79, "total_rows_processed": 80}),
        encoding="utf-8",
    )
    assert report_on(committed).frontier_file.faults == ("frontier.json doesn't agree with the catalog, which decides",)


@pytest.mark.parametrize("left", ["behind", "missing"])
def test_a_mirror_that_a_crash_left_behind_is_only_a_note(committed, left):
    mirror = committed / "frontier.json"
    content = json.loads(mirror.read_text(encoding="utf-8"))
    if left == "missing":
        mirror.unlink()
    else:
        mirror.write_text(
            json.dumps(content | {"last_completed_batch_id": 1, "last_completed_row": 19, "total_rows_processed": 20}),
            encoding="utf-8",
        )
    report = report_on(committed)
    assert report.sound
    assert report.frontier_file.notes


def test_a_committed_part_that_waits_for_its_name_is_only_a_note(committed):
    layout = Layout(committed)
    with CheckpointStore(committed) as store:
        attempt_id = store.batches(2, 2)[0].attempt_id
    layout.part(2).replace(layout.temporary_part(2, attempt_id))
    report = report_on(committed)
    assert report.sound
    assert report.parts.notes == ("1 committed parts wait for their final name",)


def test_an_uncommitted_part_is_only_a_note(committed, written):
    with CheckpointStore(committed) as store:
        written(store, 3)
    report = report_on(committed)
    assert report.sound
    assert report.parts.notes == ("1 temporary parts of batches that were never committed",)


def test_a_stranger_s_file_beyond_the_frontier_is_a_fault(committed):
    pl.DataFrame({"x": [1]}).write_parquet(Layout(committed).part(3))
    assert report_on(committed).parts.faults == (
        "part-000000000003.parquet is beyond the frontier and not of this checkpoint",
    )


def test_a_killed_compaction_is_put_back_and_told(committed):
    guard = Layout(committed).guard
    guard.mkdir()
    for name in ("checkpoint.duckdb", "checkpoint.duckdb.wal"):
        shutil.copy(committed / name, guard / name)
    (committed / "checkpoint.duckdb").write_bytes(b"half done")
    report = report_on(committed)
    assert report.sound
    assert "compaction was killed" in report.catalog.notes[0]
