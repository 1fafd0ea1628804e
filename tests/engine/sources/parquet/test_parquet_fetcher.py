from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import ParquetFetcher
from engine.errors import SourceChanged, SourceError, SourceNotFound, UsageError
from engine.sources.base import Position
from engine.sources.parquet.files import ColumnFiles


def numbers(start, stop):
    return pl.DataFrame({"n": range(start, stop), "text": [f"row {n}" for n in range(start, stop)]})


def opened(source, position=None, **options):
    fetcher = ParquetFetcher(source, **options)
    fetcher.open(position or Position())
    return fetcher


def cursor_at(fetcher, next_row):
    return fetcher.cursor_after(fetcher(0, next_row))


@pytest.fixture
def decoded(monkeypatch):
    """First and last row of each decoding, in the order in which they began."""
    seen = []
    decode = ColumnFiles.decode

    def spy(self, group):
        seen.append((group.start, group.stop - 1))
        return decode(self, group)

    monkeypatch.setattr(ColumnFiles, "decode", spy)
    return seen


@pytest.mark.parametrize("size", [1, 3, 4, 7])
def test_each_row_is_decoded_once_whatever_the_batch_size(tmp_path, decoded, size):
    numbers(0, 20).write_parquet(tmp_path / "n.parquet", row_group_size=4)
    fetcher = opened(tmp_path / "n.parquet")
    for batch_id in range(20):
        fetcher(batch_id, size)
    assert decoded == [(0, 3), (4, 7), (8, 11), (12, 15), (16, 19)]


def test_each_row_is_decoded_once_by_four_threads(tmp_path, decoded):
    numbers(0, 200).write_parquet(tmp_path / "n.parquet", row_group_size=10)
    fetcher = opened(tmp_path / "n.parquet")
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda batch_id: fetcher(batch_id, 3), range(67)))
    assert_frame_equal(pl.concat([batch.data for batch in batches]), numbers(0, 200))
    assert sorted(decoded) == [(start, start + 9) for start in range(0, 200, 10)]


def wide(rows):
    return pl.DataFrame({"n": range(rows), "text": [f"{n:01000}" for n in range(rows)]})


def all_batches(fetcher, batch_size):
    ids = count(fetcher.position.next_batch_id)
    return list(iter(lambda: fetcher(next(ids), batch_size), None))


@pytest.mark.parametrize("row_group", [1, 7, 50, 400])
@pytest.mark.parametrize(("batch_size", "most_rows"), [(1_000, 20), (12, 12), (3, 3)])
def test_wide_rows_give_batches_within_the_bound_in_bytes(tmp_path, row_group, batch_size, most_rows):
    wide(400).write_parquet(tmp_path / "n.parquet", row_group_size=row_group, compression="uncompressed")
    batches = all_batches(opened(tmp_path / "n.parquet", Position(batch_bytes=21_000)), batch_size)
    assert_frame_equal(pl.concat([batch.data for batch in batches]), wide(400))
    assert max(batch.size for batch in batches) <= most_rows
    assert [batch.start_row for batch in batches[1:]] == [batch.end_row + 1 for batch in batches[:-1]]


def test_a_resume_with_another_bound_continues_at_the_same_row(tmp_path):
    wide(400).write_parquet(tmp_path / "n.parquet", row_group_size=150)
    for next_row in [0, 1, 13, 149, 150, 399]:
        cursor = {"next_row": next_row}
        for batch_bytes in [None, 1, 4_000, 50_000]:
            fetcher = opened(tmp_path / "n.parquet", Position(5, next_row, cursor, batch_bytes))
            assert_frame_equal(pl.concat([batch.data for batch in all_batches(fetcher, 90)]), wide(400)[next_row:])


def test_of_a_huge_row_group_only_pieces_are_decoded(tmp_path, decoded):
    rows = 30_000_000
    tiny = pl.select(n=pl.repeat(7, rows, dtype=pl.Int64))
    tiny.write_parquet(tmp_path / "n.parquet", row_group_size=rows, statistics=False)
    fetcher = opened(tmp_path / "n.parquet")
    assert len(fetcher._files.groups) == 4
    assert fetcher(2_000, 10_000).data["n"].to_list() == [7] * 10_000
    [(first, last)] = decoded
    assert (last - first + 1) * 8 <= 64 << 20


def test_columns_that_are_not_read_take_no_memory(tmp_path):
    wide(400).write_parquet(tmp_path / "n.parquet")
    fetcher = opened(tmp_path / "n.parquet", Position(batch_bytes=21_000), columns=["n"])
    assert [batch.size for batch in all_batches(fetcher, 1_000)] == [400]


def test_row_groups_that_lie_in_one_batch_are_decoded_together(tmp_path, decoded):
    numbers(0, 20).write_parquet(tmp_path / "n.parquet", row_group_size=4)
    assert opened(tmp_path / "n.parquet")(0, 18).data["n"].to_list() == list(range(18))
    assert decoded == [(0, 15), (16, 19)]


def test_a_resume_decodes_nothing_before_its_row_group(tmp_path, decoded):
    numbers(0, 20).write_parquet(tmp_path / "n.parquet", row_group_size=4)
    fetcher = opened(tmp_path / "n.parquet", Position(3, 9, {"next_row": 9}))
    assert fetcher(3, 3).data["n"].to_list() == [9, 10, 11]
    assert fetcher(4, 3).data["n"].to_list() == [12, 13, 14]
    assert decoded == [(8, 11), (12, 15)]


def test_only_the_named_columns_are_read_in_that_order(tmp_path):
    numbers(0, 3).with_columns(x=pl.lit(1)).write_parquet(tmp_path / "n.parquet")
    fetcher = opened(tmp_path / "n.parquet", columns=["x", "n"])
    assert fetcher(0, 10).data.to_dict(as_series=False) == {"x": [1, 1, 1], "n": [0, 1, 2]}


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path):
    numbers(0, 3).write_parquet(tmp_path / "n.parquet")
    with pytest.raises(UsageError, match="has no column 'm'") as caught:
        opened(tmp_path / "n.parquet", columns=["m"])
    assert caught.value.hint == "Its columns are n, text."


@pytest.mark.parametrize("columns", [[], ["n", "n"]])
def test_columns_that_say_nothing_or_something_twice_are_refused(columns):
    with pytest.raises(UsageError, match="at least one column, each once"):
        ParquetFetcher("n.parquet", columns=columns)


@pytest.mark.parametrize(
    "name",
    ["a b.parquet", "it's.parquet", 'say "hi".parquet', "x[1].parquet", "y*.parquet", "z?.parquet", "$1;--.parquet"],
)
def test_a_file_name_is_read_literally_beside_others_that_it_would_match(tmp_path, name):
    for other in ["x1.parquet", "yy.parquet", "zz.parquet"]:
        numbers(0, 9).write_parquet(tmp_path / other)
    numbers(40, 42).write_parquet(tmp_path / name)
    fetcher = opened(tmp_path / name)
    assert fetcher.size().rows == 2
    assert fetcher(0, 10).data["n"].to_list() == [40, 41]


def test_a_folder_name_is_read_literally_too(tmp_path):
    for folder, first in [("k[ab]", 40), ("ka", 0), ("year=2024", 7)]:
        (tmp_path / folder).mkdir()
        numbers(first, first + 2).write_parquet(tmp_path / folder / "n.parquet")
    assert opened(tmp_path / "k[ab]")(0, 9).data["n"].to_list() == [40, 41]
    assert opened(tmp_path / "year=2024")(0, 9).data.columns == ["n", "text"]


def test_files_with_the_columns_in_another_order_agree(tmp_path):
    numbers(0, 2).write_parquet(tmp_path / "a.parquet")
    numbers(2, 4).select("text", "n").write_parquet(tmp_path / "b.parquet")
    assert_frame_equal(opened(tmp_path)(0, 10).data, numbers(0, 4))


def test_files_that_disagree_are_refused_by_file_and_column(tmp_path):
    numbers(0, 2).write_parquet(tmp_path / "a.parquet")
    odd = numbers(2, 4).with_columns(pl.col("n").cast(pl.Int8), more=pl.lit(1)).drop("text")
    odd.write_parquet(tmp_path / "b.parquet")
    with pytest.raises(SourceError) as caught:
        opened(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/b.parquet doesn't match {tmp_path}/a.parquet: it has no column 'text'; "
        "column 'n' as Int8, not Int64; another column 'more'"
    )


def test_files_may_disagree_in_columns_that_are_not_read(tmp_path):
    numbers(0, 2).write_parquet(tmp_path / "a.parquet")
    numbers(2, 4).drop("text").with_columns(more=pl.lit(1)).write_parquet(tmp_path / "b.parquet")
    assert opened(tmp_path, columns=["n"])(0, 10).data["n"].to_list() == [0, 1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all, but long enough to look into it"])
def test_a_file_that_is_no_parquet_is_named(tmp_path, content):
    numbers(0, 2).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot read .*/b\.parquet as Parquet"):
        opened(tmp_path)


def test_a_file_that_gets_damaged_while_it_is_read_is_named(tmp_path):
    path = tmp_path / "n.parquet"
    numbers(0, 1000).write_parquet(path, row_group_size=100, compression="uncompressed")
    fetcher = opened(path)
    fetcher(0, 50)
    path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(SourceError, match=r"n\.parquet"):
        fetcher(15, 50)


def test_a_source_without_any_row_ends_at_once(tmp_path):
    numbers(0, 0).write_parquet(tmp_path / "n.parquet")
    fetcher = opened(tmp_path)
    assert fetcher.size().rows == 0
    assert fetcher(0, 10) is None


def test_a_source_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(SourceNotFound):
        opened(tmp_path)


def test_the_cursor_of_one_named_file_is_the_row_and_its_version(tmp_path):
    numbers(0, 5).write_parquet(tmp_path / "n.parquet")
    cursor = cursor_at(opened(tmp_path / "n.parquet"), 3)
    assert cursor.keys() == {"next_row", "before", "seen"}
    assert (cursor["next_row"], cursor["before"]) == (3, "")


def test_the_cursor_of_a_folder_says_where_the_last_row_was(tmp_path):
    numbers(0, 5).write_parquet(tmp_path / "a.parquet")
    numbers(5, 9).write_parquet(tmp_path / "b.parquet")
    first, second = (cursor_at(opened(tmp_path), row) for row in (5, 6))
    assert first == first | {"next_row": 5, "file": 0, "name": "a.parquet", "row": 5}
    assert second == second | {"next_row": 6, "file": 1, "name": "b.parquet", "row": 1}


@pytest.fixture
def folder_and_cursor(tmp_path):
    numbers(0, 5).write_parquet(tmp_path / "b.parquet")
    numbers(5, 9).write_parquet(tmp_path / "c.parquet")
    return tmp_path, cursor_at(opened(tmp_path), 7)


def test_a_file_that_comes_later_is_read_after_the_cursor(folder_and_cursor):
    folder, cursor = folder_and_cursor
    numbers(9, 11).write_parquet(folder / "d.parquet")
    assert opened(folder, Position(1, 7, cursor))(1, 10).data["n"].to_list() == [7, 8, 9, 10]


def test_a_file_that_comes_before_the_cursor_is_noticed(folder_and_cursor):
    folder, cursor = folder_and_cursor
    numbers(90, 99).write_parquet(folder / "a.parquet")
    with pytest.raises(
        SourceChanged, match=r"c\.parquet, .* was file 2 of the source and is now file 3: files were added before it"
    ):
        opened(folder, Position(1, 7, cursor))


def test_a_file_before_the_cursor_that_has_grown_is_noticed(folder_and_cursor):
    folder, cursor = folder_and_cursor
    numbers(0, 6).write_parquet(folder / "b.parquet")
    with pytest.raises(SourceChanged, match=r"a file before .*c\.parquet was replaced"):
        opened(folder, Position(1, 7, cursor))
    of_an_older_version = {key: value for key, value in cursor.items() if key not in {"before", "seen"}}
    with pytest.raises(SourceChanged, match=r"ended at row 2 of c\.parquet, but now they end in another place"):
        opened(folder, Position(1, 7, of_an_older_version))


def test_a_file_that_is_gone_is_noticed(folder_and_cursor):
    folder, cursor = folder_and_cursor
    numbers(0, 50).write_parquet(folder / "b.parquet")
    (folder / "c.parquet").unlink()
    with pytest.raises(SourceChanged, match=r"c\.parquet, which has the last committed row, is no longer a file"):
        opened(folder, Position(1, 7, cursor))


REPLACED = {
    "more rows": numbers(5, 12),
    "as many rows with other values": numbers(50, 54),
    "as many rows, of which the committed ones are the same": numbers(5, 8).vstack(numbers(9, 10)),
    "fewer rows": numbers(5, 7),
}


@pytest.mark.parametrize("what", REPLACED)
@pytest.mark.parametrize("single", [False, True])
def test_a_file_that_was_replaced_between_two_runs_is_noticed(tmp_path, what, single):
    numbers(5, 9).write_parquet(tmp_path / "c.parquet")
    if not single:
        numbers(0, 5).write_parquet(tmp_path / "b.parquet")
    source = tmp_path / "c.parquet" if single else tmp_path
    rows = 2 if single else 7
    cursor = cursor_at(opened(source), rows)
    REPLACED[what].write_parquet(tmp_path / "c.parquet")
    with pytest.raises(SourceChanged, match=r"c\.parquet isn't the file any more whose rows are committed") as caught:
        opened(source, Position(1, rows, cursor))
    assert "accept" in caught.value.hint
    accepted = opened(source, Position(1, rows, cursor, accept_changes=True))
    assert [row for batch in all_batches(accepted, 9) for row in batch.data["n"]] == REPLACED[what]["n"][2:].to_list()


def test_a_file_that_was_only_copied_or_touched_is_the_same(folder_and_cursor):
    folder, cursor = folder_and_cursor
    content = (folder / "c.parquet").read_bytes()
    (folder / "c.parquet").unlink()
    (folder / "c.parquet").write_bytes(content)
    assert opened(folder, Position(1, 7, cursor))(1, 10).data["n"].to_list() == [7, 8]


@pytest.mark.parametrize("how", ["replaced", "written in place", "gone", "cut"])
def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path, how):
    path = tmp_path / "n.parquet"
    numbers(0, 40).write_parquet(path, row_group_size=10)
    fetcher = opened(path)
    fetcher(0, 10)
    numbers(100, 140).write_parquet(tmp_path / "other", row_group_size=10)
    match how:
        case "replaced":
            (tmp_path / "other").replace(path)
        case "written in place":
            path.write_bytes((tmp_path / "other").read_bytes())
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SourceChanged, match="was changed or replaced while it was read"):
        fetcher(1, 10)


def test_nested_columns_and_nulls_come_through(tmp_path):
    frame = pl.DataFrame({"list": [[1, 2], None, []], "struct": [{"a": 1}, {"a": None}, {"a": 3}]})
    frame.write_parquet(tmp_path / "n.parquet", row_group_size=2)
    fetcher = opened(tmp_path)
    assert_frame_equal(pl.concat([fetcher(batch_id, 1).data for batch_id in range(3)]), frame)


def test_identity_holds_the_source_as_given_and_the_columns():
    assert ParquetFetcher("data/*.parquet", columns=("n",)).identity() == {
        "kind": "parquet",
        "source": "data/*.parquet",
        "columns": ["n"],
    }
