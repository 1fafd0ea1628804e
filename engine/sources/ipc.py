"""Batches of Arrow IPC files, which are also known as Feather files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from engine.errors import raised_as
from engine.sources import ipc_footer
from engine.sources.parquet.fetcher import ColumnFilesFetcher
from engine.sources.parquet.file_format import FileFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import polars as pl


class _IpcFormat(FileFormat):
    name = "Arrow IPC"
    kind = "ipc"
    suffixes = (".arrow", ".feather", ".ipc")
    trailer = ipc_footer.TRAILER
    divisible = False  # Polars reads a record batch completely for any slice of it

    def scan(self, path: Path) -> pl.LazyFrame:
        import polars as pl

        return pl.scan_ipc(path, glob=False, hive_partitioning=False)

    def row_groups(self, paths: Sequence[Path], columns: Sequence[str] | None) -> Iterator[list[tuple[int, int]]]:  # noqa: ARG002
        for path in paths:
            with raised_as(partial(self.unreadable, path)):
                found = ipc_footer.record_batches(path)
            yield found


class IpcFetcher(ColumnFilesFetcher):
    """Fetches the rows of `source`: an Arrow IPC file, a folder of `*.arrow`, `*.feather` and `*.ipc`, a glob, a list.

    Feather files of version 2 are such files; the stream format of Arrow, which has no footer, can't be read. A record
    batch is read as a whole, so peak memory also depends on the largest one of the files. Order, `columns` and `hive`
    are those of `ParquetFetcher`.
    """

    @property
    def file_format(self) -> FileFormat:
        """Arrow IPC."""
        return _IpcFormat()
