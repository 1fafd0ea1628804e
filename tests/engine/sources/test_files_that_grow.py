"""Another process appends to a file, while it is read and between runs, in pieces that end anywhere in a line.

The long form, with 200 schedules: pytest -m long -n 0 tests/engine/sources/test_files_that_grow.py
"""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from engine import BatchPipeline, CsvFetcher, Quarantine
from engine.errors import SourceChanged, SourceError
from engine.sources.text import blocks

pytestmark = pytest.mark.integration

SCHEDULES = int(os.environ.get("GROWING_FILES", "200"))
WRITER = """
import sys
for command in sys.stdin:
    path, piece = command.rstrip("\\n").split("\\t")
    with open(path, "ab") as file:
        file.write(bytes.fromhex(piece))
    print("done", flush=True)
"""


@pytest.fixture
def append():
    """A function that lets another process append bytes to a file."""
    with subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:

        def append(path, piece):
            writer.stdin.write(f"{path}\t{piece.hex()}\n".encode())
            writer.stdin.flush()
            assert writer.stdout.readline() == b"done\n"

        yield append
        writer.stdin.close()


class BesideAWriter(CsvFetcher):
    """Lets the other process write before some of the fetches."""

    def __init__(self, source, write_some):
        super().__init__(source)
        self._write_some = write_some

    def __call__(self, batch_id, batch_size):
        self._write_some()
        return super().__call__(batch_id, batch_size)


def row(number, chance):
    text = chance.choice(["t", "tëxt €", '"two\nlines"', '"a ""quote"""', "x" * chance.randrange(60)])
    shown = text.removeprefix('"').removesuffix('"').replace('""', '"') if text.startswith('"') else text
    return f"{number},{text}{chance.choice(['', '', chr(13)])}\n".encode(), (number, shown or None)


def check(folder, append, monkeypatch, seed):
    """Run one schedule; return how many runs ended in an error before the writer was done."""
    chance = random.Random(seed)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", chance.choice([8, 64, 512, 1 << 20]))
    written = [row(number, chance) for number in range(chance.randrange(2, 80))]
    content = b"".join(line for line, _ in written)
    path = folder / f"{seed}.csv"
    path.write_bytes(b"n,text\n" + written[0][0])
    rest = content[len(written[0][0]) :]
    if chance.random() < 0.3:
        rest = rest.rstrip(b"\r\n")
    ends = sorted(chance.sample(range(len(rest) + 1), min(len(rest), chance.randrange(1, 8))))
    pieces = [rest[start:end] for start, end in zip([0, *ends], [*ends, len(rest)], strict=True)]
    pieces.reverse()
    on_error = chance.choice(["stop", Quarantine(max_rows=None, max_fraction=None)])
    eager = chance.choice([0.0, 0.2, 0.8])

    def write_some():
        while pieces and chance.random() < eager:
            append(path, pieces.pop())

    def run():
        pipeline = BatchPipeline(
            [],
            BesideAWriter(path, write_some),
            chance.randrange(4, 30),
            folder / f"ck{seed}",
            workers=chance.choice([1, 2]),
            on_error=on_error,
        )
        try:
            pipeline.run()
        finally:
            rows = pipeline.collect_results().rows() if pipeline.get_frontier().total_rows_processed else []
            assert rows[:-1] == [values for _, values in written[: max(len(rows) - 1, 0)]], f"schedule {seed}"
        return rows

    errors = 0
    while pieces:
        for _ in range(chance.randrange(4)):
            if pieces:
                append(path, pieces.pop())
        try:
            run()
        except SourceChanged:
            raise  # never: the file only grows
        except SourceError:
            errors += 1  # half a line can't always be read as a row
    assert run() == [values for _, values in written], f"schedule {seed}"
    return errors


@pytest.mark.parametrize("seed", range(10))
def test_a_file_that_grows_gives_its_rows_in_the_end(tmp_path, append, monkeypatch, seed):
    check(tmp_path, append, monkeypatch, seed)


@pytest.mark.long
def test_many_files_that_grow_give_their_rows_in_the_end(tmp_path, append, monkeypatch):
    errors = sum(check(tmp_path, append, monkeypatch, seed) for seed in range(10, 10 + SCHEDULES))
    print(f"{SCHEDULES} schedules, {errors} runs ended at half a line")  # noqa: T201
