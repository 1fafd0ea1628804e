"""The paths of all files of a checkpoint. Names only: nothing here opens a file."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from engine.storage.files import StoredPath
    from engine.storage.objects import ObjectPath

# Exactly the names that are given: no other digits than 0 to 9, and no more zeros than `:012d` writes. A file with
# another name is a user's, and is never deleted or replaced.
_BATCH_ID = r"([0-9]{12}|[1-9][0-9]{12,})"
_ATTEMPT_ID = r"([0-9a-f]{16})"
_PART = re.compile(rf"part-{_BATCH_ID}\.parquet")
_QUARANTINE = re.compile(rf"batch-{_BATCH_ID}-{_ATTEMPT_ID}-(?:0|[1-9][0-9]*)\.parquet")
_TEMPORARY_PART = re.compile(rf"\.part-{_BATCH_ID}-{_ATTEMPT_ID}\.tmp")


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one checkpoint. Parts and quarantine are in its folder, or under `remote` in object storage.

    >>> from pathlib import Path
    >>> layout = Layout(Path("checkpoints"))
    >>> layout.part(5).name
    'part-000000000005.parquet'
    >>> layout.parse_temporary_part(layout.temporary_part(5, "0123456789abcdef").name)
    (5, '0123456789abcdef')
    """

    folder: Path
    remote: ObjectPath | None = None
    copied_to: Path | None = None
    """The folder of a copy of the catalog, for a reader. Everything else is read where it is."""

    @property
    def catalog(self) -> Path:
        """The DuckDB file, the only authority."""
        return (self.copied_to or self.folder) / "checkpoint.duckdb"

    @property
    def wal(self) -> Path:
        """DuckDB's write-ahead log of the catalog."""
        return (self.copied_to or self.folder) / "checkpoint.duckdb.wal"

    @property
    def guard(self) -> Path:
        """The copy of catalog and log that exists only while the catalog is being compacted."""
        return (self.copied_to or self.folder) / "checkpoint.guard"

    @property
    def frontier_file(self) -> Path:
        """The frontier for others to read."""
        return self.folder / "frontier.json"

    @property
    def lock(self) -> Path:
        """The lock file: a process that uses the checkpoint holds the lock on it."""
        return self.folder / "checkpoint.lock"

    @property
    def location(self) -> Path:
        """The file that says where parts and quarantine are, when they aren't in this folder."""
        return self.folder / "checkpoint.location.json"

    @property
    def results(self) -> StoredPath:
        """The folder of the parts."""
        return (self.remote or self.folder) / "results"

    @property
    def quarantine(self) -> StoredPath:
        """The folder of the rows in quarantine; it is made when there are any."""
        return (self.remote or self.folder) / "quarantine"

    def quarantine_file(self, batch_id: int, attempt_id: str, number: int) -> StoredPath:
        """One file of the quarantine. It has its final name from the start: the catalog says which attempts count."""
        return self.quarantine / f"batch-{batch_id:012d}-{attempt_id}-{number}.parquet"

    @staticmethod
    def parse_quarantine_file(name: str) -> tuple[int, str] | None:
        """Return batch id and attempt id in the name of a quarantine file, or None for any other name."""
        match = _QUARANTINE.fullmatch(name)
        return (int(match[1]), match[2]) if match else None

    def part(self, batch_id: int) -> StoredPath:
        """The committed results of a batch."""
        return self.results / f"part-{batch_id:012d}.parquet"

    def temporary_part(self, batch_id: int, attempt_id: str) -> StoredPath:
        """The part before the commit. `attempt_id` is unique for each attempt; the name never matches `*.parquet`."""
        return self.results / f".part-{batch_id:012d}-{attempt_id}.tmp"

    @staticmethod
    def parse_part(name: str) -> int | None:
        """Return the batch id in a part's name, or None for any other name."""
        match = _PART.fullmatch(name)
        return int(match[1]) if match else None

    @staticmethod
    def parse_temporary_part(name: str) -> tuple[int, str] | None:
        """Return batch id and attempt id in a temporary part's name, or None for any other name."""
        match = _TEMPORARY_PART.fullmatch(name)
        return (int(match[1]), match[2]) if match else None


def new_attempt_id() -> str:
    """Return a unique id for an attempt."""
    return secrets.token_hex(8)
