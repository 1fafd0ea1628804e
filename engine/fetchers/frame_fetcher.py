"""Batches of a Polars frame: slices of a DataFrame, or one streaming pass over a LazyFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.batch import Batch
from engine.errors import SourceChanged, SourceError, describe
from engine.fetcher import SourceSize
from engine.fetchers.row_stream import behind
from engine.fetchers.stream_fetcher import StreamFetcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from engine.fetcher import Position
    from engine.jsonable import Json


class FrameFetcher(StreamFetcher):
    """Fetches the rows of `frame`.

    A DataFrame is sliced without a copy, for several batches at once. A LazyFrame is run once, in
    streaming mode, and never held whole; a resume runs it again and drops the rows that are done. So its
    plan must give the same rows in the same order every time: a group-by or a join needs a sort behind it.
    """

    def __init__(self, frame: pl.DataFrame | pl.LazyFrame) -> None:
        import polars as pl

        self._plan = frame.lazy()
        self._whole = frame if isinstance(frame, pl.DataFrame) else None
        self.concurrent = self._whole is not None

    def open(self, position: Position) -> None:
        """Get ready. For a LazyFrame behind its start this runs the plan up to the position.

        Raises:
            SourceChanged: the frame has fewer rows than are done.
        """
        if self._whole is None:
            super().open(position)
            return
        self.position = position
        if self._whole.height < position.next_row:
            raise SourceChanged(
                f"{position.next_row:,} rows of the frame are committed, and it now has {self._whole.height:,}"
            )

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the batch as a slice of the frame."""
        if self._whole is None:
            return super().__call__(batch_id, batch_size)
        start_row = self.position.next_row + (batch_id - self.position.next_batch_id) * batch_size
        data = self._whole.slice(start_row, batch_size)
        return Batch(batch_id, start_row, start_row + data.height - 1, data) if data.height else None

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return `{"next_row": …}`."""
        return {"next_row": batch.end_row + 1}

    def identity(self) -> Mapping[str, Json]:
        """Return the columns and their dtypes: all of a frame that is the same in another process."""
        import polars as pl

        try:
            schema = self._plan.collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _failed(error) from error
        return {"kind": "frame", "schema": {name: str(dtype) for name, dtype in schema.items()}}

    def size(self) -> SourceSize | None:
        """Return the exact number of rows, or None for a LazyFrame: counting would run its plan."""
        return None if self._whole is None else SourceSize(self._whole.height)

    def _frames_from(self, next_row: int) -> Iterator[pl.DataFrame]:
        frames = self._run(max(next_row - 1, 0))
        if not next_row:
            return frames
        return behind(
            SourceChanged(f"{next_row:,} rows of the lazy frame are committed, and it no longer has as many"), frames
        )

    def _run(self, offset: int) -> Iterator[pl.DataFrame]:
        import polars as pl

        try:
            yield from self._plan.slice(offset).collect_batches(maintain_order=True, engine="streaming")
        except pl.exceptions.PolarsError as error:
            raise _failed(error) from error


def _failed(error: Exception) -> SourceError:
    return SourceError(
        f"the lazy frame can't be run: {describe(error)}",
        hint="Collect it on its own to see the whole error: frame.collect(engine='streaming').",
    )
