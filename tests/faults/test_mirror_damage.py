"""`frontier.json` is garbage or lies: the catalog decides, `verify` says so, and the next run writes it anew."""

from __future__ import annotations

import json
import shutil

import damage
import fault_run
import fault_target
import pytest

from engine import Frontier

NAME = "frontier.json"
AHEAD = {
    "last_completed_batch_id": 99,
    "last_completed_row": 9_999,
    "total_rows_processed": 10_000,
    "step_states": {"drop_nulls": 99, "add_feature": 99, "running_total": 99},
}
GARBAGE = {
    "nothing in it": b"",
    "half of it": b'{"last_completed_batch_id": 1',
    "not text": bytes(range(256)),
    "another JSON": b"[1, 2, 3]",
    "words for numbers": b'{"last_completed_batch_id": "many", "last_completed_row": null}',
    "ahead of the catalog": json.dumps(AHEAD).encode(),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "checkpoint"
    fault_target.pipeline(folder).run()
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "checkpoint")


DEEP = pytest.param(b"[" * 100_000, id="nested without end")


@pytest.mark.parametrize("content", [*(pytest.param(what, id=name) for name, what in GARBAGE.items()), DEEP])
def test_a_mirror_of_garbage_changes_nothing(folder, content):
    (folder / NAME).write_bytes(content)
    before = damage.parts(folder)
    pipeline = fault_target.pipeline(folder)
    assert pipeline.get_frontier().last_completed_batch_id == fault_target.BATCHES - 1
    (folder / NAME).write_bytes(content)
    assert pipeline.run().last_completed_batch_id == fault_target.BATCHES - 1
    assert damage.parts(folder) == before
    assert Frontier.load(folder / NAME) == pipeline.get_frontier()
    fault_run.assert_finished(folder)


def test_verify_names_a_mirror_of_garbage_and_repairs_it(folder):
    (folder / NAME).write_bytes(GARBAGE["half of it"])
    report = fault_run.verify(folder)
    assert report.code == fault_run.CHECKPOINT_ERROR, report.talk
    assert "frontier.json: can't be read" in report.stdout
    repair = fault_run.verify(folder, "--repair", "--yes")
    assert repair.code == 0, repair.talk
    fault_run.assert_finished(folder)


def test_a_folder_in_the_mirrors_place_is_refused_in_words(folder):
    (folder / NAME).unlink()
    (folder / NAME).mkdir()
    end = fault_run.run(folder, "--fresh", "--yes")
    fault_run.assert_told(end)
    (folder / NAME).rmdir()
    fault_run.assert_resumes(folder)
