"""Checks of a checkpoint folder after its process was killed, before it is opened again.

They read a copy, with DuckDB and Polars alone, so that they change nothing.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
from kill_target import BATCH_SIZE, source
from obstore.store import from_url

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Found:
    """The first batch that isn't committed in the catalog, and how many parts have their final names."""

    next_batch_id: int
    published: int


@contextmanager
def at_hand(folder: Path) -> Iterator[Path]:
    """Yield the folder itself, or a copy that contains the results if these are in object storage."""
    location = folder / "checkpoint.location.json"
    if not location.exists():
        yield folder
        return
    url = json.loads(location.read_text())["results_url"]
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy"
        shutil.copytree(folder, copy)
        (copy / "results").mkdir()
        bucket = from_url(f"{url}/results")
        for page in bucket.list():
            for found in page:
                (copy / "results" / found["path"]).write_bytes(bucket.get(found["path"]).bytes())
        yield copy


def check(folder: Path, expected: pl.DataFrame, *, rewinding: bool = False) -> Found:
    """Return what was found; raises AssertionError if a promise is broken.

    `rewinding` means that a rewind may have been interrupted: then parts beyond its frontier may be left.
    """
    committed = _committed(folder)
    names: set[str] = set()
    for batch_id, rows_out, attempt_id, checksum in committed:
        final = folder / "results" / f"part-{batch_id:012d}.parquet"
        temporary = folder / "results" / f".part-{batch_id:012d}-{attempt_id}.tmp"
        part = temporary if temporary.exists() else final
        assert part.exists(), f"batch {batch_id} is committed and has no part: the frontier is ahead of the parts"
        assert f"{zlib.crc32(part.read_bytes()):08x}" == checksum, f"the part of batch {batch_id} is not what was meant"
        names.add(part.name)
        if part is temporary and final.exists() and final.read_bytes() == part.read_bytes():
            names.add(final.name)  # object storage can't rename: it was copied, and its source isn't deleted yet
        rows = pl.read_parquet(part)
        assert rows.height == rows_out
        assert rows.equals(rows_of(expected, batch_id)), f"batch {batch_id} has other rows than it should"
    published = sorted((folder / "results").glob("*.parquet")) if (folder / "results").exists() else []
    for part in published:
        assert rewinding or part.name in names, f"{part.name} is not committed and yet among the results"
    mirror = folder / "frontier.json"
    if mirror.exists():
        last = json.loads(mirror.read_text())["last_completed_batch_id"]
        assert last <= len(committed) - 1, "frontier.json is ahead of the catalog"
    return Found(len(committed), len(published))


def rows_of(expected: pl.DataFrame, batch_id: int) -> pl.DataFrame:
    """Return the expected results of one batch."""
    return expected.filter(pl.col("id").is_between(batch_id * BATCH_SIZE, (batch_id + 1) * BATCH_SIZE - 1))


def _committed(folder: Path) -> list[tuple[int, int, str, str]]:
    """Return (batch, rows out, attempt id, checksum) of the committed batches, as the catalog records them."""
    # While there is a guard, the copy in it counts, and the catalog beside it may be half written.
    place = folder / "checkpoint.guard" if (folder / "checkpoint.guard").exists() else folder
    if not (place / "checkpoint.duckdb").exists():
        return []
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("checkpoint.duckdb", "checkpoint.duckdb.wal"):
            if (place / name).exists():
                shutil.copyfile(place / name, Path(scratch) / name)
        with duckdb.connect(str(Path(scratch) / "checkpoint.duckdb")) as connection:
            frontiers = connection.execute("SELECT next_batch_id, next_row FROM frontier").fetchall()
            batches = connection.execute(
                "SELECT batch_id, rows_out, attempt_id, checksum, start_row, end_row FROM batches ORDER BY batch_id"
            ).fetchall()
    assert len(frontiers) == 1
    assert [batch[0] for batch in batches] == list(range(frontiers[0][0])), "the batches don't lead up to the frontier"
    next_row = 0
    for batch in batches:
        assert batch[4] == next_row
        next_row = batch[5] + 1
    assert next_row == frontiers[0][1]
    assert next_row <= source().height
    return [batch[:4] for batch in batches]
