"""CSV files with planted faults of twelve kinds: which rows are good, and where the others are."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DTYPES = {"id": pl.Int64, "name": pl.String, "price": pl.Float64, "day": pl.Date, "count": pl.Int32}
HEADER = b"id,name,price,day,count\n"

FAULTS: Mapping[str, Callable[[list[bytes]], bytes]] = {
    "a field too many": lambda row: b",".join([*row, b"9"]),
    "two fields too few": lambda row: b",".join(row[:3]),
    "a word as a number": lambda row: b",".join([*row[:4], b"many"]),
    "a fraction as a whole number": lambda row: b",".join([*row[:4], b"7.5"]),
    "a number that is too large": lambda row: b",".join([*row[:4], b"99999999999"]),
    "a day that doesn't exist": lambda row: b",".join([*row[:3], b"2024-13-40", row[4]]),
    "a word as a day": lambda row: b",".join([*row[:3], b"yesterday", row[4]]),
    "a byte that isn't UTF-8": lambda row: b",".join([row[0], b"Zo\xeb", *row[2:]]),
    "a quote that is never closed": lambda row: b",".join([row[0], b'"' + row[1], *row[2:]]),
    "another separator": b";".join,
    "two decimal points": lambda row: b",".join([*row[:2], b"1.2.3", *row[3:]]),
    "a percent sign": lambda row: b",".join([*row[:2], row[2] + b"%", *row[3:]]),
}


@dataclass(frozen=True)
class Fault:
    """A row that can't be read, and the text that it should have."""

    row: int
    kind: str
    file: Path
    line: int
    mended: str


def row_fields(row: int) -> list[bytes]:
    day = b"2024-%02d-%02d" % (row % 12 + 1, row % 28 + 1)
    return [b"%d" % row, b"name %d" % (row % 997), b"%d.%02d" % (row % 500, row % 100), day, b"%d" % (row % 10)]


def plant(folder: Path, *, files: int, rows: int, faults: int, seed: int) -> list[Fault]:
    """Write `files` files of `rows` rows each into `folder`; return the faults in the order of their rows.

    Each kind of fault occurs equally often, and no two of them are in adjacent rows.
    """
    chance = random.Random(seed)
    places = sorted(2 * place for place in chance.sample(range(files * rows // 2), faults))
    kinds = list(islice(cycle(FAULTS), faults))
    chance.shuffle(kinds)
    kind_of = dict(zip(places, kinds, strict=True))
    planted = []
    for number in range(files):
        path = folder / f"{number:03}.csv"
        with path.open("wb") as file:
            file.write(HEADER)
            for line, row in enumerate(range(number * rows, (number + 1) * rows), start=2):
                fields = row_fields(row)
                if row in kind_of:
                    file.write(FAULTS[kind_of[row]](fields) + b"\n")
                    planted.append(Fault(row, kind_of[row], path, line, b",".join(fields).decode()))
                else:
                    file.write(b",".join(fields) + b"\n")
    return planted
