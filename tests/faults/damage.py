"""Damages files as a bad disk does, and then acts as a user does: runs, and repairs if the hint says so."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import duckdb
import fault_run

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from fault_run import Ended

BLOCK_BYTES = 256 * 1024
_HEADERS_BYTES = 3 * 4096
ASIDE = (".damaged-", ".set-aside")
"""A part of the names of the damaged files that a repair keeps."""


def cut(path: Path, size: int) -> None:
    """Keep the first `size` bytes."""
    with path.open("r+b") as file:
        file.truncate(size)


def flip(path: Path, chance: random.Random, *, first: int = 0) -> int:
    """Change one bit after the first `first` bytes; return the number of its byte."""
    content = bytearray(path.read_bytes())
    place = chance.randrange(first, len(content))
    content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return place


def fold(folder: Path) -> None:
    """Fold the log of the catalog into its file, as a compaction does."""
    with duckdb.connect(str(folder / "checkpoint.duckdb")) as connection:
        connection.execute("CHECKPOINT")


def tear_block(path: Path, block: int, before: bytes) -> None:
    """Damage a block as if only its first half had been written: the second half is that of `before`, or empty."""
    start = _HEADERS_BYTES + block * BLOCK_BYTES
    content = path.read_bytes()
    used = len(content[start : start + BLOCK_BYTES].rstrip(b"\0"))
    torn, end = start + used // 2, start + BLOCK_BYTES
    path.write_bytes(content[:torn] + before[torn:end].ljust(end - torn, b"\0") + content[end:])


def block_of(content: bytes, text: bytes) -> int:
    """Return the number of the block that contains the text, in a catalog with this content."""
    return (content.index(text, _HEADERS_BYTES) - _HEADERS_BYTES) // BLOCK_BYTES


def block_count(path: Path) -> int:
    return (path.stat().st_size - _HEADERS_BYTES) // BLOCK_BYTES


def stand_guard(folder: Path) -> None:
    """Make the copy that exists beside the catalog during a compaction."""
    guard = folder / "checkpoint.guard"
    guard.mkdir()
    for name in ("checkpoint.duckdb", "checkpoint.duckdb.wal"):
        shutil.copyfile(folder / name, guard / name)


def parts(folder: Path) -> dict[str, bytes]:
    """Return the parts by name. Each contains the id of its attempt: with equal bytes, it wasn't computed again."""
    return {path.name: path.read_bytes() for path in (folder / "results").glob("*.parquet")}


def part(folder: Path, batch_id: int) -> Path:
    return folder / "results" / f"part-{batch_id:012d}.parquet"


def go_on(folder: Path) -> list[Ended]:
    """Run; if that is refused, do what the hint says and run again. Return how each command ended."""
    first = fault_run.run(folder)
    if first.code == 0:
        return [first]
    fault_run.assert_told(first, "verify --repair")
    repair = fault_run.verify(folder, "--repair", "--yes")
    assert repair.code == 0, repair.talk
    assert "Traceback" not in repair.stderr
    again = fault_run.here("run", fault_run.TARGET, "--checkpoint-dir", folder)
    assert again.code == 0, again.talk
    return [first, repair, again]
