"""The folder is read-only, or in the middle of a run: becomes so, moves away, is deleted. No run ends well by mistake.

Root may write anywhere: so the run has none of root's rights over permissions, where it is root that tests.
"""

from __future__ import annotations

import os
import shutil

import damage
import fault_run
import fault_target
import mishaps
import pytest
from small_disk import remount, small_disk

BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner") if os.geteuid() == 0 else ()
NOT_WRITABLE = "cannot write the checkpoint"

needs_setpriv = pytest.mark.skipif(bool(BOUND) and not shutil.which("setpriv"), reason="there is no setpriv")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoint"


ALWAYS, NEVER = 1, 8 << 20
"""How long the log may get before it is compacted, for a run that compacts behind each commit, or not at all."""


def run_with(folder, mishap, *, compact_at=2_000):
    return fault_run.run(folder, environment=mishaps.at(folder, mishap, compact_at=compact_at), before=BOUND)


def test_a_disk_that_is_read_only_from_the_start_is_refused_in_words(tmp_path):
    with small_disk(tmp_path / "disk", "size=4m,ro") as disk:
        fault_run.assert_told(fault_run.run(disk / "checkpoint"), NOT_WRITABLE, "Read-only file system")
        remount(disk, "rw")
        fault_run.assert_resumes(disk / "checkpoint")


def test_a_checkpoint_on_a_disk_that_has_become_read_only_is_left_alone(tmp_path):
    with small_disk(tmp_path / "disk", "size=4m") as disk:
        folder = disk / "checkpoint"
        assert fault_run.run(folder, environment=mishaps.at(folder, "process ended")).code == mishaps.EXIT_CODE
        remount(disk, "ro")
        fault_run.assert_told(fault_run.run(folder), NOT_WRITABLE, "Read-only file system")
        remount(disk, "rw")
        assert fault_run.assert_resumes(folder) >= mishaps.COMMITTED_BY_THEN


@needs_setpriv
def test_a_folder_without_permission_is_refused_in_words(folder):
    folder.mkdir(mode=0o500)
    fault_run.assert_told(fault_run.run(folder, before=BOUND), NOT_WRITABLE, "Permission denied")
    folder.chmod(0o700)
    fault_run.assert_resumes(folder)


@needs_setpriv
@pytest.mark.parametrize("name", ["results", "folder"])
def test_a_run_that_loses_its_permission_goes_on_when_it_has_it_again(folder, name):
    end = run_with(folder, f"{name} read-only")
    fault_run.assert_told(end, "Permission denied")  # where DuckDB meets it first, see test_words_of_faults
    for place in (folder, folder / "results"):
        place.chmod(0o700)
    assert fault_run.assert_resumes(folder) >= mishaps.COMMITTED_BY_THEN


@needs_setpriv
def test_a_run_whose_log_loses_its_permission_loses_nothing(folder):
    """It is open, and nobody asks again."""
    end = run_with(folder, "catalog's log read-only", compact_at=NEVER)
    assert end.code == 0, end.talk
    refused = fault_run.run(folder, "--fresh", "--yes", before=BOUND)
    fault_run.assert_told(refused, "Permission denied")
    (folder / "checkpoint.duckdb.wal").chmod(0o600)
    fault_run.assert_finished(folder)


def test_a_folder_that_moves_away_can_be_moved_back(folder):
    end = run_with(folder, "folder moved")
    fault_run.assert_told(end, NOT_WRITABLE)
    assert not folder.exists(), "the run made a new folder in the place of the one that was moved"
    folder.with_name("moved").rename(folder)
    assert fault_run.assert_resumes(folder) >= mishaps.COMMITTED_BY_THEN


def test_a_folder_that_is_deleted_ends_the_run_in_words(folder):
    end = run_with(folder, "folder removed")
    fault_run.assert_told(end, NOT_WRITABLE)
    assert fault_run.assert_resumes(folder) == 0


def test_results_that_are_deleted_end_the_run_in_words(folder):
    end = run_with(folder, "results removed")
    fault_run.assert_told(end, NOT_WRITABLE)
    refused = fault_run.here("run", fault_run.TARGET, "--checkpoint-dir", folder)
    fault_run.assert_told(refused, "parts are missing", "verify --repair")
    repair = fault_run.verify(folder, "--repair", "--yes")
    assert repair.code == 0, repair.talk
    assert fault_run.assert_resumes(folder) == 0


@pytest.mark.parametrize(
    "what", ["catalog removed without its log", pytest.param("catalog removed", marks=pytest.mark.long)]
)
def test_a_catalog_that_is_deleted_costs_no_batch(folder, what):
    end = run_with(folder, what)
    if end.code:
        fault_run.assert_told(end)
    before = damage.parts(folder)
    assert len(before) >= mishaps.COMMITTED_BY_THEN
    fault_run.assert_told(fault_run.run(folder))
    repair = fault_run.verify(folder, "--repair", "--yes")
    assert repair.code == 0, repair.talk
    end = fault_run.here("run", fault_run.TARGET, "--checkpoint-dir", folder)
    assert end.code == 0, end.talk
    after = damage.parts(folder)
    assert {name: after[name] for name in before} == before
    fault_run.assert_finished(folder, aside=damage.ASIDE)
    assert len(after) == fault_target.BATCHES


def test_a_run_makes_no_new_catalog_in_the_place_of_one_that_was_deleted(folder):
    run_with(folder, "catalog removed without its log", compact_at=ALWAYS)
    assert not (folder / "checkpoint.duckdb").exists()
