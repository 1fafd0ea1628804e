"""The catalog or its log is torn, flipped or gone: the parts bring everything back but the history, and that is said.

No part is made again: each has the id of its attempt in it, and has the same bytes afterwards.
"""

from __future__ import annotations

import os
import random
import shutil

import damage
import fault_run
import pytest

TRIALS = int(os.environ.get("FAULT_TRIALS", "100"))
SAID = ("restored from their parts", "the catalog was rebuilt")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished checkpoint, all of whose history is in the log."""
    folder = tmp_path_factory.mktemp("whole") / "checkpoint"
    fault_run.fault_target.pipeline(folder).run()
    return folder


@pytest.fixture(scope="module")
def folded(whole, tmp_path_factory):
    """The same with all of its history in the catalog's file."""
    folder = shutil.copytree(whole, tmp_path_factory.mktemp("folded") / "checkpoint")
    damage.fold(folder)
    return folder


def assert_only_history_is_lost(folder, before):
    ends = damage.go_on(folder)
    if fault_run.verify(folder).code:  # damage where no run has to look, such as in old failures
        ends.append(fault_run.verify(folder, "--repair", "--yes"))
        assert ends[-1].code == 0, ends[-1].talk
        ends += damage.go_on(folder)
    assert damage.parts(folder) == before, "a part was made again"
    fault_run.assert_finished(folder, aside=damage.ASIDE)
    fault_run.assert_sound(folder)
    return "".join(end.talk for end in ends)


def torn_log(whole, folder, chance):
    shutil.copytree(whole, folder)
    log = folder / "checkpoint.duckdb.wal"
    damage.cut(log, chance.randrange(log.stat().st_size))
    return assert_only_history_is_lost(folder, damage.parts(whole))


def flipped_log(whole, folder, chance):
    shutil.copytree(whole, folder)
    damage.flip(folder / "checkpoint.duckdb.wal", chance)
    return assert_only_history_is_lost(folder, damage.parts(whole))


def flipped_catalog(folded, folder, chance):
    shutil.copytree(folded, folder)
    damage.flip(folder / "checkpoint.duckdb", chance)
    return assert_only_history_is_lost(folder, damage.parts(folded))


def torn_block(folded, folder, block, old):
    shutil.copytree(folded, folder)
    damage.tear_block(folder / "checkpoint.duckdb", block, old)
    return assert_only_history_is_lost(folder, damage.parts(folded))


@pytest.mark.parametrize("seed", range(2))
def test_a_torn_log_costs_no_batch(whole, tmp_path, seed):
    torn_log(whole, tmp_path / "checkpoint", random.Random(seed))


def test_a_log_cut_to_half_is_said_to_have_lost_batches(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "checkpoint")
    log = folder / "checkpoint.duckdb.wal"
    damage.cut(log, log.stat().st_size // 2)
    talk = assert_only_history_is_lost(folder, damage.parts(whole))
    assert any(words in talk for words in SAID), talk


@pytest.mark.parametrize("seed", range(2))
def test_a_flipped_bit_in_the_log_costs_no_batch(whole, tmp_path, seed):
    flipped_log(whole, tmp_path / "checkpoint", random.Random(seed))


def test_a_damaged_block_with_the_history_in_it_costs_no_batch(folded, tmp_path):
    content = (folded / "checkpoint.duckdb").read_bytes()
    block = damage.block_of(content, b'"class"')  # the description of the pipeline
    torn_block(folded, tmp_path / "checkpoint", block, b"")


def test_a_damaged_block_with_the_batches_in_it_costs_no_batch(folded, tmp_path):
    content = (folded / "checkpoint.duckdb").read_bytes()
    torn_block(folded, tmp_path / "checkpoint", damage.block_of(content, b"running_total"), b"")


def test_a_compaction_that_wrote_half_a_block_is_undone_from_its_copy(whole, folded, tmp_path):
    folder = shutil.copytree(folded, tmp_path / "checkpoint")
    new = (folder / "checkpoint.duckdb").read_bytes()
    for name in ("checkpoint.duckdb", "checkpoint.duckdb.wal"):
        shutil.copyfile(whole / name, folder / name)
    damage.stand_guard(folder)
    (folder / "checkpoint.duckdb").write_bytes(new)
    old = (whole / "checkpoint.duckdb").read_bytes()
    for block in range(damage.block_count(folder / "checkpoint.duckdb")):
        damage.tear_block(folder / "checkpoint.duckdb", block, old)
    end = fault_run.run(folder)
    assert end.code == 0, end.talk
    assert "its copy was put back" in end.stderr
    assert damage.parts(folder) == damage.parts(whole)
    fault_run.assert_finished(folder)


def test_a_catalog_with_half_written_blocks_and_no_copy_is_made_again_from_the_parts(whole, folded, tmp_path):
    folder = shutil.copytree(folded, tmp_path / "checkpoint")
    for block in range(damage.block_count(folder / "checkpoint.duckdb")):
        damage.tear_block(folder / "checkpoint.duckdb", block, b"")
    talk = assert_only_history_is_lost(folder, damage.parts(whole))
    assert "damaged catalog is kept as" in talk
    assert "the history of runs before is lost" in talk


@pytest.mark.parametrize("log_is_left", [True, False], ids=["log is left", "log is gone too"])
def test_a_catalog_that_is_gone_is_made_again_from_the_parts(whole, tmp_path, log_is_left):
    folder = shutil.copytree(whole, tmp_path / "checkpoint")
    (folder / "checkpoint.duckdb").unlink()
    if not log_is_left:
        (folder / "checkpoint.duckdb.wal").unlink()
    talk = assert_only_history_is_lost(folder, damage.parts(whole))
    assert "is missing, but results are there" in talk
    assert "the history of runs before is lost" in talk


@pytest.mark.long
@pytest.mark.parametrize("seed", range(TRIALS))
@pytest.mark.parametrize("damaged", [torn_log, flipped_log])
def test_damage_to_the_log_costs_no_batch(whole, tmp_path, damaged, seed):
    damaged(whole, tmp_path / "checkpoint", random.Random(1_000 + seed))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(TRIALS))
def test_a_flipped_bit_anywhere_in_the_catalog_costs_no_batch(folded, tmp_path, seed):
    flipped_catalog(folded, tmp_path / "checkpoint", random.Random(1_000 + seed))


@pytest.mark.long
@pytest.mark.parametrize("block", range(8))
@pytest.mark.parametrize("half", ["old", "empty"])
def test_half_a_block_of_the_catalog_costs_no_batch(whole, folded, tmp_path, block, half):
    old = (whole / "checkpoint.duckdb").read_bytes() if half == "old" else b""
    if block < damage.block_count(folded / "checkpoint.duckdb"):
        torn_block(folded, tmp_path / "checkpoint", block, old)
