"""The contract of a source: how batches are asked for, and how a run finds its place again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.batch import Batch

if TYPE_CHECKING:
    from engine.policy import RetryPolicy
    from engine.text.json_values import Json

BatchFetcher = Callable[[int, int], "Batch | None"]
"""Any callable `(batch_id, batch_size) -> Batch | None`. It must give the same rows for the same two
numbers, every time; None means the end of the source, and nothing else."""


def answer_problem(answer: Any, batch_id: int) -> str:
    """Return what is wrong with a fetcher's answer other than None, empty when nothing is."""
    import polars as pl

    if not isinstance(answer, Batch):
        return f"it is a {type(answer).__name__}, not a Batch"
    for name in ("batch_id", "start_row", "end_row"):
        value = getattr(answer, name)
        if type(value) is not int:
            return f"its {name} is {value!r} of type {type(value).__name__}, not int"
    data: Any = answer.data
    if not isinstance(data, pl.DataFrame):
        return f"its data is a {type(data).__name__}, not a Polars DataFrame"
    if answer.batch_id != batch_id:
        return f"it says batch {answer.batch_id}"
    if data.height != answer.size:
        return (
            f"it says rows {answer.start_row:,} to {answer.end_row:,}, which are {answer.size:,}, "
            f"but holds {data.height:,}"
        )
    return ""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run starts: the first batch and source row to fetch, and the cursor committed before them.

    `cursor` is None when nothing is committed. Values that `cursor_after` returned come back as they were.
    """

    next_batch_id: int = 0
    next_row: int = 0
    cursor: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class SourceSize:
    """How many rows the source has, counted from its very start. `exact` is False for an estimate."""

    rows: int
    exact: bool = True


class SeekableFetcher(ABC):
    """A source that can go on from a cursor, with any batch size.

    Call order: `open(position)`, then fetches, then `close()`; all of it once a run. The first fetch is
    for `position.next_batch_id`. Unless `concurrent` is true, fetches come one at a time, in batch order,
    and are never repeated except after an error of the fetch itself. When it is true they come from
    several threads and in any order, and batch b starts at row
    `position.next_row + (b - position.next_batch_id) * batch_size`.
    After the end each further fetch returns None.
    """

    concurrent: bool = False

    retry: RetryPolicy | None = None
    """When to try a fetch again; None takes the pipeline's own policy."""

    plans: bool = False
    """True when `plan` and `fetch_planned` can take the place of fetches in order."""

    route: str = ""
    """How the rows are read, if there are several ways; known once it is open. For people to read."""

    def open(self, position: Position) -> None:
        """Get ready to fetch from `position` on.

        Raises:
            SourceNotFound: there is nothing to read at all.
            SourceChanged: the source ends before `position`.
        """
        self.position = position

    @abstractmethod
    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the batch: at most `batch_size` source rows, fewer only at the end. None is the end."""

    @abstractmethod
    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return where the source stands after `batch`, as a small JSON object without secrets.

        `batch` is as this fetcher returned it. A pure function of it, or of what was noted when it was
        fetched: it may be called from the thread that fetched it, before later fetches.
        """

    @abstractmethod
    def identity(self) -> Mapping[str, Json]:
        """Return what is read, as JSON values without secrets; a resume over another source is refused."""

    def plan(self, batch_id: int, batch_size: int) -> Mapping[str, Json] | None:
        """Return where the next batch begins and ends, as a small JSON object, without reading it; None is the end.

        Called in batch order, instead of fetches. What it returns goes to `fetch_planned` of this object, or of a copy
        of it in another process that was opened at the same position.
        """
        raise NotImplementedError

    def fetch_planned(self, batch_id: int, plan: Mapping[str, Json]) -> Batch:
        """Return the batch that was planned so; in any order, and again after an error."""
        raise NotImplementedError

    def size(self) -> SourceSize | None:
        """Return how many rows there are, or None when nobody knows. Called after `open`; must be cheap."""
        return None

    def close(self) -> None:  # noqa: B027
        """Let go of files and connections. Called once, also after a failure."""
