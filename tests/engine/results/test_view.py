from __future__ import annotations

import pytest

from engine import BatchPipeline, CheckpointView, Loss, RunState
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointCorrupt, CheckpointLocked, NothingToRewind, UsageError
from engine.testing import SeekableNumbers


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cp"


@pytest.fixture
def view(folder):
    return CheckpointView(folder)


@pytest.fixture
def pipeline(folder):
    return BatchPipeline([], SeekableNumbers(25), 10, folder)


@pytest.fixture
def finished(pipeline, folder):
    pipeline.run()
    return folder


def part_of(folder, batch_id):
    return folder / "results" / f"part-{batch_id:012}.parquet"


def test_a_folder_without_a_checkpoint_stays_as_it_is(tmp_path):
    view = CheckpointView(tmp_path)
    assert not view.exists()
    assert view.get_frontier().next_batch_id == 0
    status = view.status()
    assert (status.state, status.parts, status.part_bytes, status.result_rows) == (RunState.IDLE, 0, 0, 0)
    assert view.history() == view.failures() == view.quarantine.rows() == []
    assert view.collect_results().shape == (0, 0)
    assert view.results_page(0, 10).total_rows == 0
    assert view.rewind(-1) == 0
    assert not view.loss_of_rewind(-1)
    for call in (view.require, view.verify, view.repair):
        with pytest.raises(UsageError, match="there is no checkpoint in"):
            call()
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_seen(view, finished):
    status = view.status()
    assert status.state is RunState.FINISHED
    assert status.frontier.last_completed_batch_id == 2
    assert status.runs[0].state is RunState.FINISHED
    assert (status.parts, status.result_rows, status.rows_quarantined, status.results_url) == (3, 25, 0, None)
    assert status.part_bytes == sum(part_of(finished, batch_id).stat().st_size for batch_id in range(3))
    assert view.collect_results()["id"].to_list() == list(range(25))
    assert [frame.height for frame in view.iter_results()] == [10, 10, 5]
    assert view.query_results("SELECT sum(id) AS s FROM results")["s"].item() == 300


def test_a_pipeline_shows_its_own_steps(finished, pipeline):
    assert pipeline.status().frontier.step_states == {}
    assert pipeline.get_frontier() == pipeline.status().frontier


def test_while_it_is_held_everything_is_read_from_a_copy(view, finished):
    with CheckpointStore(finished):
        status = view.status()
        assert status.state is RunState.RUNNING
        assert status.held_by.startswith("process ")
        assert (status.result_rows, status.rows_quarantined) == (25, 0)
        assert view.get_frontier().last_completed_batch_id == 2
        assert view.collect_results().height == 25
        assert [run.run_id for run in view.history()] == [1]
        assert view.verify().sound
        assert "in use by process" in view.verify().catalog.notes[0]
        for call in (view.repair, lambda: view.rewind(0)):
            with pytest.raises(CheckpointLocked):
                call()


def test_while_it_is_held_an_unreadable_frontier_file_is_no_matter(view, finished):
    with CheckpointStore(finished):
        (finished / "frontier.json").write_text("garbage", encoding="utf-8")
        assert view.get_frontier().last_completed_batch_id == 2


def test_a_checkpoint_that_lost_its_catalog_still_exists(view, finished):
    (finished / "checkpoint.duckdb").unlink()
    assert view.exists()


@pytest.mark.parametrize(
    ("batch_id", "loss"), [(-1, Loss(3, 25, 25)), (0, Loss(2, 15, 15)), (1, Loss(1, 5, 5)), (2, Loss()), (7, Loss())]
)
def test_the_loss_of_a_rewind_is_counted(view, finished, batch_id, loss):
    assert view.loss_of_rewind(batch_id) == loss


def test_a_loss_of_nothing_is_false():
    assert not Loss()
    assert Loss(1, 0, 0)


def test_a_rewind_says_what_is_lost_while_it_holds_the_checkpoint(view, finished):
    def told(loss):
        assert loss == Loss(2, 15, 15)
        with pytest.raises(CheckpointLocked):
            CheckpointStore(finished)

    assert view.rewind(0, confirm=told) == 2
    assert view.get_frontier().last_completed_batch_id == 0


def test_a_rewind_that_is_refused_changes_nothing(view, finished):
    def refuse(_):
        raise UsageError("no")

    with pytest.raises(UsageError, match="no"):
        view.reset_frontier(confirm=refuse)
    assert view.status().result_rows == 25


def test_a_rewind_of_nothing_asks_nobody(view, finished):
    asked = []
    assert view.rewind(2, confirm=asked.append) == 0
    with pytest.raises(NothingToRewind):
        view.rewind(3, confirm=asked.append)
    assert asked == []


def test_a_checkpoint_without_fault_is_repaired_by_doing_nothing(view, finished):
    report = view.verify()
    assert report.sound
    assert not report.repair
    assert view.repair().done == ()


def test_a_damaged_part_is_repaired_by_going_back_before_it(view, finished):
    part_of(finished, 1).write_bytes(b"garbage")
    asked = []
    repaired = view.repair(asked.append)
    assert asked[0].repair.loss == Loss(2, 15, 15)
    assert repaired.done[0] == "the frontier is at batch 0 now"
    assert repaired.report.sound
    assert view.collect_results().height == 10


def test_a_repair_that_is_refused_changes_nothing(view, finished):
    part_of(finished, 1).write_bytes(b"garbage")

    def refuse(_):
        raise UsageError("no")

    with pytest.raises(UsageError, match="no"):
        view.repair(refuse)
    assert view.get_frontier().last_completed_batch_id == 2


@pytest.mark.parametrize(
    ("first_row", "rows", "shown"),
    [
        (0, 3, [0, 1, 2]),
        (8, 4, [8, 9, 10, 11]),
        (9, 13, [*range(9, 22)]),
        (24, 9, [24]),
        (99, 9, [24]),
        (-5, 1, [0]),
    ],
)
def test_a_page_has_the_rows_from_its_first_one_on(view, finished, first_row, rows, shown):
    page = view.results_page(first_row, rows)
    assert page.frame["id"].to_list() == shown
    assert (page.first_row, page.total_rows) == (shown[0], 25)


def test_a_page_is_read_while_the_checkpoint_is_held(view, finished):
    with CheckpointStore(finished):
        assert view.results_page(20, 10).frame["id"].to_list() == [20, 21, 22, 23, 24]


def test_a_page_after_a_rewind_knows_the_new_rows(pipeline, finished):
    assert pipeline.results_page(0, 1).total_rows == 25
    pipeline.rewind(0)
    assert pipeline.results_page(0, 99).frame.height == 10


def test_a_page_sees_a_last_batch_that_grew(folder):
    BatchPipeline([], SeekableNumbers(15), 10, folder).run()
    view = CheckpointView(folder)
    assert view.results_page(0, 1).total_rows == 15
    view.rewind(0)
    BatchPipeline([], SeekableNumbers(18), 10, folder).run()
    assert view.results_page(0, 1).total_rows == 18


def test_a_page_of_a_damaged_part_names_it(view, finished):
    part_of(finished, 1).write_bytes(b"garbage")
    with pytest.raises(CheckpointCorrupt, match=r"part-000000000001\.parquet is not a readable part"):
        view.results_page(0, 5)


def test_a_page_without_a_frontier_file_asks_the_catalog(view, finished):
    (finished / "frontier.json").unlink()
    assert view.results_page(0, 5).total_rows == 25
    assert not (finished / "frontier.json").exists()
