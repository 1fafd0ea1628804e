"""Everything that a reader of Parquet raises is a `SourceError` that names the file, and nothing else fails over it."""

from __future__ import annotations

import base64
import datetime as dt
import os
import random
import re
from contextlib import suppress

import polars as pl
import pytest

from engine import BatchPipeline, ParquetFetcher
from engine.errors import SourceError
from engine.sources.base import Position
from engine.state import RunState

ROWS = 1_000


def frame():
    return pl.DataFrame(
        {
            "n": range(ROWS),
            "text": [f"ü{n}" * 3 for n in range(ROWS)],
            "price": pl.Series(range(ROWS)).cast(pl.Decimal(12, 2)),
            "list": [[n, n] for n in range(ROWS)],
            "struct": [{"a": n, "b": f"b{n}"} for n in range(ROWS)],
            "at": [dt.datetime(2024, 1, 1)] * ROWS,
        }
    )


def content(tmp_path):
    path = tmp_path / "whole"
    frame().write_parquet(path, row_group_size=300, compression="uncompressed")
    return path.read_bytes()


def with_zone(tmp_path, zone):
    """Return a file whose column `at` has this time zone, as pyarrow writes it; Polars can't write one."""
    path = tmp_path / "whole"
    known = "Asia/Kolkata"
    frame().with_columns(pl.col("at").dt.replace_time_zone(known)).write_parquet(path)
    data = path.read_bytes()
    found = re.compile(rb"[A-Za-z0-9+/]{100,}={0,2}").search(data, data.index(b"ARROW:schema") + 12)
    schema = base64.b64decode(found.group())
    old = len(known).to_bytes(4, "little") + known.encode()
    new = len(zone).to_bytes(4, "little") + zone.encode().ljust(len(known), b"\0")
    return data[: found.start()] + base64.b64encode(schema.replace(old, new)) + data[found.end() :]


def replaced(data, old, new):
    assert old in data
    return data.replace(old, new)


FAULTS = {
    "an offset as time zone": lambda path: with_zone(path, "+05:30"),
    "a time zone of another planet": lambda path: with_zone(path, "Mars/Phobos"),
    "empty": lambda path: b"",
    "text": lambda path: b"n,text\n1,a\n" * 100,
    "half a file": lambda path: content(path)[: len(content(path)) // 2],
    "a byte short": lambda path: content(path)[:-1],
    "no page": lambda path: b"PAR1" + content(path)[-5_000:],
    "a footer of noise": lambda path: content(path)[:-3_000] + random.Random(1).randbytes(2_992) + content(path)[-8:],
    "pages of noise": lambda path: b"PAR1" + random.Random(1).randbytes(30_000) + content(path)[30_004:],
    "text that isn't UTF-8": lambda path: replaced(
        content(path), "ü700ü700".encode(), b"\xff\xfe" + b"700" + "ü700".encode()
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_read_is_named_by_a_source_error(tmp_path, fault):
    path = tmp_path / "n.parquet"
    path.write_bytes(FAULTS[fault](tmp_path))
    pipeline = BatchPipeline([], ParquetFetcher(path), 100, tmp_path / "checkpoint")
    with pytest.raises(SourceError, match=re.escape(str(path))) as caught:
        pipeline.run()
    assert caught.value.hint


@pytest.mark.parametrize(("fault", "column"), [("an offset as time zone", "at"), ("text that isn't UTF-8", "text")])
def test_the_column_that_cannot_be_read_is_named(tmp_path, fault, column):
    path = tmp_path / "n.parquet"
    path.write_bytes(FAULTS[fault](tmp_path))
    with pytest.raises(SourceError, match=f"column '{column}'"):
        BatchPipeline([], ParquetFetcher(path), 100, tmp_path / "checkpoint").run()


def test_whatever_byte_is_wrong_a_run_ends_or_raises_a_source_error(tmp_path):
    path, data = tmp_path / "n.parquet", content(tmp_path)
    chance = random.Random(int(os.environ.get("DAMAGED_PARQUET_SEED", "1")))
    for _ in range(int(os.environ.get("DAMAGED_PARQUET_FILES", "150"))):
        wrong = bytearray(data)
        for _ in range(chance.choice([1, 1, 8])):
            wrong[chance.randrange(len(wrong))] ^= chance.choice([1, 128, 255])
        path.write_bytes(wrong[: chance.choice([len(wrong)] * 4 + [chance.randrange(len(wrong))])])
        fetcher = ParquetFetcher(path)
        with suppress(SourceError):
            fetcher.open(Position())
            for batch_id in range(11):
                fetcher(batch_id, 100)


class Raising(ParquetFetcher):
    """A source that raises an error of a library, in the place that it is told."""

    def __init__(self, where, error):
        super().__init__("n.parquet")
        self.where, self.error = where, error

    def _raise(self, where):
        if where == self.where:
            raise self.error

    def open(self, position):
        self._raise("open")

    def __call__(self, batch_id, batch_size):
        return None

    def size(self):
        self._raise("size")

    def identity(self):
        self._raise("identity")
        return {"kind": "raising"}

    def close(self):
        self._raise("close")


@pytest.mark.parametrize("error", [pl.exceptions.PanicException("unwrap"), KeyError("k"), MemoryError(), SystemExit(3)])
@pytest.mark.parametrize("where", ["open", "size", "close"])
def test_looking_at_a_source_that_fails_raises_a_source_error_and_shows_the_checkpoint(tmp_path, where, error):
    folder = tmp_path / "checkpoint"
    frame().write_parquet(tmp_path / "n.parquet")
    BatchPipeline([], ParquetFetcher(tmp_path / "n.parquet"), 100, folder).run()
    pipeline = BatchPipeline([], Raising(where, error), 100, folder)
    with pytest.raises(SourceError, match=type(error).__name__):
        pipeline.refresh()
    assert pipeline.view().state is RunState.FINISHED
    assert [run.state for run in pipeline.history(5)] == [RunState.FINISHED]


def test_a_source_that_cannot_say_what_it_is_can_still_be_looked_at(tmp_path):
    pipeline = BatchPipeline([], Raising("identity", pl.exceptions.PanicException("x")), 100, tmp_path / "checkpoint")
    assert pipeline.source == "Raising"
    assert pipeline.refresh().state is RunState.IDLE
