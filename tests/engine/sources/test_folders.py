"""No file that belongs to a source is left out without a word."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from engine import BatchPipeline, CsvFetcher
from engine.errors import SourceError, SourceNotFound
from engine.events import Warned
from engine.sources.files import find_files
from engine.testing import EventLog

CSV = (".csv", ".csv.gz")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(source, suffixes=CSV, **options):
    files = find_files(source, suffixes, folder=Path.cwd(), **options)
    return [path.name for path in files.paths], " ".join(files.left_out)


@pytest.mark.parametrize(
    ("names", "read", "said"),
    [
        (["a.csv.gz", "b.csv"], ["a.csv.gz", "b.csv"], ""),
        (["a.csv.gz", "b.csv.gz"], ["a.csv.gz", "b.csv.gz"], ""),
        (["A.CSV.GZ", "b.Csv"], ["A.CSV.GZ", "b.Csv"], ""),
        (["a.csv", ".b.csv", "README.md", "_SUCCESS"], ["a.csv"], ""),
        (["a.csv", "b.tsv"], ["a.csv"], "1 file is left out in {data}: b.tsv."),
        (["a.csv", "b.csv.bz2", "c.csv.part"], ["a.csv"], "2 files are left out in {data}: b.csv.bz2, …."),
        (["a.csv", "old/b.csv"], ["a.csv"], "1 file is left out in {data}: old/b.csv. Subfolders are not searched"),
        (["a.csv", "old/deep/b.csv.gz", "old/c.txt"], ["a.csv"], "old/deep/b.csv.gz."),
        (["a.csv", ".git/b.csv"], ["a.csv"], ""),
    ],
)
def test_a_folder_says_which_files_it_leaves_out(folder, names, read, said):
    touch(folder, *names)
    files, sentences = found("data")
    assert files == read
    assert said.format(data=folder) in sentences
    assert bool(said) == bool(sentences)


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["old/b.csv"], "Subfolders are not searched, but have such files: name {data}/old, or use ** in a glob."),
        (["year=2024/b.csv"], "The values in names such as year=2024 don't become columns then."),
        (["a.tsv"], "It has a.tsv: "),
        (["a.csv.zst"], "It has a.csv.zst: "),
        ([".a.csv"], "Hidden files and subfolders are not read."),
        ([], "Check the name of the folder."),
    ],
)
def test_a_folder_without_files_says_where_they_may_be(folder, names, hint):
    touch(folder, *names)
    with pytest.raises(SourceNotFound, match=r"data has no \*\.csv or \*\.csv\.gz files") as caught:
        found("data")
    assert hint.format(data=folder) in caught.value.hint


@pytest.mark.parametrize("source", ["data", "data/*.csv", "data/a.csv", ["data/b.csv", "data/a.csv"]])
def test_a_link_to_nowhere_is_an_error_that_names_both_ends(folder, source):
    touch(folder, "b.csv")
    (folder / "a.csv").symlink_to("gone.csv")
    with pytest.raises(SourceNotFound, match=r"data/a\.csv is a link to gone\.csv, which doesn't exist") as caught:
        found(source)
    assert caught.value.hint


def test_a_link_to_a_file_is_read(folder):
    touch(folder, "b.csv")
    (folder / "a.csv").symlink_to("b.csv")
    assert found("data") == (["a.csv", "b.csv"], "")


def test_a_file_beside_its_compressed_copy_is_refused(folder):
    touch(folder, "a.csv", "a.csv.gz", "b.csv")
    with pytest.raises(SourceError, match=r"data/a\.csv is there twice, plain and as a\.csv\.gz") as caught:
        found("data")
    assert "in a list" in caught.value.hint
    assert found(["data/a.csv", "data/a.csv.gz"])[0] == ["a.csv", "a.csv.gz"]


def test_a_glob_that_matches_a_folder_says_so(folder):
    touch(folder, "a.csv", "old/b.csv")
    files, said = found("data/*")
    assert files == ["a.csv"]
    assert "1 file is left out in" in said
    assert found("data/**/*")[0] == ["a.csv", "b.csv"]
    assert found("data/**")[1] == ""


def test_what_is_neither_file_nor_folder_is_named(folder):
    touch(folder, "a.csv")
    os.mkfifo(folder / "b.csv")
    assert "b.csv" in found("data")[1]


def test_folders_named_by_a_key_are_searched_if_asked(folder):
    touch(folder, "year=2024/month=1/x.parquet", "year=2025/y.parquet", "old/z.parquet")
    files, said = found("data", ".parquet", hive=True)
    assert files == ["x.parquet", "y.parquet"]
    assert "old/z.parquet" in said
    assert "year" not in said


def test_a_run_warns_of_files_that_are_left_out_and_reads_packed_files_beside_plain_ones(folder, tmp_path):
    (folder / "a.csv.gz").write_bytes(gzip.compress(b"n\n1\n2\n"))
    (folder / "b.csv").write_text("n\n3\n")
    (folder / "c.tsv").touch()
    log = EventLog()
    pipeline = BatchPipeline([], CsvFetcher("data"), 10, tmp_path / "ck", listeners=[log])
    pipeline.run()
    assert pipeline.collect_results()["n"].to_list() == [1, 2, 3]
    assert ["c.tsv" in event.message for event in log.of(Warned)] == [True]
