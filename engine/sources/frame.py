"""Batches of a Polars frame: slices of a DataFrame, or of the result of a LazyFrame, which is written to disk first.

Invariant: no row is returned before the whole plan has succeeded. Polars' streams can't promise that (see
`engine.sources.text.blocks`), so the plan is run into a temporary Parquet file, in one pass and with bounded memory.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from engine.batch import Batch
from engine.errors import SourceChanged, SourceError, UsageError, describe, raised_as
from engine.sources.base import SeekableFetcher, SourceSize
from engine.sources.parquet.fetcher import ParquetFetcher

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.sources.base import Position
    from engine.text.json_values import Json

SPOOL_ROW_GROUP = 100_000


class FrameFetcher(SeekableFetcher):
    """Fetches the rows of `frame`; several batches may be fetched at once.

    A DataFrame is sliced without a copy. A LazyFrame is run when the fetcher is opened, into a temporary
    file (in the folder that TMPDIR names) that needs space for all its rows; closing the fetcher deletes it, and a
    resume runs the plan again. So the plan must give the same rows in the same order every time: sort after a
    group-by or a join. To read files as they are, use `ParquetFetcher` or `CsvFetcher`: they write no such file.
    """

    concurrent = True

    def __init__(self, frame: pl.DataFrame | pl.LazyFrame) -> None:
        import polars as pl

        if not isinstance(frame, pl.DataFrame | pl.LazyFrame):
            raise UsageError(
                f"FrameFetcher needs a DataFrame or a LazyFrame of Polars, not a {type(frame).__name__}",
                hint="To read a file, a folder or a glob, use ParquetFetcher, CsvFetcher or another fetcher of files."
                if isinstance(frame, str | os.PathLike)
                else "Make a frame of it: pl.DataFrame(…).",
            )
        self._frame = frame
        self._folder: TemporaryDirectory[str] | None = None

    def __getstate__(self) -> dict[str, object]:
        """Return the frame alone, for another process: the temporary file belongs to this process."""
        return {"_frame": self._frame, "_folder": None}

    def open(self, position: Position) -> None:
        """Prepare to fetch; for a LazyFrame this runs the whole plan.

        Raises:
            SourceChanged: the frame has fewer rows than are committed.
            SourceError: the plan fails, or the disk has no space for its rows.
        """
        import polars as pl

        super().open(position)
        if isinstance(self._frame, pl.DataFrame):
            self._rows: pl.DataFrame | ParquetFetcher = self._frame
            self._height = self._frame.height
        else:
            spool = self._spool(self._frame)
            self._rows = ParquetFetcher(spool)
            self._height = pl.scan_parquet(spool, glob=False).select(pl.len()).collect().item()
        if self._height < position.next_row:
            raise SourceChanged(
                f"{position.next_row:,} rows of the frame are committed, but now it has {self._height:,}"
            )
        if isinstance(self._rows, ParquetFetcher):
            self._rows.open(position)

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the batch as a slice of the frame."""
        if isinstance(self._rows, ParquetFetcher):
            return self._rows(batch_id, batch_size)
        start_row = self.position.next_row + (batch_id - self.position.next_batch_id) * batch_size
        data = self._rows.slice(start_row, batch_size)
        return Batch(batch_id, start_row, start_row + data.height - 1, data) if data.height else None

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return `{"next_row": …}`."""
        return {"next_row": batch.end_row + 1}

    def identity(self) -> Mapping[str, Json]:
        """Return the columns and their dtypes: nothing else of a frame is the same in another process."""
        with raised_as(_failed):
            schema = self._frame.lazy().collect_schema()
        return {"kind": "frame", "schema": {name: str(dtype) for name, dtype in schema.items()}}

    def size(self) -> SourceSize:
        """Return the exact number of rows."""
        return SourceSize(self._height)

    def close(self) -> None:
        """Delete the temporary file, if there is one."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _spool(self, plan: pl.LazyFrame) -> Path:
        self._folder = TemporaryDirectory(prefix="batch-pipeline-", ignore_cleanup_errors=True)
        path = Path(self._folder.name) / "rows.parquet"
        with raised_as(lambda error: _no_space(path, error) if isinstance(error, OSError) else _failed(error)):
            # Snappy and no statistics: the file is written once and read once.
            plan.sink_parquet(path, compression="snappy", statistics=False, row_group_size=SPOOL_ROW_GROUP)
        return path


def _failed(error: BaseException) -> SourceError:
    return SourceError(
        f"the lazy frame can't be run: {describe(error)}",
        hint="To see the whole error, collect it yourself: frame.collect(engine='streaming').",
    )


def _no_space(path: Path, error: OSError) -> SourceError:
    return SourceError(
        f"cannot run the lazy frame into {path}: {describe(error)}",
        hint="The folder needs space for all its rows; the environment variable TMPDIR names another folder.",
    )
