"""What a sweep may delete: only files with the exact names that this software gives. Near misses are a user's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.checkpoint import temporary
from engine.checkpoint.layout import Layout
from engine.checkpoint.store import CheckpointStore
from engine.storage import durable

HEX = "0123456789abcdef"

OURS = [
    f".checkpoint-{HEX}.tmp",
    f".checkpoint-{HEX}.tmp.wal",
    f".guard-{HEX}.tmp",
    f".checkpoint.duckdb-{HEX}.tmp",
    f".checkpoint.duckdb.wal-{HEX}.tmp",
    f".frontier.json-{HEX}.tmp",
    f".checkpoint.location.json-{HEX}.tmp",
]
OURS_IN_RESULTS = [f".part-000000000003-{HEX}.tmp"]
OURS_IN_QUARANTINE = [f"batch-000000000001-{HEX}-0.parquet"]

NEAR = [
    ".checkpoint-backup.tmp",
    ".guard.tmp.d",
    ".guard.tmp",
    ".frontier.json.tmpl",
    ".checkpoints.tmp_notes",
    f".guard-{HEX}.tmp.wal",
    f".checkpoint-{HEX}.tmp~",
    f".checkpoint-{HEX}.tmp.wal.gz",
    f".checkpoint-{HEX}.TMP",
    f".checkpoint-{HEX.upper()}.tmp",
    f".checkpoint-{HEX[:-1]}.tmp",
    f".checkpoint-{HEX}0.tmp",
    f".checkpoint-{HEX}.tmp\n",
    f"checkpoint-{HEX}.tmp",
    f".guard.d-{HEX}.tmp",
    f".frontier.json.{HEX[:8]}.tmp",
    f".checkpoint-{'٣' * 16}.tmp",
    "checkpoint.guard.old",
    "checkpoint.duckdb.bak",
]
NEAR_IN_RESULTS = [
    f".part-00000000003-{HEX}.tmp",
    f".part-0000000000003-{HEX}.tmp",
    f".part-٣٣٣٣٣٣٣٣٣٣٣٣-{HEX}.tmp",
    ".part-000000000003-ab.tmp",
    f".part-000000000003-{HEX}.tmp.bak",
    "part-0000000000003.parquet",
    "part-00000000000٣.parquet",
    "part-000000000003.parquet.gz",
    "part-000000000003.parquet\n",
]
NEAR_IN_QUARANTINE = [
    f"batch-000000000001-{HEX}.parquet",
    "batch-000000000001-ab-0.parquet",
    f"batch-0000000000001-{HEX}-0.parquet",
    f"batch-000000000001-{HEX}-00.parquet",
    f"batch-000000000001-{HEX}-0.csv",
]


def fill(folder, names, *, as_folders):
    folder.mkdir(exist_ok=True)
    for name in names:
        path = folder / name
        if as_folders:
            path.mkdir()
            path = path / "letter.txt"
        path.write_text("mine")


def names_in(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("as_folders", [False, True])
def test_what_only_looks_like_ours_survives_an_opening_and_a_commit(committed, written, as_folders):
    fill(committed, NEAR, as_folders=as_folders)
    fill(committed / "results", NEAR_IN_RESULTS, as_folders=as_folders)
    fill(committed / "quarantine", NEAR_IN_QUARANTINE, as_folders=as_folders)
    with CheckpointStore(committed) as store:
        assert (store.next_batch_id, store.notices) == (3, [])
        store.commit([written(store, 3)])
        store.compact()
        store.discard_uncommitted()
        store.rewind(1)
    assert names_in(committed) >= set(NEAR)
    assert names_in(committed / "results") >= set(NEAR_IN_RESULTS)
    assert names_in(committed / "quarantine") == set(NEAR_IN_QUARANTINE)
    if as_folders:
        assert all((committed / name / "letter.txt").read_text() == "mine" for name in NEAR)


def test_what_is_exactly_ours_is_swept(committed):
    before = names_in(committed)
    fill(committed, OURS, as_folders=False)
    fill(committed / "results", OURS_IN_RESULTS, as_folders=False)
    fill(committed / "quarantine", OURS_IN_QUARANTINE, as_folders=False)
    with CheckpointStore(committed):
        pass
    assert names_in(committed) == before | {"quarantine"}
    assert len(names_in(committed / "results")) == 3
    assert not names_in(committed / "quarantine")


def test_a_folder_of_ours_is_deleted_with_our_files_and_kept_with_others(tmp_path):
    for letters in (0, 1):
        folder = temporary.new_catalog(tmp_path)
        inside = Layout(folder)
        inside.guard.mkdir(parents=True)
        for path in (inside.catalog, inside.wal, inside.guard / "checkpoint.duckdb", temporary.new_catalog(folder)):
            path.write_bytes(b"left")
        if letters:
            (inside.guard / "letter.txt").write_text("mine")
        temporary.sweep(tmp_path)
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["letter.txt"] * letters


def test_a_link_with_a_name_of_ours_is_deleted_and_its_target_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "checkpoint.duckdb").write_text("mine")
    folder = tmp_path / "ck"
    folder.mkdir()
    (folder / OURS[0]).symlink_to(tmp_path / "mine")
    (folder / OURS[2]).symlink_to(tmp_path / "nowhere")
    temporary.sweep(folder)
    assert not names_in(folder)
    assert (tmp_path / "mine" / "checkpoint.duckdb").read_text() == "mine"


@given(
    name=st.sampled_from(OURS),
    at=st.integers(0, 60),
    character=st.characters(exclude_characters="0123456789abcdef", exclude_categories=["Cs"]),
    instead=st.booleans(),
)
def test_one_other_character_makes_it_a_name_of_the_users(name, at, character, instead):
    at = min(at, len(name) - instead)
    changed = name[:at] + character + name[at + instead :]
    assert changed == name or not temporary.is_temporary(changed)


def test_every_temporary_name_that_is_given_is_recognised(tmp_path):
    layout = Layout(tmp_path)
    made = [temporary.new_catalog(tmp_path), temporary.new_guard(tmp_path)]
    replaced = (layout.catalog, layout.wal, layout.frontier_file, layout.location)
    made += [durable.temporary(path) for path in replaced]
    assert all(temporary.is_temporary(path.name) for path in made)
    assert {path.parent for path in made} == {tmp_path}
