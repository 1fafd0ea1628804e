from pathlib import Path

import pytest

from engine.checkpoint.layout import Layout
from engine.checkpoint.store import CheckpointStore


@pytest.fixture
def layout(command, tens, workplace):
    command("run", tens)
    return Layout(workplace / "cp")


def test_a_sound_checkpoint_is_told_with_what_was_looked_at(command, layout):
    answer = command("verify", "tens.py")
    assert answer.code == 0
    assert [line.split(":")[0] for line in answer.out.splitlines()] == [
        "ok    catalog",
        "ok    parts",
        "ok    frontier.json",
    ]
    assert answer.err == "the checkpoint is not damaged\n"


def test_a_damaged_one_exits_with_3_and_names_the_repair(command, layout):
    layout.part(1).unlink()
    answer = command("verify", "--checkpoint-dir", "cp")
    assert answer.code == 3
    assert "wrong parts: 2 of 3 present" in answer.out
    assert "      batch 1: part-000000000001.parquet is missing" in answer.out
    assert "verify --repair" in answer.err


def test_a_repair_that_drops_results_needs_a_yes(command, layout):
    layout.part(1).unlink()
    refused = command("verify", "tens.py", "--repair")
    assert refused.code == 2
    assert "this keeps 1 batch and drops 2 batches, 20 source rows, 20 result rows" in refused.err
    done = command("verify", "tens.py", "--repair", "--yes")
    assert done.code == 0
    assert done.err.endswith("the frontier is at batch 0 now\nthe checkpoint is not damaged\n")
    assert command("run", "tens.py").code == 0
    assert command("results", "count", "tens.py").out == "30\n"


def test_a_missing_catalog_is_made_anew_without_a_question(command, layout):
    layout.catalog.unlink()
    assert command("status", "tens.py").code == 3
    answer = command("verify", "tens.py", "--repair")
    assert answer.code == 0
    assert "the catalog was rebuilt from 3 parts" in answer.err
    assert command("run", "tens.py").err == "nothing to do: finished, 30 rows\n"


def test_a_mirror_of_garbage_is_repaired(command, layout):
    layout.frontier_file.write_text("garbage", encoding="utf-8")
    assert command("verify", "tens.py").code == 3
    assert command("verify", "tens.py", "--repair").code == 0
    assert command("verify", "tens.py").code == 0


def test_a_repair_of_nothing_says_so(command, layout):
    answer = command("verify", "tens.py", "--repair")
    assert answer.code == 0
    assert answer.err == "nothing to repair\nthe checkpoint is not damaged\n"


def test_what_can_t_be_repaired_exits_with_3(command, layout):
    layout.catalog.write_bytes(b"")
    for batch_id in range(3):
        layout.part(batch_id).unlink()
    answer = command("verify", "tens.py", "--repair", "--yes")
    assert answer.code == 3
    assert f"there is no part in {Path.cwd()}/cp/results to make the catalog from" in answer.err


def test_verify_works_during_a_run(command, layout):
    with CheckpointStore(layout.folder):
        assert command("verify", "tens.py").code == 0
