"""Random files of JSON lines, with and without faults, read in random blocks and batches and resumed everywhere.

The reference reads line by line with `json`.
"""

from __future__ import annotations

import gzip
import json
import os
import random

import polars as pl
import pytest

from engine import NdjsonFetcher
from engine.sources.base import Position
from engine.sources.text import blocks

FILES = 60
LONG_FILES = int(os.environ.get("FUZZ_FILES", "5000"))

DTYPES = {
    "id": pl.Int64(),
    "text": pl.String(),
    "price": pl.Float64(),
    "tags": pl.List(pl.String()),
    "box": pl.Struct({"x": pl.Int64(), "yes": pl.Boolean()}),
}
TEXTS = [
    "",
    "x",
    ":x",
    'a":b',
    "\\",
    "é",
    "😀",
    "null",
    '":null',
    "a : b",
    "{",
    "line\nbreak",
    "tab\t",
    "\u0000",
    "\u2028",
]


def random_row(dice):
    row = {
        "id": dice.choice([0, -1, 2**63 - 1, -(2**63), None]),
        "text": dice.choice([*TEXTS, None]),
        "price": dice.choice([0, 1.5, -2e300, None, dice.uniform(-1, 1) * 10.0 ** dice.randrange(-300, 300)]),
        "tags": dice.choice([[], None, ["a", None, ":"], dice.sample(TEXTS, 2)]),
        "box": dice.choice([None, {}, {"x": 5}, {"x": None, "yes": False}, {"yes": True, "x": -3}]),
    }
    return {name: value for name, value in row.items() if dice.random() < 0.8}


def random_line(dice):
    spaces = dice.choice([(",", ":"), (", ", ": "), (" ,\t", " : ")])
    row = random_row(dice)
    if dice.random() < 0.1:
        row["more"] = dice.choice([None, 1, {"id": 1}, [], "x"])
    if dice.random() < 0.1:
        row[dice.choice(list(DTYPES))] = dice.choice([True, 1.5, 2**70, "5", [1], {"x": 1.5}, {"q": 1}, [{"x": 1}]])
    line = json.dumps(row, ensure_ascii=dice.random() < 0.5, separators=spaces).encode()
    if dice.random() < 0.05 and row:
        line = line[:-1] + b',"%s":%s}' % (dice.choice(list(row)).encode(), dice.choice([b"null", b"1", b'"x"']))
    if dice.random() < 0.15:
        line = damaged(dice, line)
    return dice.choice([line, line, line + b"\r", b" " + line, b"", b"  \t\r"])


def damaged(dice, line):
    place = dice.randrange(len(line))
    return dice.choice([
        line[:place],
        line[place:],
        line[:place] + dice.choice([b'"', b"\xff", b"\\", b"}", b",", b":", b"\x00", b"\\ud800", b" "]) + line[place:],
        line[:place] + bytes([dice.randrange(256)]) + line[place + 1 :],
        line + line,
    ]).replace(b"\n", b"")  # fmt: skip


def reference(line):
    """Return the row that is in the line, or None if it has none that fits the columns without a loss."""

    def once(pairs):
        row = {}
        for name, value in pairs:
            if name in row and value is not None:
                raise ValueError(name)
            row.setdefault(name, value)
        return row

    def no_constant(text):
        raise ValueError(text)

    try:
        row = json.loads(line.decode(), object_pairs_hook=once, parse_constant=no_constant)
        json.dumps(row, ensure_ascii=False).encode()
    except ValueError:
        return None
    return typed(row, pl.Struct(DTYPES))


def typed(value, dtype):
    """Return the value as the frame has it; raise nothing, and return None for one that doesn't fit."""
    try:
        return _typed(value, dtype) if value is not None else None
    except TypeError:
        return None


def _typed(value, dtype):
    if value is None:
        return None
    kind = type(value)
    if isinstance(dtype, pl.Struct) and kind is dict:
        fields = {field.name: field.dtype for field in dtype.fields}
        if any(value[name] is not None for name in value.keys() - fields.keys()):
            raise TypeError
        return {name: _typed(value.get(name), field) for name, field in fields.items()}
    if isinstance(dtype, pl.List) and kind is list:
        return [_typed(item, dtype.inner) for item in value]
    if dtype == pl.String:
        return value if kind is str else ANY
    fits = {pl.Int64: kind is int and -(2**63) <= value < 2**63, pl.Float64: kind in {int, float}}
    if fits.get(type(dtype), kind is bool and dtype == pl.Boolean):
        return float(value) if dtype == pl.Float64 else value
    raise TypeError


class _Any:
    """A value in a String column that isn't a text: how Polars writes it is its business."""

    def __eq__(self, other):
        return isinstance(other, str)

    __hash__ = None


ANY = _Any()


def expected_rows(content):
    """Return for each row its line number, its line, and what is in it."""
    lines = enumerate(content.split(b"\n"), 1)
    return [(number, line, reference(line)) for number, line in lines if line.strip(b" \t\r")]


def fetched(path, position, size):
    fetcher = NdjsonFetcher(path, dtypes=DTYPES, infer_rows=0)
    fetcher.open(position)
    batch_id = position.next_batch_id
    try:
        while (batch := fetcher(batch_id, size)) is not None:
            yield batch, fetcher.cursor_after(batch)
            batch_id += 1
    finally:
        fetcher.close()


def check(content, path, dice):
    rows = expected_rows(content)
    size = dice.choice([1, 2, 5, 100])
    batches = list(fetched(path, Position(), size))
    assert sum(batch.size for batch, _ in batches) == len(rows)
    for batch, cursor in batches:
        bad = {row.row: row for row in batch.unreadable}
        good = iter(batch.data.iter_rows(named=True))
        for row in range(batch.start_row, batch.end_row + 1):
            number, line, value = rows[row]
            if value is None:
                assert bad[row].line == number, line
                assert bad[row].text == line.removesuffix(b"\r").decode(errors="backslashreplace")
                assert content[bad[row].byte :].startswith(line)
            else:
                assert row not in bad, (line, bad[row])
                assert value == next(good), line
        resumed = fetched(path, Position(batch.batch_id + 1, batch.end_row + 1, cursor), dice.choice([1, 3, 100]))
        first = next(resumed, None)
        assert (first is None) == (batch.end_row + 1 == len(rows))
        assert first is None or first[0].start_row == batch.end_row + 1
        resumed.close()


def run(tmp_path, monkeypatch, files, seed):
    for number in range(files):
        dice = random.Random(f"{seed} {number}")
        content = b"\n".join(random_line(dice) for _ in range(dice.randrange(1, 30))) + dice.choice([b"", b"\n"])
        packed = dice.random() < 0.2
        path = tmp_path / f"{number}.ndjson"
        path.write_bytes(gzip.compress(content) if packed else content)
        monkeypatch.setattr(blocks, "BLOCK_BYTES", dice.choice([1, 20, 100, 4 << 20]))
        try:
            check(content, path, dice)
        except BaseException as error:
            error.add_note(f"file {number} of seed {seed}")
            raise
        path.unlink()


def test_rows_and_bad_lines_are_those_of_a_reference_that_reads_line_by_line(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch, FILES, "gate")


@pytest.mark.long
def test_thousands_of_files_are_read_as_by_the_reference(tmp_path, monkeypatch):
    """FUZZ_FILES says how many."""
    run(tmp_path, monkeypatch, LONG_FILES, os.environ.get("FUZZ_SEED", "1"))
