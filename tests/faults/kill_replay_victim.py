"""A checkpoint with a quarantine, whose processes are killed: after each kill a row is in exactly one place.

The checks read a copy, with DuckDB and Polars alone, before the checkpoint is opened again.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import duckdb
import kill_replay_target
import kill_target
import polars as pl
from kill_count import KILLS
from kill_victim import Victim
from warm_process import WarmProcess

_LAUNCHER = Path(__file__).parent / "kill_replay_launcher.py"

RUN = ("run",)
FRESH = ("run", "fresh")
REPLAY = ("replay",)


def rewind(batch_id: int) -> tuple[str, ...]:
    return ("rewind", str(batch_id))


@dataclass(frozen=True)
class Kept:
    """The first batch that isn't committed, and for each committed batch the ids in its part and in quarantine."""

    next_batch_id: int
    in_parts: tuple[frozenset[int], ...]
    in_quarantine: tuple[frozenset[int], ...]

    @property
    def quarantined(self) -> int:
        return sum(len(ids) for ids in self.in_quarantine)


class ReplayVictim(Victim):
    """`mended` is how often the step has been corrected so far. With `unreadable`, the source refuses rows too."""

    def __init__(self, folder: Path, *, seconds: float = 0.0, unreadable: bool = False) -> None:
        super().__init__(folder, kill_replay_target.expected(unreadable=unreadable), fetch_seconds=seconds)
        self.mended = 0
        self._environment |= {"KILL_TARGET_UNREADABLE": "1"} if unreadable else {}

    def finish(self) -> None:
        """Resume to the end and replay everything; check that the results are those of a run without bad rows."""
        self.run(*RUN)
        self.mended = 2
        self.run(*REPLAY)
        kept = check(self.folder, self._expected)
        assert (kept.next_batch_id, kept.quarantined) == (kill_replay_target.BATCHES, 0)
        parts = sorted((self.folder / "results").iterdir())
        assert len(parts) == kill_replay_target.BATCHES, f"something is left behind: {parts}"
        assert pl.concat(pl.read_parquet(part) for part in parts).equals(self._expected)
        quarantine = self.folder / "quarantine"
        assert not quarantine.exists() or not list(quarantine.iterdir()), "files of no batch are left in quarantine"

    def _killed(self, point: str) -> Kept:
        KILLS[point] += 1
        return check(self.folder, self._expected, rewinding=self._rewinding)

    def _start(self, point: str, call: int, command: tuple[str, ...]) -> WarmProcess:
        self._rewinding |= command not in {RUN, REPLAY}
        environment = self._environment | {"KILL_TARGET_MENDED": str(self.mended)}
        return WarmProcess(_LAUNCHER, point, call, *command, self.folder, environment=environment)


def check(folder: Path, expected: pl.DataFrame | None = None, *, rewinding: bool = False) -> Kept:
    """Return what is committed; raises AssertionError if a promise is broken."""
    expected, size = kill_replay_target.expected() if expected is None else expected, kill_target.BATCH_SIZE
    batches = _committed(folder)
    in_parts, in_quarantine, names = [], [], set()
    for batch_id, rows_out, rows_quarantined, attempt_id, checksum, files in batches:
        part = folder / "results" / f".part-{batch_id:012d}-{attempt_id}.tmp"
        if not part.exists():
            part = folder / "results" / f"part-{batch_id:012d}.parquet"
        names.add(f"part-{batch_id:012d}.parquet")
        _assert_whole(part, checksum)
        rows = pl.read_parquet(part)
        taken_out: list[int] = []
        for number, about in enumerate(files):
            file = folder / "quarantine" / f"batch-{batch_id:012d}-{attempt_id}-{number}.parquet"
            _assert_whole(file, about["checksum"])
            rows_of_file = pl.read_parquet(file)
            numbered = rows_of_file["source_row"].null_count() == 0
            taken_out += (rows_of_file["source_row"] if numbered else rows_of_file["row"].struct.field("id")).to_list()
        due = expected.filter(pl.col("id").is_between(batch_id * size, (batch_id + 1) * size - 1))
        assert (rows.height, len(taken_out)) == (rows_out, rows_quarantined)
        assert rows.equals(due.filter(~pl.col("id").is_in(taken_out))), (
            f"batch {batch_id} has other rows than it should"
        )
        assert set(taken_out) <= set(due["id"]), f"rows of another batch are in the quarantine of batch {batch_id}"
        assert len(set(taken_out)) == len(taken_out), f"a row of batch {batch_id} is in quarantine twice"
        in_parts.append(frozenset(rows["id"]))
        in_quarantine.append(frozenset(taken_out))
    published = {part.name for part in (folder / "results").glob("*.parquet")}
    assert rewinding or published <= names, "a part is not committed and yet among the results"
    if (folder / "frontier.json").exists():
        last = json.loads((folder / "frontier.json").read_text())["last_completed_batch_id"]
        assert last < len(batches), "frontier.json is ahead of the catalog"
    return Kept(len(batches), tuple(in_parts), tuple(in_quarantine))


def _assert_whole(path: Path, checksum: str) -> None:
    assert path.exists(), f"{path.name} is committed and isn't there"
    assert f"{zlib.crc32(path.read_bytes()):08x}" == checksum, f"{path.name} is not what was meant"


def _committed(folder: Path) -> list[tuple]:
    """Return (batch, rows out, rows quarantined, attempt id, checksum, quarantine files) from the catalog."""
    place = folder / "checkpoint.guard" if (folder / "checkpoint.guard").exists() else folder
    if not (place / "checkpoint.duckdb").exists():
        return []
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("checkpoint.duckdb", "checkpoint.duckdb.wal"):
            if (place / name).exists():
                shutil.copyfile(place / name, Path(scratch) / name)
        with duckdb.connect(os.fspath(Path(scratch) / "checkpoint.duckdb")) as connection:
            ((next_batch_id, next_row),) = connection.execute("SELECT next_batch_id, next_row FROM frontier").fetchall()
            batches = connection.execute(
                "SELECT batch_id, rows_out, rows_quarantined, attempt_id, checksum, quarantine FROM batches ORDER BY 1"
            ).fetchall()
    assert [batch[0] for batch in batches] == list(range(next_batch_id)), "the batches don't lead up to the frontier"
    assert next_row == next_batch_id * kill_target.BATCH_SIZE
    return [(*batch[:5], json.loads(batch[5]) if batch[5] else []) for batch in batches]
