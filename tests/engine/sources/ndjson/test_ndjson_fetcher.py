from __future__ import annotations

import gzip
from datetime import date

import polars as pl
import pytest

from engine import NdjsonFetcher
from engine.errors import SourceChanged, SourceError, SourceNotFound, UsageError
from engine.sources.base import Position
from engine.sources.text import blocks


@pytest.fixture
def write(tmp_path):
    def write(content, name="rows.ndjson"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def opened(source, position=None, **options):
    fetcher = NdjsonFetcher(source, **options)
    fetcher.open(position or Position())
    return fetcher


def rows(source, **options):
    batch = opened(source, **options)(0, 1000)
    return None if batch is None else batch.data.rows()


@pytest.mark.parametrize(
    "content",
    [
        '{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n',
        '{"a":1,"b":"x"}\n{"a":2,"b":"y"}',
        '{"a": 1, "b": "x"}\r\n\r\n{"b": "y", "a": 2}\r\n',
        '\ufeff{"a":1,"b":"x"}\n\n   \n{"a":2,"b":"y"}\n\n',
        gzip.compress(b'{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n'),
    ],
    ids=["plain", "no last line end", "CRLF", "BOM and blank lines", "gzip"],
)
def test_the_usual_ways_of_writing_give_the_same_rows(write, content):
    path = write(content)
    assert rows(path) == [(1, "x"), (2, "y")]
    assert opened(path, Position(1, 1, {"next_row": 1}))(1, 9).data.rows() == [(2, "y")]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["1", "null"], pl.Int64),
        (["1", "1.5"], pl.Float64),
        (["1", "9223372036854775808"], pl.Int128),
        (["true", "false"], pl.Boolean),
        (['"x"', '"2026-01-31"'], pl.String),
        (["1", '"x"'], pl.String),
        (["true", "1"], pl.String),
        (["1", "[1]"], pl.String),
        (["null", "null"], pl.String),
        (["{}", "null"], pl.String),
        (["[]", "[1]"], pl.List(pl.Int64)),
        (["[]", "[null]"], pl.List(pl.String)),
        (["[1]", '["x"]'], pl.List(pl.String)),
        (['{"x":1}', '{"y":[true]}'], pl.Struct({"x": pl.Int64, "y": pl.List(pl.Boolean)})),
        (['[{"x":1}]', '[{"x":1.5}]'], pl.List(pl.Struct({"x": pl.Float64}))),
    ],
)
def test_a_key_gets_the_dtype_that_its_values_have_in_common(write, values, dtype):
    batch = opened(write("".join(f'{{"a":{value}}}\n' for value in values)))(0, 10)
    assert (batch.data.schema, batch.unreadable) == ({"a": dtype}, ())


def test_keys_become_columns_in_the_order_in_which_they_come(tmp_path, write):
    write('{"b":1}\n{"a":"x","b":2}\n', "1.ndjson")
    write('{"c":true}\n', "2.ndjson")
    assert opened(tmp_path)(0, 9).data.rows(named=True) == [
        {"b": 1, "a": None, "c": None},
        {"b": 2, "a": "x", "c": None},
        {"b": None, "a": None, "c": True},
    ]


def test_dtypes_replace_what_was_found_and_add_keys_that_come_later(write):
    path = write('{"a":"2026-01-31"}\n{"a":null}\n{"a":"2026-02-01","z":1}\n')
    batch = opened(path, infer_rows=1, dtypes={"a": pl.Date, "z": pl.Int8})(0, 9)
    assert batch.data.rows() == [(date(2026, 1, 31), None), (None, None), (date(2026, 2, 1), 1)]


def test_a_key_that_comes_later_is_never_left_out_in_silence(write):
    path = write('{"a":1}\n{"a":2,"z":1}\n{"a":3}\n')
    batch = opened(path, infer_rows=1)(0, 9)
    assert batch.data.rows() == [(1,), (3,)]
    (bad,) = batch.unreadable
    assert (bad.row, bad.line, bad.byte, bad.text) == (1, 2, 8, '{"a":2,"z":1}')
    assert "'z' has no column" in bad.reason
    assert "columns=[…]" in bad.hint
    assert rows(path, infer_rows=1, columns=["a"]) == [(1,), (2,), (3,)]


def test_chosen_columns_come_in_their_order(write):
    path = write('{"a":1,"b":2,"c":3}\n')
    assert opened(path, columns=["c", "a"])(0, 9).data.rows(named=True) == [{"c": 3, "a": 1}]
    with pytest.raises(UsageError, match="columns names 'x'"):
        opened(path, columns=["x"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"infer_rows": -1}, "infer_rows"),
        ({"infer_rows": 0}, "infer_rows"),
        ({"columns": []}, "columns"),
        ({"columns": ["a", "a"]}, "columns"),
    ],
)
def test_options_that_cannot_be_right_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        NdjsonFetcher("x.ndjson", **options)


@pytest.mark.parametrize("dtype", [pl.Duration("us"), pl.Binary, "x", pl.List(pl.Date), pl.Struct({"x": pl.Int8})])
def test_a_dtype_that_json_cannot_be_read_as_is_refused(write, dtype):
    with pytest.raises(UsageError, match="dtypes, column 'a'"):
        opened(write('{"a":1}\n'), dtypes={"a": dtype})


def test_a_file_that_is_no_ndjson_is_an_error_and_no_source_without_rows(write):
    path = write("id,name\n1,x\n")
    with pytest.raises(SourceError, match=r"none of the first lines can be read as JSON: .*rows.ndjson, line 1"):
        opened(path)
    with pytest.raises(SourceError, match="have no keys"):
        opened(write("{}\n"))


def test_a_source_without_rows_ends_at_once(tmp_path, write):
    assert rows(write("\n\n")) is None
    with pytest.raises(SourceNotFound):
        opened(tmp_path / "nothing.ndjson")


def test_a_line_that_never_ends_is_an_error(write, monkeypatch):
    monkeypatch.setattr(blocks, "LONGEST_ROW_BYTES", 1000)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 100)
    path = write('{"a":1}\n{"a":"' + "x" * 5000)
    with pytest.raises(SourceError, match=r"line 2 of .*doesn't end within 1,000 bytes"):
        opened(path)
    fetcher = opened(path, infer_rows=1)
    assert fetcher(0, 1).size == 1
    with pytest.raises(SourceError, match=r"line 2 of .*doesn't end within 1,000 bytes"):
        fetcher(1, 1)


def test_a_row_is_read_again_from_its_text_or_from_its_line(write):
    path = write('{"a":1}\n{"a":"x"\n{"a":3}\n')
    fetcher = opened(path, dtypes={"a": pl.Int64})
    (bad,) = fetcher(0, 10).unreadable
    assert fetcher.read_row(bad, '{"a":2}').rows() == [(2,)]
    with pytest.raises(SourceError, match="isn't JSON"):
        fetcher.read_row(bad)
    with pytest.raises(SourceError, match="2 rows, not one"):
        fetcher.read_row(bad, '{"a":2}\n{"a":3}')
    path.write_text('{"a":100}\n{"a":2}\n')
    assert fetcher.read_row(bad).rows() == [(2,)]
    path.write_text("")
    with pytest.raises(SourceError, match="has no row at line 2 now"):
        fetcher.read_row(bad)


def test_files_with_fewer_rows_than_are_committed_are_refused(write):
    path = write('{"a":1}\n{"a":2}\n')
    with pytest.raises(SourceChanged):
        opened(path, Position(1, 3, None))


def test_the_size_is_estimated_from_the_bytes(write):
    assert opened(write('{"a":1}\n' * 50)).size().rows == 50
    assert opened(write(gzip.compress(b'{"a":1}\n'))).size() is None
