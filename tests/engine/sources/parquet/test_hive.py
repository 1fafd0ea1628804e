from __future__ import annotations

from itertools import count

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import ParquetFetcher
from engine.errors import SourceError, SourceNotFound, UsageError
from engine.sources.base import Position


def written(folder, *partitions, columns=("n",)):
    for number, partition in enumerate(partitions):
        (folder / partition).mkdir(parents=True)
        pl.DataFrame({name: [10 * number, 10 * number + 1] for name in columns}).write_parquet(
            folder / partition / "x.parquet"
        )
    return folder


def rows(source, **options):
    fetcher = ParquetFetcher(source, **options)
    fetcher.open(Position())
    ids = count()
    return pl.concat([batch.data for batch in iter(lambda: fetcher(next(ids), 3), None)])


VALUES = [
    ["1", "2"],
    ["01", "02"],
    ["1", "x"],
    ["1.5", "2"],
    ["true", "false"],
    ["2024-01-01", "2024-02-01"],
    ["2024-01-01 10%3A00%3A00"],
    ["1", "__HIVE_DEFAULT_PARTITION__"],
    ["__HIVE_DEFAULT_PARTITION__"],
    ["a b", "c%2Fd", 'quote"', "comma,"],
    ["99999999999999999999"],
    ["-5", "+5"],
    ["1", "2024-01-01"],
    ["1", ""],
    ["nan", "1e5"],
    ["a%0Ab", "c"],
]


@pytest.mark.parametrize("values", VALUES, ids=" ".join)
def test_the_values_of_folders_are_those_of_polars(tmp_path, values):
    written(tmp_path / "s", *(f"k={value}" for value in values))
    assert_frame_equal(rows(tmp_path / "s"), pl.scan_parquet(tmp_path / "s").collect(), check_row_order=False)


@pytest.mark.parametrize("source", [".", "*/*/*.parquet", "**/*.parquet", "year=*/month=1/x.parquet"])
def test_folder_and_glob_keep_the_columns_of_the_folders_below_them(tmp_path, source):
    folder = written(tmp_path / "other=9" / "data", "year=2024/month=1", "year=2024/month=2", "year=2025/month=1")
    found = rows(folder / source)
    assert found.schema == {"n": pl.Int64, "year": pl.Int64, "month": pl.Int64}
    assert found.filter(month=1)["year"].to_list() == [2024, 2024, 2025, 2025]


def test_columns_of_folders_can_be_chosen_and_ordered_as_others(tmp_path):
    written(tmp_path / "s", "year=2024/month=1", "year=2024/month=2")
    assert rows(tmp_path / "s", columns=["month", "n"]).rows() == [(1, 0), (1, 1), (2, 10), (2, 11)]
    assert rows(tmp_path / "s", columns=["month"]).rows() == [(1,), (1,), (2,), (2,)]


def test_a_column_that_is_in_the_file_too_gets_the_value_of_the_folder_in_its_place(tmp_path):
    written(tmp_path / "s", "k=7", columns=["k", "n"])
    assert_frame_equal(rows(tmp_path / "s"), pl.scan_parquet(tmp_path / "s").collect())


def test_hive_false_reads_the_files_as_they_are(tmp_path):
    written(tmp_path / "s", "k=1", "k=2")
    assert rows(tmp_path / "s/*/*.parquet", hive=False).columns == ["n"]
    with pytest.raises(SourceNotFound):
        rows(tmp_path / "s", hive=False)


def test_hive_true_takes_the_folders_above_the_source_too(tmp_path):
    written(tmp_path / "s", "year=2024/month=1")
    assert rows(tmp_path / "s/year=2024/month=1/x.parquet").columns == ["n"]
    assert rows(tmp_path / "s/year=2024", hive=None).columns == ["n", "month"]
    assert rows(tmp_path / "s/year=2024/month=1/x.parquet", hive=True).columns == ["n", "year", "month"]


def test_hive_true_without_such_a_folder_is_refused(tmp_path):
    (tmp_path / "s").mkdir()
    pl.DataFrame({"n": [1]}).write_parquet(tmp_path / "s" / "x.parquet")
    with pytest.raises(UsageError, match=r"no folder of .* is named key=value"):
        rows(tmp_path / "s", hive=True)


@pytest.mark.parametrize("odd", ["year=2025", "year=2025/day=1", "month=1/year=2025", "."])
def test_a_file_in_other_folders_than_the_first_is_named(tmp_path, odd):
    written(tmp_path / "s", "year=2024/month=1", "year=2024/month=2")
    (tmp_path / "s" / odd).mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"n": [1]}).write_parquet(tmp_path / "s" / odd / "y.parquet")
    with pytest.raises(SourceError, match=r"is in folders for the columns .* but"):
        rows(tmp_path / "s")


def test_a_folder_in_a_list_is_searched_from_itself(tmp_path):
    written(tmp_path / "a", "k=1")
    written(tmp_path / "b", "k=2")
    assert rows([tmp_path / "b", tmp_path / "a"])["k"].to_list() == [2, 2, 1, 1]


def test_the_choice_is_part_of_the_identity_only_when_it_is_made():
    assert "hive" not in ParquetFetcher("s").identity()
    assert ParquetFetcher("s", hive=False).identity()["hive"] is False
