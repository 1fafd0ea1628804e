"""Batches of files with row groups, such as Parquet: any batch, from any thread, each row group decoded once.

Invariant: where a batch begins and ends depends only on the footers, the position and the batch size. Between batches
at most a few row groups stay in memory, and none that takes more than `PIECE_BYTES`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from engine.batch import Batch
from engine.errors import SourceChanged, SourceError, UsageError, describe, raised_as
from engine.sources import files
from engine.sources.base import SeekableFetcher, SourceSize
from engine.sources.identity import changed
from engine.sources.memory import BatchBounds
from engine.sources.parquet.files import ColumnFiles
from engine.sources.parquet.footers import ParquetFormat
from engine.sources.parquet.hive import partitions
from engine.sources.parquet.row_group_cache import RowGroupCache
from engine.sources.parquet.versions import FileVersions
from engine.storage.working_folder import absolute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from engine.sources.base import Position
    from engine.sources.files import FileSource
    from engine.sources.parquet.file_format import FileFormat
    from engine.sources.parquet.files import RowGroup
    from engine.text.json_values import Json


class ColumnFilesFetcher(SeekableFetcher):
    """What the fetchers of files with row groups share; `ParquetFetcher` documents the arguments."""

    concurrent = True

    @property
    @abstractmethod
    def file_format(self) -> FileFormat:
        """The format of the files."""

    def __init__(self, source: FileSource, *, columns: Sequence[str] | None = None, hive: bool | None = None) -> None:
        self._source = source
        self._folder = absolute(".")
        self._hive = hive
        self._columns = None if columns is None else list(columns)
        if self._columns is not None and (not self._columns or len(set(self._columns)) < len(self._columns)):
            raise UsageError(f"columns must name at least one column, each once, not {self._columns}")

    def open(self, position: Position) -> None:
        """Read the footers of all files.

        Raises:
            SourceNotFound: there is no file.
            SourceError: a file can't be read, or doesn't match the first.
            SourceChanged: the files have fewer rows than are committed, or the committed rows end in another place.
            UsageError: the files lack one of `columns`.
        """
        super().open(position)
        self._found = files.find_files(
            self._source, self.file_format.suffixes, folder=self._folder, hive=self._hive is not False
        )
        paths = self._found.paths
        with raised_as(lambda error: SourceError(f"cannot read {self._source}: {describe(error)}")):
            self._versions = FileVersions(self._found, trailer=self.file_format.trailer)
        self._files = ColumnFiles(
            self.file_format,
            paths,
            self._columns,
            partitions=partitions(paths, self._found.roots, self._hive),
            batch_bytes=position.batch_bytes,
        )
        self._bounds = lru_cache(maxsize=1)(
            lambda batch_size: BatchBounds(self._files.groups, position.next_row, batch_size, position.batch_bytes)
        )
        self._cache = RowGroupCache(self._decode, first_row=position.next_row)
        if self._files.rows < position.next_row:
            raise SourceChanged(
                f"{position.next_row:,} rows of {self._source} are committed, but now it has {self._files.rows:,}"
            )
        if not position.accept_changes:
            self._compare(position.cursor or {}, position.next_row)

    def _compare(self, cursor: Mapping[str, Json], next_row: int) -> None:
        """Compare the files with what the cursor says of them. Raises `SourceChanged` if they are others."""
        self._versions.compare(cursor, self._found.file_at(cursor))
        if "row" in cursor and (self._found.file_at(cursor), cursor["row"]) != self._place(next_row):
            raise changed(
                f"the {next_row:,} committed rows of {self._source} ended at row {cursor['row']} of "
                f"{cursor['name']}, but now they end in another place: files before it have changed"
            )

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the batch. It shares memory with the row groups that it is a slice of."""
        import polars as pl

        bounds = self._bounds(batch_size)[batch_id - self.position.next_batch_id]
        if bounds is None:
            return None
        start, stop = bounds
        return Batch(batch_id, start, stop - 1, pl.concat(self._pieces(start, stop)))

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return the next row, the place of the row before it, and which version of its file was read."""
        next_row = batch.end_row + 1
        file, rows_done = self._place(next_row)
        place: dict[str, Json] = {} if self._found.fixed else {**self._found.cursor_to(file), "row": rows_done}
        return {"next_row": next_row, **place, **self._versions.as_cursor(file)}

    def notices(self) -> Sequence[str]:
        """Return which files are left out."""
        return self._found.left_out

    def identity(self) -> Mapping[str, Json]:
        """Return the source as the user gave it, so that a moved folder is still the same, and the columns."""
        hive: dict[str, Json] = {} if self._hive is None else {"hive": self._hive}
        return {
            "kind": self.file_format.kind,
            "source": files.source_as_json(self._source),
            "columns": self._columns,
            **hive,
        }

    def size(self) -> SourceSize:
        """Return the exact number of rows, from the footers."""
        return SourceSize(self._files.rows)

    def close(self) -> None:
        """Drop the decoded row groups and the parsed footers; there are none if `open` failed."""
        for opened in ("_bounds", "_cache", "_files"):
            vars(self).pop(opened, None)

    def _decode(self, group: RowGroup) -> pl.DataFrame:
        try:
            return self._files.decode(group)
        finally:
            self._versions.check(group.file)  # also after an error: that the file was replaced explains it

    def _pieces(self, start: int, stop: int) -> Iterator[pl.DataFrame]:
        def is_whole(group: RowGroup) -> bool:
            return start <= group.start and group.stop <= stop

        # No other batch needs a group that is completely in this one: it bypasses the cache. Adjacent groups are
        # decoded together, so that tiny row groups don't cost a query each.
        for (_, whole), run in groupby(self._files.groups_of(start, stop), lambda group: (group.file, is_whole(group))):
            groups = list(run)
            if whole:
                yield self._decode(replace(groups[0], stop=groups[-1].stop))
                continue
            for group in groups:
                yield self._cache.rows(group, max(start, group.start), min(stop, group.stop))

    def _place(self, next_row: int) -> tuple[int, int]:
        """Return the file of the row before `next_row`, and how many rows of that file come before `next_row`."""
        if next_row == 0:
            return 0, 0
        group = self._files.groups_of(next_row - 1, next_row)[0]
        return group.file, group.offset + next_row - group.start


class ParquetFetcher(ColumnFilesFetcher):
    """Fetches the rows of `source`: a Parquet file, a folder of `*.parquet`, a glob, or a list of these.

    Files are read in the order of their paths, those of a list in the order of the list. All files need the columns
    and dtypes of the first one. `columns` names the columns to read, which saves decoding the others; None reads all.

    Folders inside `source` that are named `key=value`, such as `year=2024/month=1`, are searched too, and each key is a
    column after those of the files, with the dtype that Polars infers from all its values. `hive=False` doesn't search
    them and adds no columns; `hive=True` also takes the folders above `source`.
    """

    @property
    def file_format(self) -> FileFormat:
        """Parquet."""
        return ParquetFormat()
