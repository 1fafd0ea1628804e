from __future__ import annotations

import gzip
import os
import random
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from engine import FixedWidthFetcher
from engine.errors import SourceError, UsageError
from engine.sources.base import Position
from engine.sources.text import blocks

COLUMNS = {"id": (0, 4), "name": (4, 6), "day": (12, 10)}
DTYPES = {"id": pl.Int64, "day": pl.Date}


@pytest.fixture
def write(tmp_path):
    def write(content, name="rows.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def fetched(path, columns=COLUMNS, **options):
    fetcher = FixedWidthFetcher(path, columns, **{"dtypes": DTYPES} | options)
    fetcher.open(Position())
    return fetcher(0, 1000)


def rows(path, columns=COLUMNS, **options):
    batch = fetched(path, columns, **options)
    assert batch.unreadable == ()
    return batch.data.rows()


GOOD = "0001Ann   --2026-01-31\n  12 Björn--          \n"
READ = [(1, "Ann", date(2026, 1, 31)), (12, "Björn", None)]


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.rstrip("\n"),
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        "\n" + GOOD + "\r\n\n",
        GOOD.replace("\n", "   \n"),
    ],
    ids=["plain", "no last line end", "CRLF", "BOM", "empty lines", "spaces at the end"],
)
def test_the_usual_ways_of_writing_give_the_same_rows(write, content):
    assert rows(write(content)) == READ


def test_columns_can_follow_each_other(write):
    assert rows(write("12abc3\n"), [("a", 2), ("b", 3), ("c", 1)], dtypes={"c": pl.Int8}) == [("12", "abc", 3)]


def test_columns_can_overlap_and_come_in_any_order(write):
    assert rows(write("123456\n"), {"b": (2, 4), "a": (0, 3)}, dtypes={}) == [("3456", "123")]


def test_lines_before_the_rows_are_skipped(write):
    assert rows(write("title\nid  name\n" + GOOD), skip_lines=2) == READ
    assert fetched(write("title\n"), skip_lines=2) is None


def test_bytes_are_counted_if_the_file_counts_them(write):
    path = write("ëëab\nabcdcd\n")
    columns = [("a", 4), ("b", 2)]
    assert rows(path, columns, dtypes={}, units="bytes") == [("ëë", "ab"), ("abcd", "cd")]
    assert rows(path, columns, dtypes={}, short_lines="null") == [("ëëab", None), ("abcd", "cd")]


def test_spaces_are_kept_on_request_but_not_in_numbers(write):
    columns = [("a", 3), ("b", 3)]
    assert rows(write(" x  5 \n      \n"), columns, dtypes={"b": pl.Int64}, strip=False) == [(" x ", 5), ("   ", None)]


def test_texts_can_mean_null(write):
    columns = [("a", 3), ("b", 3)]
    assert rows(write("NA 999\n"), columns, dtypes={"b": pl.Int64}, null_values=["NA", "999"]) == [(None, None)]


def test_other_encodings_are_read(write):
    assert rows(write("Björn".encode("cp1252") + b"\n"), [("a", 5)], dtypes={}, encoding="cp1252") == [("Björn",)]
    assert rows(write(b"Bj\xf6rn\n"), [("a", 5)], dtypes={}, encoding="utf8-lossy") == [("Bj\ufffdrn",)]


@pytest.mark.parametrize(
    ("line", "reason", "hint"),
    [
        (b"0001Ann   --2026-01-3", "it has 21 characters, but the columns end after 22", "short_lines='null'"),
        (b"0001Ann   --2026-01-31x", "it has 23 characters, but the columns end after 22", "long_lines='cut'"),
        (b"00x1Ann   --2026-01-31", "'00x1' isn't Int64 (column 'id')", "dtypes={'id': pl.String}"),
        (b"0001Ann   --2026-02-31", "'2026-02-31' isn't Date (column 'day')", "null_values"),
        (b"0001Bj\xf6rn --2026-01-31", "it isn't utf8", "encoding="),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_the_option_that_helps(write, line, reason, hint):
    path = write(b"\n0001Ann   --2026-01-31\n" + line + b"\r\n0002Bob   --2026-01-31\n")
    batch = fetched(path)
    assert batch.data["id"].to_list() == [1, 2]
    (bad,) = batch.unreadable
    assert (bad.row, bad.line, bad.byte, bad.file) == (1, 3, 24, str(path))
    assert bad.text == line.decode(errors="backslashreplace")
    assert bad.reason == reason
    assert hint in bad.hint


def test_short_and_long_lines_are_read_on_request(write):
    path = write("0001An\n0002Bob   --2026-01-31 more\n")
    assert rows(path, short_lines="null", long_lines="cut") == [(1, "An", None), (2, "Bob", date(2026, 1, 31))]


def test_a_decimal_is_never_rounded(write):
    batch = fetched(write(" 1.25\n1.255\n"), [("a", 5)], dtypes={"a": pl.Decimal(10, 2)})
    assert batch.data.rows() == [(Decimal("1.25"),)]
    assert batch.unreadable[0].reason == "'1.255' isn't Decimal(precision=10, scale=2) (column 'a')"


def test_a_row_is_read_again_from_its_text_or_from_its_line(write):
    path = write(b"0001Ann   --2026-01-31\n00x2Bob   --2026-01-31\n")
    fetcher = FixedWidthFetcher(path, COLUMNS, dtypes=DTYPES)
    fetcher.open(Position())
    (bad,) = fetcher(0, 10).unreadable
    assert fetcher.read_row(bad, bad.text.replace("x", "0")).row(0)[:2] == (2, "Bob")
    with pytest.raises(SourceError, match="'00x2' isn't Int64"):
        fetcher.read_row(bad)
    path.write_bytes(b"0001Annabel-2026-01-31 \n0002Bob   --2026-01-31\n")
    assert fetcher.read_row(bad).row(0)[:2] == (2, "Bob")
    path.write_bytes(b"")
    with pytest.raises(SourceError, match="has no row at line 2 now"):
        fetcher.read_row(bad)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({}, {}, "at least one column"),
        ({"a": (0, 0)}, {}, "no start and width"),
        ({"a": (-1, 2)}, {}, "no start and width"),
        ({"a": 5}, {}, "no start and width"),
        ([("a", 2), ("a", 3)], {}, "twice"),
        (["a"], {}, "not a name and a width"),
        ([("a", 2)], {"dtypes": {"b": pl.Int64}}, "which is no column"),
        ([("a", 2)], {"dtypes": {"a": pl.List(pl.Int64)}}, "can't be read as List"),
        ([("a", 2)], {"dtypes": {"a": "int"}}, "dtypes, column 'a'"),
        ([("a", 2)], {"encoding": "utf-16"}, "can't be read line by line"),
        ([("a", 2)], {"encoding": "nonsense"}, "can't be read line by line"),
        ([("a", 2)], {"encoding": "cp1252", "units": "bytes"}, "needs encoding='utf8'"),
        ([("a", 2)], {"short_lines": "cut"}, "short_lines must be"),
        ([("a", 2)], {"skip_lines": -1}, "skip_lines"),
    ],
)
def test_options_that_cannot_be_right_are_refused(columns, options, message):
    with pytest.raises(UsageError, match=message):
        FixedWidthFetcher("x.txt", columns, **options)


def reference(line):
    """Return the row of a line, or None; written from the rules alone."""
    try:
        text = line.decode().removesuffix("\r")
    except UnicodeDecodeError:
        return None
    if len(text) < 9 or len(text.rstrip(" ")) > 9:
        return None
    name, number = text[:5].strip(" "), text[5:9].strip(" ")
    if number and not (number.isascii() and number.removeprefix("-").removeprefix("+").isdigit()):
        return None
    return (name or None, int(number) if number else None)


def random_line(dice):
    number = dice.choice(["    ", "  12", "0007", "-5  ", " 1 2", "x   ", "1.5 ", "+8  "])
    line = "".join(dice.choice("ab é😀") for _ in range(5)) + number + dice.choice(["", "", "   ", " x"])
    content = line[: dice.randrange(10) if dice.random() < 0.1 else None].encode()
    if dice.random() < 0.1:
        content = content[:2] + b"\xff" + content[2:]
    return content + dice.choice([b"", b"\r"])


def run(tmp_path, monkeypatch, files, seed):
    for number in range(files):
        dice = random.Random(f"{seed} {number}")
        content = b"\n".join(random_line(dice) for _ in range(dice.randrange(1, 30))) + dice.choice([b"", b"\n"])
        path = tmp_path / f"{number}.txt"
        path.write_bytes(gzip.compress(content) if dice.random() < 0.2 else content)
        monkeypatch.setattr(blocks, "BLOCK_BYTES", dice.choice([1, 20, 100, 4 << 20]))
        lines = [(at, line) for at, line in enumerate(content.split(b"\n"), 1) if line.removesuffix(b"\r")]
        position = Position()
        while True:
            fetcher = FixedWidthFetcher(path, [("name", 5), ("n", 4)], dtypes={"n": pl.Int64})
            fetcher.open(position)
            batch = fetcher(position.next_batch_id, dice.choice([1, 3, 100]))
            if batch is None:
                break
            mine = lines[batch.start_row : batch.end_row + 1]
            assert batch.data.rows() == [row for _, line in mine if (row := reference(line)) is not None]
            bad = [(at, line.removesuffix(b"\r")) for at, line in mine if reference(line) is None]
            assert [(row.line, row.text) for row in batch.unreadable] == [
                (at, line.decode(errors="backslashreplace")) for at, line in bad
            ], f"file {number} of seed {seed}"
            position = Position(batch.batch_id + 1, batch.end_row + 1, fetcher.cursor_after(batch))
            fetcher.close()
        assert position.next_row == len(lines)


def test_rows_and_bad_lines_are_those_of_a_reference_that_reads_line_by_line(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch, 40, "gate")


@pytest.mark.long
def test_thousands_of_files_are_read_as_by_the_reference(tmp_path, monkeypatch):
    """FUZZ_FILES says how many."""
    run(tmp_path, monkeypatch, int(os.environ.get("FUZZ_FILES", "5000")), os.environ.get("FUZZ_SEED", "1"))
