"""The disk is really full, or files may not grow: a sentence and a hint; with space again the run goes on."""

from __future__ import annotations

import os
import resource
import shutil

import fault_run
import pytest
from small_disk import AMPLE, remount, small_disk

from engine.errors import DiskFull

STEP = int(os.environ.get("FAULT_STEP_KIB", "8"))
WHOLE_RUN_KIB = 2_400
"""What a run needs at most: the catalog with its copy while it is compacted, and the parts."""


def fill(tmp_path, options):
    """Run on a disk of that size until it is full, then with space; return how the first run ended."""
    with small_disk(tmp_path / "disk", options) as disk:
        folder = disk / "checkpoint"
        end = fault_run.run(folder)
        if end.code:
            fault_run.assert_told(end, "the disk is full", "Free some space and run again")
            again = fault_run.run(folder)  # nothing has changed: it says so again, and harms nothing
            if again.code:
                fault_run.assert_told(again, "the disk is full")
        remount(disk, AMPLE)
        fault_run.assert_resumes(folder)
    return end


@pytest.mark.parametrize("kib", [200, 1_100])
def test_a_run_on_a_full_disk_goes_on_when_there_is_space(tmp_path, kib):
    fill(tmp_path, f"size={max(kib, 1)}k")


def test_a_run_on_a_disk_without_room_for_another_file_goes_on_when_there_is(tmp_path):
    assert fill(tmp_path, "size=16m,nr_inodes=12").code


def test_looking_at_a_checkpoint_works_on_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", "size=4m") as disk:
        folder = disk / "checkpoint"
        assert fault_run.run(folder).code == 0
        free = shutil.disk_usage(disk).free
        (disk / "ballast").write_bytes(bytes(free))
        assert shutil.disk_usage(disk).free == 0
        pipeline = fault_run.fault_target.pipeline(folder)
        assert pipeline.collect_results().equals(fault_run.fault_target.expected())
        fault_run.assert_sound(folder)
        with pytest.raises(DiskFull):
            pipeline.run(resume=False)
        (disk / "ballast").unlink()
        fault_run.assert_resumes(folder)


def limited(tmp_path, kib):
    """Run with files that may not grow beyond that size, then without a limit."""
    folder = tmp_path / "checkpoint"
    limit = kib << 10
    end = fault_run.run(folder, in_child=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    if end.code:
        fault_run.assert_told(end, "the disk is full")
    fault_run.assert_resumes(folder)
    return end


@pytest.mark.parametrize("kib", [300])
def test_a_run_whose_files_may_not_grow_goes_on_when_they_may(tmp_path, kib):
    assert limited(tmp_path, kib).code


@pytest.mark.long
@pytest.mark.parametrize("kib", range(4, WHOLE_RUN_KIB, STEP))
def test_a_run_on_a_disk_of_any_size_goes_on_when_there_is_space(tmp_path, kib):
    fill(tmp_path, f"size={kib}k")


@pytest.mark.long
@pytest.mark.parametrize("inodes", range(2, 40))
def test_a_run_on_a_disk_with_any_number_of_files_goes_on_when_there_is_room(tmp_path, inodes):
    fill(tmp_path, f"size=16m,nr_inodes={inodes}")


@pytest.mark.long
@pytest.mark.parametrize("kib", range(1, WHOLE_RUN_KIB, STEP))
def test_a_run_with_files_of_any_limited_size_goes_on_without_a_limit(tmp_path, kib):
    limited(tmp_path, kib)
