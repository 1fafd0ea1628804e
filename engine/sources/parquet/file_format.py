"""What a file format must offer so that its files can be read by row groups: Parquet, and Arrow IPC.

What a reader raises, a panic included, becomes a `SourceError` that names the file and, if it can be found, the column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from engine.errors import SourceError, describe, raised_as

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import polars as pl

_ZONE_HINT = (
    "Only the names of the IANA database are known, such as UTC or Asia/Kolkata: write the file again with one of them."
)


class FileFormat(ABC):
    """A format whose files have a footer that says where their row groups are.

    `kind` is its name in identities. `trailer` is the number of bytes at a file's end that begin with the length of the
    footer. `divisible` says whether a part of a row group can be read without reading all of it.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    trailer: ClassVar[int]
    divisible: ClassVar[bool]

    @abstractmethod
    def scan(self, path: Path) -> pl.LazyFrame:
        """Return the rows of the file. Its name is taken literally."""

    @abstractmethod
    def row_groups(self, paths: Sequence[Path], columns: Sequence[str] | None) -> Iterator[list[tuple[int, int]]]:
        """Yield for each file a list of its row groups: the number of rows, and the bytes of `columns` in memory.

        Raises:
            SourceError: a file can't be read.
        """

    def columns_with_zone(self, path: Path) -> Sequence[str]:  # noqa: ARG002
        """Return the columns that may have a time zone: Polars names a zone that it doesn't know, but no column."""
        return ()

    def schema_of(self, path: Path) -> pl.Schema:
        """Return the columns of the file. Raises `SourceError` if it can't be read."""
        with raised_as(partial(self.unreadable, path)):
            return self.scan(path).collect_schema()

    def unreadable(self, path: Path, error: BaseException, columns: Sequence[str] = ()) -> SourceError:
        """Return the error for a file at which a library raised `error`; `columns` are those that can't be read."""
        hint = f"Check that the file is complete and is {self.name}; write it again, or take it out of the source."
        if "time zone" in str(error):
            hint = _ZONE_HINT
            columns = columns or self.columns_with_zone(path)
        named = f" ({'column' if len(columns) == 1 else 'columns'} {', '.join(map(repr, columns))})" if columns else ""
        return SourceError(f"cannot read {path} as {self.name}{named}: {describe(error)}", hint=hint)
