"""The contract of a source: how the engine asks for batches, and how a run finds its place again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.batch import Batch, SourceRow

if TYPE_CHECKING:
    import polars as pl

    from engine.policy import RetryPolicy
    from engine.text.json_values import Json

BatchFetcher = Callable[[int, int], "Batch | pl.DataFrame | pl.LazyFrame | None"]
"""Any callable `(batch_id, batch_size) -> Batch | None`. It must return the same rows for the same two
numbers, every time. None means the end of the source, and nothing else.

It may also return a frame, which is then the rows from `batch_id * batch_size` on: at most `batch_size`, fewer only in
the last batch. A frame without rows means the end, as a slice beyond the end of a frame does."""


def as_batch(answer: Any, batch_id: int, batch_size: int) -> Any:
    """Return a frame that a callable answered as the batch that it stands for, and any other answer as it is."""
    import polars as pl

    frame = answer.collect() if isinstance(answer, pl.LazyFrame) else answer
    if not isinstance(frame, pl.DataFrame) or frame.height > batch_size:
        return answer
    start_row = batch_id * batch_size
    return Batch(batch_id, start_row, start_row + frame.height - 1, frame) if frame.height else None


def answer_problem(answer: Any, batch_id: int) -> str:
    """Return what is wrong with an answer of a fetcher that is not None; an empty text if nothing is wrong."""
    import polars as pl

    if not isinstance(answer, Batch):
        long = isinstance(answer, pl.DataFrame | pl.LazyFrame)
        return f"it is a {type(answer).__name__}" + (" with more rows than the batch size" if long else ", not a Batch")
    for name in ("batch_id", "start_row", "end_row"):
        value = getattr(answer, name)
        if type(value) is not int:
            return f"its {name} is {value!r} of type {type(value).__name__}, not int"
    data: Any = answer.data
    if not isinstance(data, pl.DataFrame):
        return f"its data is a {type(data).__name__}, not a Polars DataFrame"
    if answer.batch_id != batch_id:
        return f"it says batch {answer.batch_id}"
    return _rows_problem(answer)


def _rows_problem(answer: Batch) -> str:
    unreadable: Any = answer.unreadable
    if not isinstance(unreadable, tuple) or not all(isinstance(row, SourceRow) for row in unreadable):
        return "its unreadable rows aren't a tuple of SourceRow"
    numbers = [row.row for row in unreadable]
    if numbers != sorted(set(numbers)) or not all(answer.start_row <= row <= answer.end_row for row in numbers):
        return "the numbers of its unreadable rows aren't ascending, or aren't those of this batch"
    held = answer.data.height + len(unreadable)
    if held != answer.size:
        return f"it says rows {answer.start_row:,} to {answer.end_row:,}, which are {answer.size:,}, but holds {held:,}"
    return ""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run starts: the first batch and source row to fetch, and the cursor committed before them.

    `cursor` is None if nothing is committed. Its values are those that `cursor_after` returned. `batch_bytes` is how
    much memory a batch may take, None if there is no bound; see `engine.sources.memory`. `accept_changes` says that the
    user accepts that what was read before the position has changed.
    """

    next_batch_id: int = 0
    next_row: int = 0
    cursor: Mapping[str, Json] | None = None
    batch_bytes: int | None = None
    accept_changes: bool = False


@dataclass(frozen=True, slots=True)
class SourceSize:
    """How many rows the source has in all, not only the ones still to read. `exact` is False for an estimate."""

    rows: int
    exact: bool = True


class SeekableFetcher(ABC):
    """A source that can continue from a cursor, with any batch size.

    Call order: `open(position)`, then fetches, then `close()`, once per run. The first fetch is for
    `position.next_batch_id`. If `concurrent` is false, the engine fetches one batch at a time, in batch order,
    and repeats a fetch only after it has failed. If it is true, fetches come from several threads and in any
    order; the bounds of a batch may then depend only on the position, the batch size and the source, so that a copy of
    the fetcher in another process gives the same batches. After the end, every further fetch returns None.
    """

    concurrent: bool = False

    retry: RetryPolicy | None = None
    """When to try a fetch again; None uses the policy of the pipeline."""

    plans: bool = False
    """True if the engine may call `plan` and `fetch_planned` instead of fetching in batch order."""

    route: str = ""
    """How the rows are read, if there are several ways; for people to read. It is known after `open`."""

    def open(self, position: Position) -> None:
        """Prepare to fetch from `position` on.

        Raises:
            SourceNotFound: there is nothing to read.
            SourceChanged: the source ends before `position`.
        """
        self.position = position

    @abstractmethod
    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the batch; None after the end of the source.

        It has `batch_size` source rows, and fewer if they would take more than `position.batch_bytes`, or at the end.
        Rows that can't be read count too; they are in `Batch.unreadable` instead of `data`.
        """

    @abstractmethod
    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return the position of the source after `batch`, as a small JSON object without secrets.

        `batch` is one that this fetcher returned. The result may depend only on it, or on what the fetcher
        recorded while it fetched it: the engine calls this from the thread that fetched it, before later fetches.
        """

    @abstractmethod
    def identity(self) -> Mapping[str, Json]:
        """Return what is read, as JSON values without secrets. A resume with another source is refused."""

    def plan(self, batch_id: int, batch_size: int) -> Mapping[str, Json] | None:
        """Return where the next batch begins and ends, as a small JSON object, without reading it; None after the end.

        The engine calls this in batch order, instead of fetching. It passes the result to `fetch_planned` of this
        object, or of a copy in another process that was opened at the same position.
        """
        raise NotImplementedError

    def fetch_planned(self, batch_id: int, plan: Mapping[str, Json]) -> Batch:
        """Return the batch of a plan. Calls come in any order, and again after an error."""
        raise NotImplementedError

    def read_row(self, row: SourceRow, text: str | None = None) -> pl.DataFrame:
        """Read a row of `Batch.unreadable` again: `text`, which a person has corrected, or None for its line now.

        Called after `open`. Return a frame of this one row, with the columns of a batch.

        Raises:
            SourceError: the row can't be read, or None was passed and its line isn't there any more.
        """
        raise NotImplementedError

    def continued_from(self, cursor: Mapping[str, Json]) -> int | None:  # noqa: ARG002
        """Return the first row before `cursor` that wasn't complete when it was read, and is another row now; or None.

        Called before `open`. If that row is in the last batch, the engine reads the batch again, and replaces it in one
        transaction.

        Raises:
            SourceNotFound, SourceChanged: as `open`.
        """
        return None

    def same_place(self, one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
        """Return whether two cursors are after the same rows; they may differ in how the rows were read."""
        return one == other

    def notices(self) -> Sequence[str]:
        """Return what people should know about what was read, one sentence each. Called before `close`."""
        return ()

    def size(self) -> SourceSize | None:
        """Return how many rows there are, or None if that is unknown. Called after `open`; it must be cheap."""
        return None

    def close(self) -> None:  # noqa: B027
        """Close files and connections. Called once, also after a failure."""
