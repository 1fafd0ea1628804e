from __future__ import annotations

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import FrontierUnreadable, RowsNotContiguous
from engine.frontier import Frontier


def test_at_start_nothing_is_done():
    start = Frontier.at_start(["a", "b"])
    assert start == Frontier(-1, -1, 0, {"a": -1, "b": -1})
    assert (start.next_batch_id, start.next_row) == (0, 0)


def test_it_advances_by_the_next_batch_and_takes_all_steps_along():
    frontier = Frontier.at_start(["a", "b"]).advance(batch_id=0, start_row=0, end_row=9)
    frontier = frontier.advance(batch_id=1, start_row=10, end_row=14)
    assert frontier == Frontier(1, 14, 15, {"a": 1, "b": 1})
    assert (frontier.next_batch_id, frontier.next_row) == (2, 15)


def test_an_empty_batch_moves_the_batch_and_no_rows():
    frontier = Frontier.at_start(["a"]).advance(batch_id=0, start_row=0, end_row=-1)
    assert frontier == Frontier(0, -1, 0, {"a": 0})


@pytest.mark.parametrize(
    "batch",
    [
        {"batch_id": 2, "start_row": 10, "end_row": 19},
        {"batch_id": 0, "start_row": 10, "end_row": 19},
        {"batch_id": 1, "start_row": 11, "end_row": 19},
        {"batch_id": 1, "start_row": 9, "end_row": 19},
        {"batch_id": 1, "start_row": 10, "end_row": 8},
    ],
    ids=["a batch left out", "a batch again", "rows left out", "rows again", "ends before it starts"],
)
def test_it_refuses_any_other_batch(batch):
    frontier = Frontier.at_start(["a"]).advance(batch_id=0, start_row=0, end_row=9)
    with pytest.raises(RowsNotContiguous):
        frontier.advance(**batch)


@given(st.lists(st.integers(0, 1000), max_size=20))
def test_whatever_the_sizes_the_rows_add_up(sizes):
    frontier = Frontier.at_start(["a"])
    for batch_id, size in enumerate(sizes):
        frontier = frontier.advance(
            batch_id=batch_id, start_row=frontier.next_row, end_row=frontier.next_row + size - 1
        )
    assert frontier.next_batch_id == len(sizes)
    assert frontier.total_rows_processed == frontier.next_row == sum(sizes)


def test_names_in_other_scripts_come_back(tmp_path):
    frontier = Frontier(0, 9, 10, {"größe": 0, "速度": 0, 'quo"te\n': 0})
    frontier.save(tmp_path / "f.json")
    assert Frontier.load(tmp_path / "f.json") == frontier


def test_saving_replaces_what_was_there_and_leaves_nothing_else(tmp_path):
    Frontier(5, 59, 60, {"a": 5}).save(tmp_path / "f.json")
    Frontier(6, 69, 70, {"a": 6}).save(tmp_path / "f.json")
    assert Frontier.load(tmp_path / "f.json").last_completed_batch_id == 6
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]


def test_the_file_is_for_its_owner_alone(tmp_path):
    Frontier().save(tmp_path / "f.json")
    assert stat.S_IMODE((tmp_path / "f.json").stat().st_mode) == 0o600


GOOD = {"last_completed_batch_id": 1, "last_completed_row": 9, "total_rows_processed": 10, "step_states": {"a": 1}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        json.dumps({key: value for key, value in GOOD.items() if key != "step_states"}),
        json.dumps(GOOD | {"last_completed_batch_id": None}),
        json.dumps(GOOD | {"last_completed_row": "nine"}),
        json.dumps(GOOD | {"step_states": ["a"]}),
        json.dumps(GOOD | {"step_states": {"a": "x"}}),
        "\ufeff" + json.dumps(GOOD),
    ],
)
def test_what_is_no_frontier_is_refused(tmp_path, content):
    path = tmp_path / "f.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FrontierUnreadable) as caught:
        Frontier.load(path)
    assert caught.value.path == path
    assert path.read_text(encoding="utf-8") == content


def test_binary_is_refused(tmp_path):
    (tmp_path / "f.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FrontierUnreadable):
        Frontier.load(tmp_path / "f.json")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FrontierUnreadable, match="FileNotFoundError"):
        Frontier.load(tmp_path / "none.json")
