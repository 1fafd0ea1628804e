"""What a user is told when the disk fails under DuckDB: what the disk said, and nothing that would mislead."""

from __future__ import annotations

import damage
import fault_run
import mishaps
import pytest
from test_folder_taken_away import BOUND, needs_setpriv

AT_THE_RENAME = 6
LOG = "checkpoint.duckdb.wal"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoint"


def fail(shim, folder, kind, call, name):
    log = folder.with_name("calls")
    end = fault_run.run(folder, environment=fault_run.injected(shim, folder, kind, call, log, name=name))
    fault_run.assert_told(end)
    return end.stderr, fault_run.calls(log)[call - 1]


def test_a_full_disk_under_the_log_is_called_a_full_disk(shim, folder):
    told, _ = fail(shim, folder, "ENOSPC", 1, LOG)
    assert "the disk is full" in told
    assert "damaged" not in told


@pytest.mark.parametrize("call", [1, 2], ids=["write", "fsync"])
def test_a_failing_disk_under_the_log_is_not_called_a_damaged_catalog(shim, folder, call):
    told, _ = fail(shim, folder, "EIO", 2 + call, LOG)
    assert "damaged" not in told
    assert "--repair" not in told


def test_a_failing_disk_under_a_part_is_not_called_a_lack_of_permission(shim, folder):
    told, _ = fail(shim, folder, "EIO", 2, ".part-")
    assert "Input/output error" in told
    assert "permission" not in told


@needs_setpriv
def test_a_log_that_may_not_be_made_is_not_called_a_damaged_catalog(folder):
    end = fault_run.run(folder, environment=mishaps.at(folder, "process ended"))
    assert end.code == mishaps.EXIT_CODE
    damage.fold(folder)
    folder.chmod(0o500)
    end = fault_run.run(folder, before=BOUND)
    folder.chmod(0o700)
    fault_run.assert_told(end, "Permission denied")
    assert "damaged" not in end.stderr


def test_a_compaction_that_fails_at_its_end_is_not_called_a_damaged_catalog(shim, folder):
    told, struck = fail(shim, folder, "ENOSPC", AT_THE_RENAME, "/.guard-")
    if not struck.startswith("rename"):  # an error, and not the failure that is expected
        raise RuntimeError(struck)
    assert "damaged" not in told
