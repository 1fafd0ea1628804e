from __future__ import annotations

import pytest

from engine import BatchPipeline, RunState
from engine.checkpoint.recovery.loss import Loss, loss_of_rewind
from engine.checkpoint.store import CheckpointStore
from engine.checkpoint.view import CheckpointView
from engine.errors import FrontierUnreadable, UsageError
from engine.testing import SeekableNumbers


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cp"


@pytest.fixture
def view(folder):
    return CheckpointView(folder)


@pytest.fixture
def finished(folder):
    BatchPipeline([], SeekableNumbers(25), 10, folder).run()
    return folder


def test_a_folder_without_a_checkpoint_stays_as_it_is(tmp_path):
    view = CheckpointView(tmp_path)
    assert not view.exists()
    assert view.frontier(["a"]).step_states == {"a": -1}
    assert view.standing().state is RunState.IDLE
    assert view.committed_parts() == []
    assert view.parts_size() == (0, 0)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="there is no checkpoint in"):
        view.require()


def test_a_finished_run_is_seen(view, finished):
    standing = view.standing()
    assert standing.state is RunState.FINISHED
    assert standing.frontier.last_completed_batch_id == 2
    assert standing.runs[0].state == "finished"
    assert [part.name[:18] for part in view.committed_parts()] == [f"part-{number:012}." for number in range(3)]


def test_while_it_is_held_the_mirror_tells(view, finished):
    with CheckpointStore(finished):
        standing = view.standing()
        assert standing.state is RunState.RUNNING
        assert standing.held_by.startswith("process ")
        assert view.frontier().last_completed_batch_id == 2
        assert len(view.committed_parts()) == 3


def test_while_it_is_held_an_unreadable_mirror_is_told(view, finished):
    with CheckpointStore(finished):
        (finished / "frontier.json").write_text("garbage", encoding="utf-8")
        with pytest.raises(FrontierUnreadable):
            view.frontier()


def test_a_checkpoint_that_lost_its_catalog_still_exists(view, finished):
    (finished / "checkpoint.duckdb").unlink()
    assert view.exists()


@pytest.mark.parametrize(
    ("batch_id", "loss"), [(-1, Loss(3, 25, 25)), (0, Loss(2, 15, 15)), (1, Loss(1, 5, 5)), (2, Loss()), (7, Loss())]
)
def test_the_loss_of_a_rewind_is_counted(finished, batch_id, loss):
    with CheckpointStore(finished) as store:
        assert loss_of_rewind(store, batch_id) == loss


def test_a_loss_of_nothing_is_false():
    assert not Loss()
    assert Loss(1, 0, 0)
