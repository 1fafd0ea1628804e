from __future__ import annotations

import gzip
import subprocess
import sys
from datetime import date, datetime

import polars as pl
import pytest

from engine import CsvFetcher
from engine.errors import SourceChanged, SourceError, SourceNotFound, UsageError
from engine.sources.base import Position, SourceSize
from engine.sources.text import blocks


@pytest.fixture
def write(tmp_path):
    """Write a file into the test's folder, text as UTF-8 with its line ends as they are; return its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def opened(source, position=None, **options):
    fetcher = CsvFetcher(source, **options)
    fetcher.open(position or Position())
    return fetcher


def place(cursor):
    """Return the part of a cursor that says where to continue, without what was read."""
    return {key: cursor[key] for key in cursor if key not in {"crc", "read"}}


def rows(source, **options):
    batch = opened(source, **options)(0, 1000)
    return None if batch is None else batch.data.rows()


# --- how files are written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,x\n2,y\n",
        "a,b\n1,x\n2,y",
        "a,b\r\n1,x\r\n2,y\r\n",
        "\ufeffa,b\n1,x\n2,y\n",
        "\ufeffa,b\r\n1,x\r\n2,y",
        '"a","b"\n"1","x"\n"2","y"\n',
    ],
    ids=["plain", "no last line end", "CRLF", "BOM", "BOM, CRLF, no last line end", "quoted"],
)
def test_the_usual_ways_of_writing_give_the_same_rows(write, content):
    path = write("n.csv", content)
    assert rows(path) == [(1, "x"), (2, "y")]
    assert opened(path, Position(1, 1, {"next_row": 1}))(1, 9).data.rows() == [(2, "y")]


@pytest.mark.parametrize("content", ["", "\n", "\ufeff", "a,b", "a,b\n"])
def test_a_file_without_rows_ends_at_once(write, content):
    path = write("n.csv", content)
    assert rows(path) is None
    assert opened(path).size() == SourceSize(0, exact=False)


def test_other_separators_quotes_comments_and_commas_in_numbers(write):
    path = write("n.csv", "# made by hand\na;b\n1,5;'x;y'\n# more\n2,5;z\n")
    options = {"separator": ";", "quote_char": "'", "comment_prefix": "#", "decimal_comma": True}
    assert rows(path, **options) == [(1.5, "x;y"), (2.5, "z")]


def test_null_values_for_all_columns_or_for_one(write):
    path = write("n.csv", "a,b\n1,NA\nNA,-\n")
    assert rows(path, null_values=["NA", "-"]) == [(1, None), (None, None)]
    assert rows(path, null_values="NA") == [(1, None), (None, "-")]
    assert rows(path, null_values={"a": "NA"}) == [(1, "NA"), (None, "-")]


def test_a_file_without_a_header_has_numbered_columns_or_the_given_names(write):
    path = write("n.csv", "1,x\n2,y\n")
    assert opened(path, has_header=False)(0, 9).data.columns == ["column_0", "column_1"]
    named = opened(path, has_header=False, column_names=["a", "b"], dtypes={"a": pl.Int8})(0, 9).data
    assert named.schema == {"a": pl.Int8, "b": pl.String}
    assert named.rows() == [(1, "x"), (2, "y")]


def test_dates_are_found_when_asked_for(write):
    path = write("n.csv", "a,b\n2024-03-01,2024-03-01T10:30:00\n")
    assert rows(path) == [("2024-03-01", "2024-03-01T10:30:00")]
    assert rows(path, try_parse_dates=True) == [(date(2024, 3, 1), datetime(2024, 3, 1, 10, 30))]


@pytest.mark.parametrize("magic", [b"\x28\xb5\x2f\xfd", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"PK\x03\x04"])
def test_other_compressions_are_refused_with_the_command_that_unpacks_them(write, magic):
    with pytest.raises(
        SourceError, match=r"n\.csv is .*, but only UTF-8 can be read, plain or compressed by gzip"
    ) as caught:
        opened(write("n.csv", magic + b"rest"))
    assert "'n.csv'" in caught.value.hint


def test_a_damaged_gzip_file_is_named(write):
    packed = gzip.compress(("n\n" + "".join(f"{n}\n" for n in range(100_000))).encode())
    fetcher = opened(write("n.csv.gz", packed[:-2000]), infer_rows=10)
    with pytest.raises(SourceError, match=r"n\.csv\.gz is damaged"):
        fetcher(0, 200_000)


def test_comments_with_quotes_open_no_quoted_field(write, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 10)
    path = write("n.csv", '\ufeff#say "\na,b\n1,"x\ny"\n#it"s\n2,z\n#"\n3,"#"\n')
    assert rows(path, comment_prefix="#") == [(1, "x\ny"), (2, "z"), (3, "#")]


def test_a_resume_finds_the_header_behind_a_block_of_comments(write, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 5)
    path = write("n.csv", "#one\nn\n1\n2\n3\n")
    fetcher = opened(path, comment_prefix="#")
    cursor = fetcher.cursor_after(fetcher(0, 1))
    assert opened(path, Position(1, 1, cursor), comment_prefix="#")(1, 9).data["n"].to_list() == [2, 3]


def test_utf16_is_refused_with_the_command_that_converts_it(write):
    with pytest.raises(SourceError, match="UTF-16") as caught:
        opened(write("n.csv", "a,b\n1,x\n".encode("utf-16")))
    assert caught.value.hint.startswith("Convert it: iconv -f UTF-16 -t UTF-8 'n.csv'")


def test_bare_carriage_returns_are_refused_rather_than_read_as_one_long_header(write):
    with pytest.raises(SourceError, match="carriage return"):
        opened(write("n.csv", "a,b\r1,x\r2,y\r"))


@pytest.mark.parametrize("name", ["a b.csv", "it's.csv", "x[1].csv", "y*.csv", "z?.csv"])
def test_a_file_name_is_read_literally_beside_others_that_it_would_match(write, name):
    for other in ["x1.csv", "yy.csv", "zz.csv"]:
        write(other, "a\n1\n")
    assert rows(write(name, "a\n42\n")) == [(42,)]


def test_a_quoted_field_may_hold_line_ends_also_in_the_rows_that_a_resume_skips(write):
    text = "".join(f'{n},"line\n\r\n{n}, ""quoted"""\n' if n % 3 else f"{n},plain\n" for n in range(400_000))
    path = write("n.csv", "n,text\n" + text)
    assert path.stat().st_size > 2 * blocks.BLOCK_BYTES
    fetcher = opened(path)
    for batch_id in range(4):
        batch = fetcher(batch_id, 100_000)
        assert batch.data["n"].to_list() == list(range(batch.start_row, batch.start_row + 100_000))
        cursor = fetcher.cursor_after(batch)
    rest = opened(path, Position(4, 399_998, {"next_row": 399_998, **cursor, "rows": cursor["rows"] - 2}))(4, 9)
    assert rest.data["text"].to_list() == ['line\n\r\n399998, "quoted"', "plain"]


# --- dtypes -----------------------------------------------------------------------------------------


def test_dtypes_are_those_of_the_first_rows_and_stay(write):
    path = write("n.csv", "a\n" + "1\n" * 5 + "2.5\n")
    assert opened(path)(0, 3).data.schema == {"a": pl.Float64}
    fetcher = opened(path, infer_rows=5)
    assert fetcher(0, 3).data.schema == {"a": pl.Int64}
    assert fetcher(1, 2).data.schema == {"a": pl.Int64}
    batch = fetcher(2, 3)
    assert batch.data.schema == {"a": pl.Int64}
    assert batch.unreadable[0].reason == "'2.5' isn't a whole number (column 'a', Int64)"


def test_without_inference_all_columns_are_text(write):
    assert rows(write("n.csv", "a,b\n1,2.5\n"), infer_rows=0) == [("1", "2.5")]


def test_overrides_go_over_what_was_inferred(write):
    path = write("n.csv", "a,b\n1,2\n")
    assert opened(path, dtypes={"a": pl.String, "b": float})(0, 1).data.rows() == [("1", 2.0)]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"c": pl.Int8}, "names 'c', but .* has no such column"),
        ({"a": pl.Datetime}, "fully-specified"),
        ({"a": "int"}, "int"),
    ],
)
def test_an_override_that_means_nothing_is_refused(write, overrides, message):
    with pytest.raises(UsageError, match=message):
        opened(write("n.csv", "a,b\n1,2\n"), dtypes=overrides)


def test_a_first_file_without_rows_does_not_decide_the_dtypes(write, tmp_path):
    write("a.csv", "n,text\n")
    write("b.csv", "n,text\n1,x\n")
    assert rows(tmp_path) == [(1, "x")]


# --- several files ----------------------------------------------------------------------------------


def test_columns_in_another_order_are_put_into_the_first_files_order(write, tmp_path):
    write("a.csv", "n,text\n1,x\n")
    write("b.csv", "text,n\ny,2\n")
    assert rows(tmp_path) == [(1, "x"), (2, "y")]


@pytest.fixture
def folder(write, tmp_path):
    write("b.csv", "n\n0\n1\n2\n")
    write("c.csv", "n\n3\n4\n")
    return tmp_path


def test_the_cursor_says_in_which_file_and_at_which_byte_to_go_on(folder):
    fetcher = opened(folder)
    cursors = [place(fetcher.cursor_after(fetcher(batch_id, 1))) for batch_id in range(5)]
    assert cursors[2] == {"next_row": 3, "file": 0, "name": "b.csv", "byte": 0, "rows": 3}
    assert cursors[3] == {"next_row": 4, "file": 1, "name": "c.csv", "byte": 0, "rows": 1}


def test_the_cursor_of_one_named_file_has_no_name(folder):
    fetcher = opened(folder / "b.csv")
    assert place(fetcher.cursor_after(fetcher(0, 2))) == {"next_row": 2, "byte": 0, "rows": 2}


def test_the_byte_of_the_cursor_moves_on_with_the_blocks(write, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 8)
    path = write("n.csv", "n\n1\n2\n3\n4\n5\n6\n7\n8\n")
    fetcher = opened(path)
    assert [fetcher.cursor_after(fetcher(batch_id, 2))["byte"] for batch_id in range(4)] == [0, 0, 10, 10]
    path.write_bytes(b"n\nX\nX\nX\nX\n" + path.read_bytes()[10:])  # a resume reads nothing of this but the header
    position = Position(2, 4, {"next_row": 4, "byte": 10, "rows": 0})
    assert opened(path, position, dtypes={"n": pl.Int64})(2, 9).data["n"].to_list() == [5, 6, 7, 8]


def test_only_the_last_few_blocks_are_remembered(write, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 10)
    fetcher = opened(write("n.csv", "n\n" + "1\n" * 1000))
    for batch_id in range(100):
        fetcher(batch_id, 10)
        assert len(fetcher._starts) <= 4


def test_a_file_that_comes_before_the_cursor_is_noticed(folder, write):
    write("a.csv", "n\n9\n")
    with pytest.raises(
        SourceChanged, match=r"c\.csv, .* was file 2 of the source and is now file 3: files were added before it"
    ):
        opened(folder, Position(1, 4, {"next_row": 4, "file": 1, "name": "c.csv", "byte": 0, "rows": 1}))


def test_a_file_that_has_become_shorter_is_noticed(folder, write):
    write("c.csv", "n\n")
    with pytest.raises(SourceChanged, match=r"c\.csv has become shorter: some of its committed rows are gone"):
        opened(folder, Position(1, 4, {"next_row": 4, "file": 1, "name": "c.csv", "byte": 0, "rows": 1}))


def test_a_file_that_was_written_anew_is_noticed_when_no_row_begins_at_the_cursor(folder, write):
    write("c.csv", "number\n3\n4\n5\n")
    with pytest.raises(SourceChanged, match=r"ended at byte 6 of .*/c\.csv, but now no row ends there"):
        opened(folder / "c.csv", Position(1, 2, {"next_row": 2, "byte": 6, "rows": 0}))


def test_rows_and_files_that_were_added_at_the_end_are_read_on(folder, write):
    write("c.csv", "n\n3\n4\n5\n")
    write("d.csv", "n\n6\n")
    fetcher = opened(folder, Position(1, 5, {"next_row": 5, "file": 1, "name": "c.csv", "byte": 0, "rows": 2}))
    assert fetcher(1, 9).data["n"].to_list() == [5, 6]


def test_a_source_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(SourceNotFound):
        opened(tmp_path)


# --- the rest ---------------------------------------------------------------------------------------


def test_the_size_is_estimated_from_the_bytes(write, tmp_path):
    line = "123456,abcdef\n"
    write("a.csv", "number,text\n" + line * 100_000)
    write("b.csv", "number,text\n" + line * 50_000)
    assert opened(tmp_path).size() == SourceSize(150_000, exact=False)


def test_the_size_of_a_compressed_file_is_unknown(write):
    assert opened(write("n.csv", gzip.compress(b"n\n1\n2\n"))).size() is None


def test_identity_holds_the_source_as_given_and_what_makes_a_row():
    assert CsvFetcher("data", separator=";", dtypes={"n": pl.Int8}).identity() == {
        "kind": "csv",
        "source": "data",
        "separator": ";",
        "has_header": True,
        "quote_char": '"',
        "comment_prefix": None,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ";;"}, "separator must be one ASCII character"),
        ({"quote_char": "«"}, "quote_char must be one ASCII character"),
        ({"encoding": "latin1"}, "encoding must be 'utf8' or 'utf8-lossy'"),
        ({"infer_rows": -1}, "infer_rows must be at least 0"),
        ({"column_names": ["a"]}, "column_names needs has_header=False"),
        ({"column_names": ["a", "a"], "has_header": False}, "each name only once"),
        ({"short_lines": "fill"}, "short_lines must be 'error' or 'null'"),
        ({"long_lines": "fill"}, "long_lines must be 'error' or 'cut'"),
        ({"dtypes": {}, "schema_overrides": {}}, "are one option"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        CsvFetcher("n.csv", **options)


def test_too_few_column_names_are_refused(write):
    with pytest.raises(UsageError, match=r"column_names has 1 names, but .* has 2 columns"):
        opened(write("n.csv", "1,2\n"), has_header=False, column_names=["a"])


@pytest.mark.integration
def test_a_process_can_end_while_a_file_is_half_read(write):
    path = write("n.csv", "n\n" + "123456789\n" * 500_000)
    code = (
        "import sys\n"
        "from engine.sources.base import Position\n"
        "from engine import CsvFetcher\n"
        "fetcher = CsvFetcher(sys.argv[1])\n"
        "fetcher.open(Position())\n"
        "print(fetcher(0, 10).size)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert result.stdout == "10\n"
