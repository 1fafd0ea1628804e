"""How much work a file is, counted in bytes and rows that are handed to parsers, not in time."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import nullcontext, suppress

import pytest

from engine import CsvFetcher
from engine.errors import SourceError
from engine.sources.base import Position
from engine.sources.csv import file as csv_file
from engine.sources.csv.format import CsvFormat
from engine.sources.csv.grammar import Grammar
from engine.sources.text import blocks

LINES = 3_000
FILES = {
    "clean": b"1,name,2.5\n" * LINES,
    "a quote that is never closed at the start": b'1,"name,2.5\n' + b"1,name,2.5\n" * LINES,
    "a quote that is never closed in each row": b'1,"name,2.5\n' * LINES,
    "an inch mark in each row": b'1,5" pipe,2.5\n' * LINES,
    "an inch mark beside a quoted field in each row": b'1,5" pipe,"2.5"\n' * LINES,
    "quotes that seem to be closed by the next row": b'a",b,"c\n' * LINES,
    "a bad value in each row": b"x,name,2.5\n" * LINES,
    "a short line each": b"1,name\n" * LINES,
    "a long field and a bad value": b"1," + b"x" * 30_000 + b",2.5\n" + b"x,name,2.5\n",
    "line ends only": b"\n" * 10 * LINES,
    "quotes only": b'"' * 10 * LINES,
    "a quote in each line": b'"\n' * 5 * LINES,
    "separators only": b"," * 10 * LINES,
    "other bytes": b"1,n\xebme,2.5\n" * LINES,
}
TOO_LONG = {"a long field and a bad value", "quotes only", "separators only"}


@pytest.fixture
def work(monkeypatch):
    """Count the bytes that Polars, the row ends and the sorting look at."""
    counted = Counter()

    def count(owner, name, size):
        original = getattr(owner, name)

        def counting(*arguments, **options):
            counted[name] += len(arguments[size])
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    count(CsvFormat, "scan", 1)
    count(Grammar, "row_end", 1)
    count(csv_file, "sort_rows", 0)
    return counted


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("block_bytes", [500, 4 << 20])
def test_each_byte_is_looked_at_a_bounded_number_of_times(tmp_path, monkeypatch, work, kind, block_bytes):
    monkeypatch.setattr(blocks, "LONGEST_ROW_BYTES", blocks.LONGEST_ROW_BYTES // blocks.BLOCK_BYTES * block_bytes)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    path = tmp_path / "n.csv"
    content = b"id,name,v\n" + FILES[kind]
    path.write_bytes(content)
    with suppress(SourceError) if kind in TOO_LONG else nullcontext():
        fetcher = CsvFetcher(path, infer_rows=100)
        fetcher.open(Position())
        batch_id = 0
        while fetcher(batch_id, 1_000):
            batch_id += 1
    # Of a clean file each byte is looked at twice: by the row ends and by Polars.
    assert sum(work.values()) <= 10 * 2 * len(content)


@pytest.mark.skipif(os.name != "posix", reason="file names of other systems are text")
def test_a_file_name_that_is_not_utf8_is_a_clear_error(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.csv", "wb") as file:  # noqa: PTH123 (a Path takes no bytes)
        file.write(b"a,b\n1,2\n")
    fetcher = CsvFetcher(tmp_path)
    with pytest.raises(SourceError, match=r"the name of a file isn't UTF-8: .*caf\\udce9\.csv"):
        fetcher.open(Position())
