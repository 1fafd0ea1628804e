"""Fakes of sources, steps, listeners and executors, for the tests of the engine and for yours.

They obey the same contracts as the real ones and pass the same contract tests. In addition, a test decides when they
fail and when they wait, and can read their calls. Nothing here sleeps.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from engine.batch import Batch
from engine.errors import SourceChanged
from engine.sources.base import SeekableFetcher, SourceSize
from engine.steps.base import BatchStep, StatefulBatchStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from engine.checkpoint.parts.manifest import Manifest
    from engine.events import Event, Listener
    from engine.sources.base import BatchFetcher, Position
    from engine.text.json_values import Json
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal

TIMEOUT_SECONDS = 60.0
"""How long a fake waits for something that should happen at once; then it raises `TimeoutError`."""

E = TypeVar("E")


class TransientError(Exception):
    """An error that doesn't come back at the next try, for tests of retry policies."""


def numbers(start_row: int, stop_row: int) -> pl.DataFrame:
    """Return the rows `start_row … stop_row - 1` of the sources here: one Int64 column `id`, the row's number."""
    return pl.DataFrame({"id": pl.Series(range(start_row, stop_row), dtype=pl.Int64)})


class NumberSource:
    """A plain callable over `rows` rows; change `rows` to let the source grow or shrink.

    `calls` are the requested batch ids, in order. `errors` maps a batch id to the errors to raise for it, one a call.
    """

    def __init__(self, rows: int, *, errors: Mapping[int, list[Exception]] | None = None) -> None:
        self.rows = rows
        self.calls: list[int] = []
        self.errors = {batch_id: list(queue) for batch_id, queue in (errors or {}).items()}

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the batch that begins at row `batch_id * batch_size`, None if there is no such row."""
        self.calls.append(batch_id)
        if self.errors.get(batch_id):
            raise self.errors[batch_id].pop(0)
        start = batch_id * batch_size
        stop = min(start + batch_size, self.rows)
        return Batch(batch_id, start, stop - 1, numbers(start, stop)) if start < stop else None


class SeekableNumbers(SeekableFetcher):
    """The same rows from a seekable source; with `concurrent` it is called from several threads."""

    def __init__(self, rows: int, *, concurrent: bool = False) -> None:
        self.rows = rows
        self.concurrent = concurrent
        self.calls: list[int] = []
        self.opened: list[Position] = []
        self.closed = 0
        self._next_row = 0

    def open(self, position: Position) -> None:
        """Go to the position."""
        super().open(position)
        self.opened.append(position)
        if position.next_row > self.rows:
            raise SourceChanged(f"{position.next_row:,} rows are committed, and there are now {self.rows:,}")
        self._next_row = position.next_row

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the batch."""
        self.calls.append(batch_id)
        ahead = (batch_id - self.position.next_batch_id) * batch_size
        start = self.position.next_row + ahead if self.concurrent else self._next_row
        stop = min(start + batch_size, self.rows)
        if start >= stop:
            return None
        self._next_row = stop
        return Batch(batch_id, start, stop - 1, numbers(start, stop))

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return `{"next_row": …}`."""
        return {"next_row": batch.end_row + 1}

    def identity(self) -> Mapping[str, Json]:
        """Return only the kind: a source that grows or shrinks stays the same one."""
        return {"kind": "numbers"}

    def size(self) -> SourceSize:
        """Return the exact number of rows."""
        return SourceSize(self.rows)

    def close(self) -> None:
        """Count the call."""
        self.closed += 1


class FailingStep(BatchStep):
    """Returns the batch, or raises the errors that `errors` has for its id, one per call.

    An error that isn't in a list is raised at every call. `calls` are the batch ids of the calls.
    """

    def __init__(
        self,
        name: str,
        errors: Mapping[int, BaseException | list[BaseException]],
        *,
        concurrent: bool = False,
    ) -> None:
        super().__init__(name)
        self.errors = {batch: list(error) if isinstance(error, list) else error for batch, error in errors.items()}
        self.concurrent = concurrent
        self.calls: list[int] = []

    def process(self, batch: Batch) -> Batch:
        """Raise or return the batch."""
        self.calls.append(batch.batch_id)
        error = self.errors.get(batch.batch_id)
        if isinstance(error, BaseException):
            raise error
        if error:
            raise error.pop(0)
        return batch


class PickyStep(BatchStep):
    """Adds 1 to `id` in a new column `next`, and raises ValueError for frames with an id that is in `bad`.

    `calls` has the ids of each call; `most_at_once` is the largest number of calls at the same time.
    """

    def __init__(self, name: str, bad: Iterable[int] = (), *, concurrent: bool = False) -> None:
        super().__init__(name)
        self.bad = set(bad)
        self.concurrent = concurrent
        self.calls: list[list[int]] = []
        self.most_at_once = 0
        self._inside = 0
        self._lock = threading.Lock()

    def process(self, batch: Batch) -> Batch:
        """Return the batch with the new column."""
        with self._lock:
            self._inside += 1
            self.most_at_once = max(self.most_at_once, self._inside)
            self.calls.append(batch.data["id"].to_list())
        try:
            for number in batch.data["id"]:
                if number in self.bad:
                    raise ValueError(f"{number} is bad")
            return batch.with_data(batch.data.with_columns(next=batch.data["id"] + 1))
        finally:
            with self._lock:
                self._inside -= 1


class GateStep(BatchStep):
    """Holds the batches in `held` until a test releases them; the others pass at once."""

    def __init__(self, name: str, *held: int, concurrent: bool = True) -> None:
        super().__init__(name)
        self.concurrent = concurrent
        self._held = set(held)
        self._arrived: set[int] = set()
        self._changed = threading.Condition()

    def process(self, batch: Batch) -> Batch:
        """Return the batch when it may pass."""
        with self._changed:
            self._arrived.add(batch.batch_id)
            self._changed.notify_all()
            _expect(self._changed, lambda: batch.batch_id not in self._held, f"gate for batch {batch.batch_id}")
        return batch

    def wait_for(self, *batch_ids: int) -> None:
        """Wait until all these batches have reached the gate."""
        with self._changed:
            _expect(self._changed, lambda: self._arrived.issuperset(batch_ids), f"batches {batch_ids} to arrive")

    def let_go(self, *batch_ids: int) -> None:
        """Release these batches; without arguments, release all."""
        with self._changed:
            self._held -= set(batch_ids or self._held)
            self._changed.notify_all()


class RunningTotal(StatefulBatchStep):
    """Adds the column `total`: the sum of `column` over all rows of all batches up to this one's."""

    def __init__(self, name: str, column: str = "id") -> None:
        super().__init__(name)
        self.column = column
        self.total = 0
        self.restored: list[Json] = []

    def process(self, batch: Batch) -> Batch:
        """Return the batch with the total so far."""
        totals = batch.data[self.column].cum_sum() + self.total
        self.total += int(batch.data[self.column].sum())
        return batch.with_data(batch.data.with_columns(totals.alias("total")))

    def snapshot(self) -> Json:
        """Return the total."""
        return {"total": self.total}

    def restore(self, state: Json) -> None:
        """Set the total; 0 at the start."""
        self.restored.append(state)
        self.total = state["total"] if isinstance(state, dict) else 0


class EventLog:
    """A listener that keeps every event; a test can wait for one."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        """Keep the event."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def all(self) -> list[Event]:
        """Return the events so far, in order."""
        with self._changed:
            return list(self._events)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in self.all() if isinstance(event, kind)]

    def wait_for(self, kind: type[E], count: int = 1) -> E:
        """Wait until there are `count` events of a kind; return the latest one."""
        with self._changed:
            _expect(self._changed, lambda: len(self.of(kind)) >= count, f"{count} × {kind.__name__}")
        return self.of(kind)[-1]


class InlineExecutor:
    """No threads: each batch is done in `submit`, in the thread of the batch loop. Deterministic, and slow."""

    workers = 1

    def __init__(self, window: int = 1) -> None:
        self.window = window

    def prepare(self, steps: Sequence[BatchStep], fetcher: BatchFetcher) -> None:
        """Do nothing: no preparation is needed."""

    def start(self, recipe: Recipe, *, stop: StopSignal, emit: Listener, on_done: Callable[[], None]) -> None:
        """Make the work from the recipe."""
        self._work = recipe.work(stop=stop, emit=emit)
        self._on_done = on_done

    def submit(self, batch_id: int) -> Future[Manifest | None]:
        """Do the batch now."""
        future: Future[Manifest | None] = Future()
        try:
            future.set_result(self._work(batch_id))
        except BaseException as error:  # noqa: BLE001 (as in every executor: the batch loop decides)
            future.set_exception(error)
        self._on_done()
        return future

    def shutdown(self) -> None:
        """Do nothing: no batch is in progress."""


def _expect(condition: threading.Condition, predicate: Callable[[], bool], what: str) -> None:
    if not condition.wait_for(predicate, TIMEOUT_SECONDS):
        raise TimeoutError(f"waited {TIMEOUT_SECONDS:.0f} seconds for {what}")
