"""A part is cut short, flipped or gone: `verify` finds it by size and checksum, names it, and repairs by going back.

A repair puts the frontier before the first damaged part. So the batches behind it are done again as well, not
the damaged one alone: there is no way to replace a committed batch in the middle.
"""

from __future__ import annotations

import os
import random
import shutil

import damage
import fault_run
import fault_target
import pytest

from engine import BatchPipeline
from engine.errors import PipelineError

TRIALS = int(os.environ.get("FAULT_TRIALS", "100"))
BATCH = 9


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "checkpoint"
    fault_target.pipeline(folder).run()
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "checkpoint")


def assert_found_and_mended(folder, batch_id):
    """`verify` names the part; a repair and a run make it and those behind it again, and leave those before it."""
    name = damage.part(folder, batch_id).name
    before = damage.parts(folder)
    report = fault_run.verify(folder)
    assert report.code == fault_run.CHECKPOINT_ERROR
    assert f"batch {batch_id}: {name}" in report.stdout, report.talk
    assert "verify --repair" in report.stderr
    assert damage.parts(folder) == before, "looking changed something"

    repair = fault_run.verify(folder, "--repair", "--yes")
    assert repair.code == 0, repair.talk
    kept = f"the frontier is at batch {batch_id - 1} now" if batch_id else "the frontier is at the very start now"
    assert kept in repair.stderr
    end = fault_run.here("run", fault_run.TARGET, "--checkpoint-dir", folder)
    assert end.code == 0, end.talk
    after = damage.parts(folder)
    kept_names = {damage.part(folder, earlier).name for earlier in range(batch_id)}
    assert {part: after[part] for part in kept_names} == {part: before[part] for part in kept_names}
    fault_run.assert_finished(folder, aside=damage.ASIDE)
    fault_run.assert_sound(folder)


def test_a_part_that_is_cut_short_is_named_and_mended(folder):
    damage.cut(damage.part(folder, BATCH), 700)
    assert_found_and_mended(folder, BATCH)


def test_a_part_with_a_flipped_bit_is_named_and_mended(folder):
    damage.flip(damage.part(folder, BATCH), random.Random(1))
    assert_found_and_mended(folder, BATCH)


def test_a_first_part_with_a_flipped_bit_is_named_and_mended(folder):
    damage.flip(damage.part(folder, 0), random.Random(1))
    assert_found_and_mended(folder, 0)


def test_a_part_that_is_gone_is_named_and_mended(folder):
    damage.part(folder, BATCH).unlink()
    refused = fault_run.here("run", fault_run.TARGET, "--checkpoint-dir", folder)
    fault_run.assert_told(refused, "1 of 14 parts are missing", "verify --repair")
    assert_found_and_mended(folder, BATCH)


def test_a_part_in_the_place_of_another_is_named_and_mended(folder):
    shutil.copyfile(damage.part(folder, BATCH - 1), damage.part(folder, BATCH))
    assert_found_and_mended(folder, BATCH)


def test_results_with_a_part_that_is_gone_are_refused_with_a_hint(folder):
    damage.part(folder, BATCH).unlink()
    with pytest.raises(PipelineError, match="1 of 14 parts are missing"):
        fault_target.pipeline(folder).collect_results()


@pytest.mark.parametrize("read", [BatchPipeline.collect_results, lambda pipeline: list(pipeline.iter_results())])
def test_results_with_a_part_that_is_cut_short_are_refused_with_a_hint(folder, read):
    damage.cut(damage.part(folder, BATCH), 700)
    with pytest.raises(PipelineError) as raised:
        read(fault_target.pipeline(folder))
    assert damage.part(folder, BATCH).name in str(raised.value)
    assert raised.value.hint


@pytest.mark.long
@pytest.mark.parametrize("seed", range(TRIALS))
@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_any_damage_to_any_part_is_named_and_mended(folder, how, seed):
    chance = random.Random(seed)
    batch_id = chance.randrange(fault_target.BATCHES)
    part = damage.part(folder, batch_id)
    if how == "cut":
        damage.cut(part, chance.randrange(part.stat().st_size))
    else:
        damage.flip(part, chance)
    assert_found_and_mended(folder, batch_id)
