"""Batches of a generator function that yields frames of any height."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engine.batch import Batch
from engine.errors import SourceChanged, SourceError, UsageError
from engine.sources.base import SeekableFetcher
from engine.sources.memory import frame_bytes, rows_within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from engine.sources.base import Position
    from engine.text.json_values import Json


class GeneratorFetcher(SeekableFetcher):
    """Fetches the rows of the frames that `function()` yields: DataFrames, or LazyFrames that are run one by one.

    A resume calls the function again and skips the committed rows, so it must yield the same rows in the same order
    every time. It is called by the first fetch, not when a pipeline is looked at. All frames need the same columns. A
    generator function can be given to `BatchPipeline` as it is; this class is for a function that returns a generator,
    such as `GeneratorFetcher(lambda: pages("2024"))`.

    Raises:
        UsageError: `function` can't be called without arguments.
    """

    def __init__(self, function: Callable[[], Iterator[pl.DataFrame | pl.LazyFrame]]) -> None:
        if isinstance(function, Iterator) or not callable(function):
            raise _read_only_once(function)
        try:
            inspect.signature(function).bind()
        except TypeError as error:
            raise UsageError(
                f"the generator function {_name(function)} can't be called without arguments: {error}",
                hint="Bind them: functools.partial(function, …).",
            ) from error
        except ValueError:  # a function of C without a signature: the call will show it
            pass
        self._function = function

    def open(self, position: Position) -> None:
        """Prepare to fetch; the function is called by the first fetch."""
        super().open(position)
        self._next_row = position.next_row
        self._frames: Iterator[pl.DataFrame] | None = None
        self._rest: pl.DataFrame | None = None

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the next rows. Raises what the function raises; the next try then calls it again."""
        import polars as pl

        frames, rest = self._frames or self._started(), self._rest
        self._frames = self._rest = None  # what raises in the middle of a batch can't be continued
        taken: list[pl.DataFrame] = []
        rows, left = batch_size, self.position.batch_bytes
        while rows and (frame := rest if rest is not None else next(frames, None)) is not None:
            head = frame.head(min(rows, rows_within(frame, left)))
            if taken and left is not None and frame_bytes(head) > left:
                rest = frame
                break
            rest = frame.slice(head.height) if frame.height > head.height else None
            taken.append(head)
            rows -= head.height
            left = None if left is None else left - frame_bytes(head)
        self._frames, self._rest = frames, rest
        if not taken:
            return None
        try:
            data = pl.concat(taken)
        except pl.exceptions.PolarsError as error:
            raise SourceError(
                f"{_name(self._function)} yields frames with different columns: {error}",
                hint="All its frames need the same columns and dtypes.",
            ) from error
        start_row, self._next_row = self._next_row, self._next_row + data.height
        return Batch(batch_id, start_row, self._next_row - 1, data)

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return `{"next_row": …}`."""
        return {"next_row": batch.end_row + 1}

    def identity(self) -> Mapping[str, Json]:
        """Return the name of the function."""
        return {"kind": "generator", "source": _name(self._function)}

    def close(self) -> None:
        """End the generator, so that it closes what it has opened."""
        self._frames = self._rest = None

    def _started(self) -> Iterator[pl.DataFrame]:
        """Yield frames with rows, from the next row on."""
        import polars as pl

        wanted = self._next_row
        answer: Any = self._function()
        if not isinstance(answer, Iterator):
            raise UsageError(
                f"{_name(self._function)} returns a {type(answer).__name__}, not an iterator of frames",
                hint="Write it as a generator function: def rows(): yield frame.",
            )
        row = 0
        for given in answer:
            frame = given.collect() if isinstance(given, pl.LazyFrame) else given
            if not isinstance(frame, pl.DataFrame):
                raise SourceError(
                    f"{_name(self._function)} yields a {type(frame).__name__}, not a frame",
                    hint="It must yield Polars DataFrames, such as pl.DataFrame(rows).",
                )
            before, row = row, row + frame.height
            if row > before and row > wanted:
                yield frame.slice(max(wanted - before, 0))
        if row < wanted:
            raise SourceChanged(f"{wanted:,} rows of {_name(self._function)} are committed, but now it yields {row:,}")


def as_fetcher(given: Any) -> Any:
    """Return `given`, or a fetcher of it if it is a generator function.

    Raises:
        UsageError: it is a generator, which can be read only once.
    """
    if inspect.isgeneratorfunction(given) or inspect.isgeneratorfunction(getattr(given, "__call__", None)):  # noqa: B004
        return GeneratorFetcher(given)
    if isinstance(given, Iterator):
        raise _read_only_once(given)
    return given


def _read_only_once(given: object) -> UsageError:
    kind = type(given).__name__
    return UsageError(
        f"the source is a {kind}, which can be read only once" if isinstance(given, Iterator) else f"a {kind} is given",
        hint="A run that continues after a failure reads from the start again. Pass the generator function itself, "
        "without calling it.",
    )


def _name(function: object) -> str:
    inner = getattr(function, "func", function)  # of a functools.partial
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))
