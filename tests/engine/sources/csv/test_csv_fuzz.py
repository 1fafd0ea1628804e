"""Random files with random faults, in random blocks and batches, against a reader that goes character by character.

FUZZ_FILES=5000 pytest -m long tests/engine/sources/csv/test_csv_fuzz.py
"""

from __future__ import annotations

import gzip
import os
import random

import csv_reference as reference
import polars as pl
import pytest

from engine import CsvFetcher
from engine.sources.base import Position
from engine.sources.text import blocks

FILES = int(os.environ.get("FUZZ_FILES", "5000"))
DTYPES = {"n": pl.Int64, "t": pl.String, "u": pl.String}
COLUMNS = len(DTYPES)

NUMBERS = [b"1", b"-20", b"300", b"", b" 7", b'"8"', b"9223372036854775807"]
TEXTS = [
    b"", b"x", b'""', b"a b", b'"q"', b'"a,b"', b'"two\nlines"', b'"two\r\nlines\n\n"', b'"a ""b"" c"', b'""""',
    b"na\xc3\xafve", b'5" pipe', b'6" x 8"', b"tab\t", b" lead", b'"\n"',
]  # fmt: skip
FAULTS = [
    b"oops,x,y", b"2.5,x,y", b"99999999999999999999,x,y", b"1,x", b"1", b"1,x,y,z", b"1,\xeb,y", b'1,"x,y', b'1,"x"z,y',
    b'1,"5" pipe,y', b'"1,x,y', b'1,x,"', b'a",b,"c', b'1,"x""', b'"1"2,x,y', b'1,"a"d"e",y', b"1,,,,,,,,,,,,,,,,,",
]  # fmt: skip
NOISE = [b'"', b",", b"\n", b"\r", b" ", b"x", b"1", b'""', b'","', b"\n\n", b"\xff", b""]


def random_file(rng):
    line_end = rng.choice([b"\n", b"\n", b"\r\n"])
    lines = []
    for _ in range(rng.choice([0, 1, 3, 12, 40])):
        if rng.random() < 0.15:
            lines.append(rng.choice(FAULTS))
        elif rng.random() < 0.05:
            lines.append(b"")
        else:
            lines.append(b",".join([rng.choice(NUMBERS), rng.choice(TEXTS), rng.choice(TEXTS)]))
    body = line_end.join(lines) + (line_end if rng.random() < 0.8 else b"")
    for _ in range(rng.choice([0, 0, 0, 1, 2, 5])):
        at = rng.randrange(len(body) + 1)
        body = body[:at] + rng.choice(NOISE) + body[at + rng.choice([0, 0, 1, 3]) :]
    return b"n,t,u" + line_end, body


def check(rng, path):
    """Read one file, with a resume after some batches, and compare every row."""
    header, body = random_file(rng)
    packed = rng.random() < 0.1
    path = path.with_suffix(".gz") if packed else path
    path.write_bytes(gzip.compress(header + body, 1) if packed else header + body)
    expected = reference.rows_of(body, COLUMNS)
    next_row, batch_id, cursor = 0, 0, None
    found = []
    while True:
        fetcher = CsvFetcher(path, dtypes=DTYPES)
        fetcher.open(Position(batch_id, next_row, cursor))
        for _ in range(rng.choice([1, 2, 5, 100])):
            batch = fetcher(batch_id, rng.choice([1, 2, 7, 1000]))
            if batch is None:
                compare(expected, found, len(header))
                return
            assert batch.start_row == next_row
            bad = {row.row: row for row in batch.unreadable}
            good = iter(batch.data.rows())
            found += [bad.get(row) or next(good) for row in range(batch.start_row, batch.end_row + 1)]
            assert next(good, None) is None
            cursor = fetcher.cursor_after(batch)
            next_row, batch_id = batch.end_row + 1, batch_id + 1


def compare(expected, found, header_bytes):
    assert len(found) == len(expected)
    for row, got in zip(expected, found, strict=True):
        values = row.values(COLUMNS)
        if values is None:
            assert not isinstance(got, tuple), f"{row} should be unreadable, not {got}"
            assert (got.line, got.byte) == (row.line + 1, row.byte + header_bytes)
            assert got.text == row.text.decode("utf-8", "backslashreplace")
        else:
            assert isinstance(got, tuple), f"{row} should be read, not {got}"
            for value, other in zip(values, got, strict=True):
                if value is not reference.UNSURE:
                    assert (value.decode() if isinstance(value, bytes) else value) == other


def run(files, tmp_path, monkeypatch):
    for seed in range(files):
        rng = random.Random(seed)
        monkeypatch.setattr(blocks, "BLOCK_BYTES", rng.choice([1, 5, 16, 64, 300, 4 << 20]))
        try:
            check(rng, tmp_path / f"{seed % 50}.csv")
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


def test_random_faulty_files_are_read_like_by_the_reference(tmp_path, monkeypatch):
    run(60, tmp_path, monkeypatch)


@pytest.mark.long
def test_many_random_faulty_files_are_read_like_by_the_reference(tmp_path, monkeypatch):
    run(FILES, tmp_path, monkeypatch)
