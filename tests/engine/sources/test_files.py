from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import SourceNotFound
from engine.sources.files import find_files, source_as_json


@pytest.fixture
def folder(tmp_path):
    for name in ["b.csv", "a.csv", "C.CSV", ".hidden.csv", "notes.txt", "x1.csv", "x[1].csv"]:
        (tmp_path / name).touch()
    (tmp_path / "deep.csv").mkdir()
    (tmp_path / "deep.csv" / "d.csv").touch()
    return tmp_path


def names(source):
    return [path.name for path in find_files(source, ".csv", folder=Path.cwd()).paths]


def test_a_folder_gives_its_files_sorted_without_hidden_ones_and_subfolders(folder):
    assert names(folder) == ["C.CSV", "a.csv", "b.csv", "x1.csv", "x[1].csv"]


def test_a_glob_is_sorted(folder):
    assert names(f"{folder}/[ab].csv") == ["a.csv", "b.csv"]


def test_two_stars_go_into_subfolders(folder):
    assert names(f"{folder}/**/d.csv") == ["d.csv"]


def test_a_name_that_exists_is_taken_literally(folder):
    assert names(f"{folder}/x[1].csv") == ["x[1].csv"]


def test_a_list_keeps_its_order_and_reads_a_file_once(folder):
    assert names([folder / "b.csv", str(folder / "?.csv"), folder / "a.csv"]) == ["b.csv", "a.csv"]


def test_paths_are_absolute(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_files("a.csv", ".csv", folder=Path.cwd()).paths == (folder / "a.csv",)
    assert find_files(Path("*.csv"), ".csv", folder=Path.cwd()).paths[0] == folder / "a.csv"


def test_a_tilde_is_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert find_files("~/a.csv", ".csv", folder=Path.cwd()).paths == (folder / "a.csv",)
    assert find_files("~/[a].csv", ".csv", folder=Path.cwd()).paths == (folder / "a.csv",)


def test_only_a_source_that_names_one_file_is_fixed(folder):
    assert find_files(folder / "a.csv", ".csv", folder=Path.cwd()).fixed
    assert find_files([folder / "a.csv"], ".csv", folder=Path.cwd()).fixed
    assert not find_files(f"{folder}/[a].csv", ".csv", folder=Path.cwd()).fixed
    assert not find_files(folder / "deep.csv", ".csv", folder=Path.cwd()).fixed


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.csv", "{folder}/missing.csv doesn't exist"),
        ("no*.csv", "no file matches {folder}/no*.csv"),
        ("empty", "the folder {folder}/empty has no *.csv files"),
        ("", "the name of the file to read is empty"),
        ([], "the list of files to read is empty"),
        (["a.csv", "missing.csv"], "{folder}/missing.csv doesn't exist"),
        ("x" * 300, "cannot look for"),
        ("bad\0name", "doesn't exist"),
        ("s3://bucket/a.csv", "s3://bucket/a.csv is an address"),
    ],
)
def test_what_is_not_found_is_said_with_its_absolute_path_and_a_hint(folder, monkeypatch, source, message):
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    with pytest.raises(SourceNotFound) as caught:
        find_files(source, ".csv", folder=Path.cwd())
    assert message.format(folder=folder) in str(caught.value)
    assert caught.value.hint


def test_the_source_is_remembered_as_it_was_given():
    assert source_as_json("data/*.csv") == "data/*.csv"
    assert source_as_json(Path("data")) == "data"
    assert source_as_json((Path("data"), "more.csv")) == ["data", "more.csv"]


def test_no_password_is_remembered():
    assert source_as_json("ftp://ann:secret@host/a.csv") == "ftp://ann:***@host/a.csv"
