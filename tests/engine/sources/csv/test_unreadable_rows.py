from __future__ import annotations

import gzip
from datetime import date

import polars as pl
import pytest

from engine import CsvFetcher
from engine.errors import SourceError, UsageError
from engine.sources.base import Position
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


def read(source, **options):
    """Return the good rows, and (row, line, text, reason) of the others."""
    batch = opened(source, **options)(0, 1_000_000)
    return batch.data.rows(), [(row.row, row.line, row.text, row.reason) for row in batch.unreadable]


INTEGER = {"n": pl.Int64}

FAULTS = {
    "a short line": ("2\n", "it has 1 field instead of 2", "short_lines="),
    "a long line": ("2,y,z\n", "it has 3 fields instead of 2", "long_lines="),
    "text": ("abc,y\n", "'abc' isn't a whole number (column 'n', Int64)", "dtypes={'n': pl.String}"),
    "a fraction": ("2.5,y\n", "'2.5' isn't a whole number (column 'n', Int64)", "dtypes={'n': pl.Float64}"),
    "a number that is too large": (
        "9999999999999999999,y\n",
        "'9999999999999999999' is too large (column 'n', Int64)",
        "pl.Int128",
    ),
    "a decimal comma": ('"2,5",y\n', "'2,5' isn't a whole number (column 'n', Int64)", "decimal_comma=True"),
    "a mark for null": ("NA,y\n", "'NA' isn't a whole number (column 'n', Int64)", "null_values=['NA']"),
    "cp1252": (b"2,No\xebl\n", "it isn't UTF-8 (byte 0xEB)", "utf8-lossy"),
    "a quote that is never closed": ('2,"y\n', "a quote is never closed", "quote_char=None"),
    "an inch mark that closes nothing": ('2,"5" pipe\n', "text follows a closing quote", "quote_char=None"),
    "a quote in a quoted field": ('2,"a"b\n', "text follows a closing quote", "quote_char=None"),
}


@pytest.mark.parametrize("block_bytes", [1, 30, 4 << 20])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_row_that_cannot_be_read_is_named_and_all_others_are_right(write, monkeypatch, kind, line_end, block_bytes):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    line, reason, hint = FAULTS[kind]
    bad = (line if isinstance(line, bytes) else line.encode()).replace(b"\n", line_end.encode())
    before = 'n,text\n1,"two\nlines"\n'.replace("\n", line_end).encode()
    after = '3,z\n4,"w, w"\n5,"""v"\n'.replace("\n", line_end).encode()
    path = write("n.csv", before + bad + after + bad)
    batch = opened(path, dtypes=INTEGER)(0, 100)
    two_lines = f"two{line_end}lines"
    assert batch.data.rows() == [(1, two_lines), (3, "z"), (4, "w, w"), (5, '"v')]
    assert (batch.start_row, batch.end_row) == (0, 5)
    text = bad.decode("utf-8", "backslashreplace").rstrip()
    first, second = batch.unreadable
    assert (first.row, first.line, first.byte, first.text) == (1, 4, len(before), text)
    assert (second.row, second.line, second.text) == (5, 8, text)
    assert {first.reason, second.reason} == {reason}
    assert hint in first.hint
    assert first.file == str(path)


def test_a_batch_may_have_only_rows_that_cannot_be_read(write):
    fetcher = opened(write("n.csv", "n\n" + "oops\n" * 5), dtypes=INTEGER)
    batches = [fetcher(batch_id, 2) for batch_id in range(4)]
    assert [len(batch.unreadable) for batch in batches[:3]] == [2, 2, 1]
    assert all(batch.data.schema == INTEGER for batch in batches[:3])
    assert batches[3] is None


def test_a_mark_in_the_middle_of_a_field_is_text(write):
    text = 'n,size\n1,v500\n2,v500,5" pipe\n'.replace("v500,5", "5") + '3,6" x 8"\n4,"a ""b"""\n'
    assert read(write("n.csv", text)) == (
        [(1, "v500"), (2, '5" pipe'), (3, '6" x 8"'), (4, 'a "b"')],
        [],
    )


def test_a_mark_before_a_field_with_line_ends_swallows_nothing(write, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 7)
    text = 'n,t\n1,5" x\n2,"two\nlines"\n3,6" y\n4,"a\n""b""\n\n"\n'
    assert read(write("n.csv", text)) == ([(1, '5" x'), (2, "two\nlines"), (3, '6" y'), (4, 'a\n"b"\n\n')], [])


@pytest.mark.parametrize("packed", [False, True])
def test_a_quote_that_is_never_closed_takes_one_line_of_a_large_file(write, packed):
    text = 'id,name\n1,a\n2,"b\n' + "".join(f"{n},name {n}\n" for n in range(3, 200_000))
    content = gzip.compress(text.encode(), 1) if packed else text
    good, bad = read(write("n.csv.gz" if packed else "n.csv", content))
    assert [n for n, _ in good] == [1, *range(3, 200_000)]
    assert bad == [(1, 3, '2,"b', "a quote is never closed")]


def test_a_row_longer_than_the_bound_is_an_error_that_names_its_line(write, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 100)
    monkeypatch.setattr(blocks, "LONGEST_ROW_BYTES", 1000)
    path = write("n.csv.gz", gzip.compress(b"n,text\n1,x\n2," + b"y" * 5000 + b"\n"))
    fetcher = opened(path, dtypes={"n": pl.Int64})
    assert fetcher(0, 1).data.rows() == [(1, "x")]
    with pytest.raises(SourceError, match=r"line 3 of .*n\.csv\.gz doesn't end within 1,000 bytes"):
        fetcher(1, 1)
    with pytest.raises(SourceError, match=r"line 1 of .*m\.csv\.gz doesn't end within 1,000 bytes"):
        opened(write("m.csv.gz", gzip.compress(b"n,text" + b"y" * 5000)))


# --- short, long and blank lines --------------------------------------------------------------------


@pytest.mark.parametrize("block_bytes", [1, 4, 1000])
def test_short_lines_can_be_filled_and_long_ones_cut(write, monkeypatch, block_bytes):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    path = write("n.csv", 'a,b\n1\n2,x\n"3",y,z\n4\n5,"v""",w\n')
    assert read(path, short_lines="null", long_lines="cut") == (
        [(1, None), (2, "x"), (3, "y"), (4, None), (5, 'v"')],
        [],
    )


@pytest.mark.parametrize(
    "text", ["\na,b\n1,x\n\n2,y\n\n", "\r\n\r\na,b\r\n1,x\r\n\r\n2,y\r\n\r\n", 'a,b\n1,"x"\n\n2,y\n']
)
@pytest.mark.parametrize("options", [{}, {"short_lines": "null"}, {"comment_prefix": "#"}])
@pytest.mark.parametrize("block_bytes", [1, 1000])
def test_blank_lines_are_no_rows(write, monkeypatch, text, options, block_bytes):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    assert read(write("n.csv", text), **options) == ([(1, "x"), (2, "y")], [])


def test_a_blank_line_is_a_null_in_a_file_of_one_column(write):
    assert read(write("n.csv", "a\n1\n\n3\n")) == ([(1,), (None,), (3,)], [])


def test_a_blank_line_inside_quotes_is_text(write):
    assert read(write("n.csv", 'a,b\n1,"x\n\ny"\n2,\n')) == ([(1, "x\n\ny"), (2, None)], [])


# --- values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "good", "bad"),
    [
        (pl.Int8, ["1", " 2", ""], ["300", "x", "1.5"]),
        (pl.Float64, ["1", "1e300", "inf", "-Infinity", ""], ["1e400", "x"]),
        (pl.Float32, ["1.1", "inf"], ["1e39", "-1e39", "x"]),
        (pl.Decimal(10, 2), ["1.12", "1.120", "5", "1.5e1", "", " 3"], ["1.123", "12345678901.5", "x", "1.125e0"]),
        (pl.Date, ["2024-03-01", ""], ["2024-99-99", "x", " "]),
        (pl.Datetime("us"), ["2024-03-01T10:00:00"], ["x"]),
        (pl.Time, ["10:30:00", ""], ["x", "25:00:00"]),
        (pl.Boolean, ["true", "false", ""], ["yes", " "]),
        (pl.Enum(["a", "b"]), ["a", "b", ""], ["c"]),
    ],
)
def test_a_value_that_does_not_fit_is_never_changed_or_made_null(write, dtype, good, bad):
    values = [value for pair in zip(good, bad, strict=False) for value in pair]
    values += good[len(bad) :] + bad[len(good) :]
    path = write("n.csv", "n,v\n" + "".join(f"{n},{value}\n" for n, value in enumerate(values)))
    rows, unreadable = read(path, dtypes={"v": dtype})
    expected = write("good.csv", "v,n\n" + "".join(f"{value},0\n" for value in good))
    assert [value for _, value in rows] == pl.read_csv(expected, schema_overrides={"v": dtype})["v"].to_list()
    assert [values[row] for row, *_ in unreadable] == [value for value in values if value in bad]
    assert all(f"'{values[row]}' " in reason for row, _, _, reason in unreadable)


def test_blanks_and_empty_quotes_are_null_and_no_fault(write):
    path = write("n.csv", 'n,text\n"",x\n ,y\n,z\noops,w\n')
    assert read(path, dtypes=INTEGER) == (
        [(None, "x"), (None, "y"), (None, "z")],
        [(3, 5, "oops,w", "'oops' isn't a whole number (column 'n', Int64)")],
    )


def test_a_fault_in_a_later_file_names_that_file_and_its_own_line(write, tmp_path):
    write("a.csv", "d,n\n2024-01-01,1\n2024-01-02,2\n")
    path = write("b.csv", "n,d\n3,2024-01-03\n4,2024-99-99\n")
    batch = opened(tmp_path, dtypes={"d": pl.Date})(0, 9)
    assert batch.data["n"].to_list() == [1, 2, 3]
    bad = batch.unreadable[0]
    assert (bad.row, bad.file, bad.line, bad.text) == (3, str(path), 3, "4,2024-99-99")
    assert bad.reason == "'2024-99-99' isn't a date (column 'd', Date)"


def test_a_long_value_is_cut_and_control_characters_are_not_shown_raw(write):
    path = write("n.csv", "n\n\x1b[31m" + "z" * 500 + "\n")
    _, bad = read(path, dtypes=INTEGER)
    assert bad[0][3].startswith("'␛[31mzzz")
    assert len(bad[0][3]) < 120


@pytest.mark.parametrize("dtype", [pl.Duration("ms"), pl.Binary(), pl.List(pl.Int8), pl.Datetime("us", "+05:30")])
def test_a_dtype_that_csv_cannot_hold_is_refused_before_anything_is_read(write, dtype):
    with pytest.raises(UsageError, match="dtypes: "):
        opened(write("n.csv", "n,v\n1,2\n"), dtypes={"v": dtype})


def test_null_values_for_a_column_that_is_not_there_are_refused(write):
    with pytest.raises(UsageError, match=r"null_values names 'b', but .*n\.csv has no such column"):
        opened(write("n.csv", "a\n1\n"), null_values={"b": "NA"})


# --- resuming and replaying -------------------------------------------------------------------------


def test_a_resume_reads_a_row_that_was_bad_once_its_value_is_made_null(write):
    path = write("n.csv", "n,text\n" + "".join(f"{'oops' if n == 43_210 else n},x\n" for n in range(50_000)))
    position = Position(43, 43_000, {"next_row": 43_000})
    assert [row.row for row in opened(path, position)(43, 1000).unreadable] == [43_210]
    assert CsvFetcher(path).identity() == CsvFetcher(path, null_values=["oops"]).identity()
    batch = opened(path, position, null_values=["oops"])(43, 1000)
    assert batch.data["n"].to_list()[208:213] == [43_208, 43_209, None, 43_211, 43_212]


@pytest.mark.parametrize("kind", FAULTS)
def test_a_row_is_read_again_from_corrected_text_or_from_its_corrected_line(write, kind):
    line, reason, _ = FAULTS[kind]
    bad = line if isinstance(line, bytes) else line.encode()
    path = write("n.csv", b'n,text\n1,"two\nlines"\n' + bad + b"3,z\n")
    fetcher = opened(path, dtypes=INTEGER)
    row = fetcher(0, 9).unreadable[0]
    assert fetcher.read_row(row, '2,"a\nb"').rows() == [(2, "a\nb")]
    with pytest.raises(SourceError) as caught:
        fetcher.read_row(row)
    assert str(caught.value) == f"{path}, line 4: {reason}"
    path.write_bytes(path.read_bytes().replace(bad, b"2,y\n"))
    assert fetcher.read_row(row).rows() == [(2, "y")]
    assert fetcher.read_row(row).schema == {"n": pl.Int64, "text": pl.String}


def test_a_row_whose_text_or_line_is_not_one_row_is_refused(write):
    path = write("n.csv", "n,text\n1,x\noops,y\n")
    fetcher = opened(path, dtypes=INTEGER)
    row = fetcher(0, 9).unreadable[0]
    with pytest.raises(SourceError, match="the corrected text of row 1 is 2 rows, not one"):
        fetcher.read_row(row, "2,y\n3,z")
    with pytest.raises(SourceError, match="the corrected text of row 1: it has 1 field instead of 2"):
        fetcher.read_row(row, "2")
    path.write_bytes(b"n,text\n1,x\n")
    with pytest.raises(SourceError, match=r"n\.csv has no row at line 3 now"):
        fetcher.read_row(row)


def test_a_row_of_a_file_with_other_column_order_is_read_in_that_order(write, tmp_path):
    write("a.csv", "d,n\n2024-01-01,1\n")
    write("b.csv", "n,d\nx,2024-01-03\n")
    fetcher = opened(tmp_path, dtypes={"d": pl.Date})
    row = fetcher(0, 9).unreadable[0]
    assert fetcher.read_row(row, "2,2024-01-03").rows() == [(date(2024, 1, 3), 2)]


# --- files that can't be right ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ('id,"5 pipe\n1,2\n3,4\n', "header of .* can't be read: a quote is never closed", "quote_char=None"),
        (b"a,b\x00\n1,2\n", "isn't text: it has NUL bytes", "UTF-16"),
        ("a,b\n1,x\n".encode("utf-16-le"), "isn't text: it has NUL bytes", "UTF-16"),
        (b"id,No\xebl\n1,2\n", r"header of .* isn't UTF-8 \(byte 0xEB in 'No\\xebl'\)", "iconv"),
        (b"PAR1\x15\x04\n\n", "is a Parquet file", "ParquetFetcher"),
        (b"BZh11AY&SYabc", "compressed by bzip2", "bunzip2"),
        (gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0), "compressed by gzip twice", "gzip -dc"),
        (gzip.compress(b"PAR1\x15\x04", mtime=0), "is inside gzip, a Parquet file", "ParquetFetcher"),
        ("id;v\n1;2,5\n3;4\n", r"has one column, 'id;v': its separator isn't ','", "separator=';'"),
        ("id\tv\n", r"has one column", "separator='\\t'"),
    ],
)
def test_a_file_that_is_no_csv_is_an_error_and_not_a_source_without_rows(write, content, message, hint):
    with pytest.raises(SourceError, match=message) as caught:
        opened(write("n.csv", content))
    assert hint in caught.value.hint


@pytest.mark.parametrize("level", range(1, 10))
def test_bzip2_of_any_level_is_named(write, level):
    import bz2

    with pytest.raises(SourceError, match="compressed by bzip2"):
        opened(write("n.csv", bz2.compress(b"a,b\n1,2\n", level)))


def test_a_column_that_has_another_separator_in_its_name_can_be_declared(write):
    path = write("n.csv", "id;v\n1;2\n")
    assert read(path, dtypes={"id;v": pl.String}) == ([("1;2",)], [])


def test_a_mark_in_the_header_is_text(write):
    batch = opened(write("n.csv", 'id,5" pipe\n1,2\n3,4\n'))(0, 9)
    assert batch.data.columns == ["id", '5" pipe']
    assert batch.data.rows() == [(1, 2), (3, 4)]


def test_all_files_with_other_columns_are_counted_and_the_first_are_named(write, tmp_path):
    write("a.csv", "n,text\n1,x\n")
    for name in "bcdef":
        write(f"{name}.csv", "n,txt\n2,y\n")
    with pytest.raises(SourceError) as caught:
        opened(tmp_path)
    one = f"{tmp_path}/{{}}.csv has no column 'text'; another column 'txt'"
    named = "; ".join(one.format(name) for name in "bcd")
    assert str(caught.value) == f"5 files don't match {tmp_path}/a.csv: {named}; and 2 more"


@pytest.mark.parametrize("line", ["2", "2,y,z"])
def test_the_rows_of_a_file_without_header_that_has_other_columns_are_unreadable(write, tmp_path, line):
    write("a.csv", "1,x\n")
    write("b.csv", f"{line}\n{line}\n")
    batch = opened(tmp_path, has_header=False)(0, 9)
    assert batch.data.rows() == [(1, "x")]
    assert [(row.line, row.text) for row in batch.unreadable] == [(1, line), (2, line)]
