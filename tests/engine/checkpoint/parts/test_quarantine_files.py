"""The quarantine's files: counted by the catalog, looked at by `verify`, swept when no batch names them."""

from __future__ import annotations

import polars as pl
import pytest

from engine.checkpoint.catalog.catalog import Catalog
from engine.checkpoint.layout import Layout, new_attempt_id
from engine.checkpoint.loss import Loss
from engine.checkpoint.parts import quarantine
from engine.checkpoint.parts.manifest import QuarantineFile
from engine.checkpoint.recovery.repair import carry_out
from engine.checkpoint.recovery.report import Means
from engine.checkpoint.recovery.verify import held, verify
from engine.checkpoint.store import CheckpointStore

ABOUT = QuarantineFile(rows=2, step="a", error="ValueError: no", from_step="a")
FRAME = pl.DataFrame(
    {
        "source_row": [10, 11],
        "position": [0, 0],
        "step": ["a", "a"],
        "error_type": ["ValueError", "ValueError"],
        "error": ["ValueError: no", "ValueError: no"],
        "input": ["{}", "{}"],
        "row": [{"id": 10}, {"id": 11}],
    }
)


def put(store, written, batch_id, files=1):
    attempt_id = new_attempt_id()
    kept = quarantine.write(store.layout, batch_id, attempt_id, [(ABOUT, FRAME)] * files)
    manifest = written(store, batch_id, attempt_id=attempt_id, rows_quarantined=2 * files, quarantine=kept)
    store.commit([manifest])
    return manifest


@pytest.fixture
def folder(folder, written):
    """Three batches; two rows of batch 1 are in quarantine."""
    with CheckpointStore(folder) as store:
        store.history.begin_run(batch_size=10, pipeline='{"steps": []}', changed=True)
        store.commit([written(store, 0)])
        put(store, written, 1)
        store.commit([written(store, 2)])
        store.history.end_run(1, "finished")
    return folder


@pytest.fixture
def file(folder):
    (file,) = Layout(folder).quarantine.iterdir()
    return file


def report_on(folder):
    with held(folder) as layout:
        return verify(layout)


def repair(folder):
    with held(folder) as layout:
        plan = verify(layout).repair
        carry_out(layout, plan)
    CheckpointStore(folder).close()
    assert report_on(folder).sound
    return plan


def test_files_are_private_and_what_the_catalog_says_of_them_comes_back(folder, file):
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with CheckpointStore(folder) as store:
        assert store.rows_quarantined() == 2
        (manifest,) = store.quarantined_batches()
        ((about, frame),) = quarantine.read(store.layout, manifest)
    assert (about.rows, about.step, about.error, about.from_step) == (2, "a", "ValueError: no", "a")
    assert frame.equals(FRAME)


def test_a_sound_quarantine_is_told(folder):
    report = report_on(folder)
    assert report.sound
    assert report.quarantine.found == "2 rows in 1 files of 1 batches, with recorded size and CRC-32"
    assert [check.what for check in report.checks] == ["catalog", "parts", "quarantine", "frontier.json"]


def test_without_a_quarantine_nothing_is_said_of_it(committed_once):
    assert report_on(committed_once).quarantine is None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "bytes instead of"),
        (lambda file: file.write_bytes(b"PAR2" + file.read_bytes()[4:]), "has been altered: its CRC-32 isn't"),
    ],
)
def test_damage_names_the_batch_and_a_repair_goes_back_to_the_one_before(folder, file, damage, words):
    damage(file)
    report = report_on(folder)
    (fault,) = report.quarantine.faults
    assert fault.startswith(f"batch 1: {file.name} ")
    assert words in fault
    assert (report.usable_batches, report.loss) == (1, Loss(2, 20, 20, 2))
    plan = repair(folder)
    assert (plan.means, plan.batches) == (Means.REWIND, 1)
    with CheckpointStore(folder) as store:
        assert (store.next_batch_id, store.next_row, store.rows_quarantined()) == (1, 10, 0)
    assert not list(Layout(folder).quarantine.iterdir())


def test_counters_that_disagree_are_a_fault(folder):
    catalog = Catalog(Layout(folder).catalog)
    catalog._connection.execute("UPDATE batches SET rows_quarantined = 3 WHERE batch_id = 1")
    catalog.close()
    assert report_on(folder).quarantine.faults == ("batch 1: 3 rows are counted in quarantine, but its files have 2",)


def test_many_faults_are_counted(folder, written):
    with CheckpointStore(folder) as store:
        for batch_id in range(3, 6):
            put(store, written, batch_id, files=8)
    for file in Layout(folder).quarantine.iterdir():
        file.unlink()
    faults = report_on(folder).quarantine.faults
    assert (len(faults), faults[-1]) == (21, "and 5 more")


def test_leftovers_are_noted_and_swept_on_the_next_opening(folder, file):
    left = Layout(folder).quarantine_file(7, new_attempt_id(), 0)
    left.write_bytes(file.read_bytes())
    (file.parent / "notes.txt").write_text("mine")
    report = report_on(folder)
    assert report.sound
    assert report.quarantine.notes == ("1 files that no committed batch names; the next run deletes them",)
    assert repair(folder).means is Means.OPENING
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name, "notes.txt"]


def test_the_catalog_made_anew_from_the_parts_knows_the_quarantine(folder, file):
    Layout(folder).catalog.unlink()
    Layout(folder).wal.unlink(missing_ok=True)
    assert repair(folder).batches == 3
    with CheckpointStore(folder) as store:
        assert store.rows_quarantined() == 2
    assert file.exists()


def test_without_a_catalog_a_missing_file_ends_what_can_be_used(folder, file):
    Layout(folder).catalog.unlink()
    Layout(folder).wal.unlink(missing_ok=True)
    file.unlink()
    report = report_on(folder)
    assert report.usable_batches == 1
    assert report.parts.faults == (f"batch 1: {file.name} is missing",)


def test_a_batch_put_in_the_place_of_another_takes_its_files_with_it(folder, file, written):
    with CheckpointStore(folder) as store:
        before = store.batches(1, 1)[0]
        store.replace(before, written(store, 1, attempt_id=new_attempt_id()))
        assert store.rows_quarantined() == 0
    assert not file.exists()


def test_the_files_of_one_attempt_are_dropped_together(folder, written):
    with CheckpointStore(folder) as store:
        manifest = put(store, written, 3, files=3)
        quarantine.drop(store.layout, manifest)
        assert len(list(store.layout.quarantine.iterdir())) == 1
