"""The counters of one run. A new run, a rewind and a reset start with new counters.

The window of batches in flight limits the memory, except for one byte per batch in `states`.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from engine.events import (
    AttemptFailed,
    BatchCommitted,
    BatchFetched,
    BatchStarted,
    GroupCommitted,
    RowsQuarantined,
    SinkDelivered,
    StepFinished,
)
from engine.progress.quantiles import LogHistogram
from engine.progress.rates import Pace, SecondBuckets
from engine.progress.steps import StepFrontiers
from engine.progress.view import BatchState, Retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_PENDING_BYTE = bytes([BatchState.PENDING])
_EARLIER_BYTE = bytes([BatchState.EARLIER])


class Counters:
    """Counters of a run that starts after batch `frontier` (-1: none), which ends before source row `rows`.

    `elapsed` is in seconds since the run began. `rows_seen` and `batches_seen` are what the source has returned
    so far, which may be more than was estimated.
    """

    def __init__(self, steps: Sequence[str], *, frontier: int, rows: int, sinks: Sequence[str] = ()) -> None:
        self.steps = StepFrontiers(steps, frontier=frontier, rows=rows)
        self.states = bytearray(_EARLIER_BYTE) * (frontier + 1)
        self.frontier = frontier
        self.rows = rows
        self.rows_seen = rows
        self.batches_seen = frontier + 1
        self.rows_done = 0
        self.batches_done = 0
        self.rows_out = 0
        self.bytes_written = 0
        self.rows_quarantined = 0
        self.latest_quarantined: RowsQuarantined | None = None
        self.rows_recent = SecondBuckets()
        self.batches_recent = SecondBuckets()
        self.pace = Pace()
        self.batch_seconds = LogHistogram()
        self.slowest: tuple[float, int] | None = None
        self.commit_seconds_last: float | None = None
        self.commit_seconds = 0.0
        self.commit_batches = 0
        self.sinks: dict[str, int | None] = dict.fromkeys(sinks)
        self._sink_retries: dict[str, tuple[AttemptFailed, float]] = {}
        self.retry_count = 0
        self.failure_count = 0

    def batch_started(self, event: BatchStarted, _elapsed: float) -> None:
        """A batch is in flight."""
        if event.batch_id > self.frontier:
            self.steps.start(event.batch_id)
            self.mark(event.batch_id, BatchState.RUNNING)

    def batch_fetched(self, event: BatchFetched, _elapsed: float) -> None:
        """The number of its source rows is known."""
        self.steps.fetched(event.batch_id, rows=event.end_row - event.start_row + 1)
        self._saw(event.batch_id, event.end_row + 1)

    def step_finished(self, event: StepFinished, elapsed: float) -> None:
        """One step has finished the batch; it may be the last step."""
        if self.steps.finished(event.batch_id, event.step, seconds=event.seconds, elapsed=elapsed):
            self.mark(event.batch_id, BatchState.COMPUTED)

    def attempt_failed(self, event: AttemptFailed, elapsed: float) -> None:
        """It will be tried again."""
        self.retry_count += 1
        if event.step in self.sinks:
            self._sink_retries[event.step] = (event, elapsed + event.wait_seconds)
            return
        batch = self.steps.in_flight.get(event.batch_id)
        if batch is not None:
            batch.retry = (event, elapsed + event.wait_seconds)

    def rows_taken_out(self, event: RowsQuarantined, _elapsed: float) -> None:
        """Keep the latest event; the rows count when their batch is committed."""
        self.latest_quarantined = event

    def batch_committed(self, event: BatchCommitted, elapsed: float) -> None:
        """The frontier moves."""
        batch_id, rows = event.batch_id, event.end_row - event.start_row + 1
        self.frontier = max(self.frontier, batch_id)
        self.rows = max(self.rows, event.end_row + 1)
        self._saw(batch_id, event.end_row + 1)
        self.steps.committed(batch_id, self.rows)
        self.mark(batch_id, BatchState.QUARANTINED if event.rows_quarantined else BatchState.COMMITTED)
        self.rows_quarantined += event.rows_quarantined
        self.rows_done += rows
        self.batches_done += 1
        self.rows_out += event.rows_out
        self.bytes_written += event.bytes_written
        self.rows_recent.add(elapsed, rows)
        self.batches_recent.add(elapsed, 1)
        self.pace.add(elapsed, rows=self.rows_done, batches=self.batches_done)
        self.batch_seconds.add(event.seconds)
        if self.slowest is None or event.seconds > self.slowest[0]:
            self.slowest = (event.seconds, batch_id)

    def group_committed(self, event: GroupCommitted, _elapsed: float) -> None:
        """Add the time of a transaction, which committed one batch or more."""
        self.commit_seconds_last = event.seconds
        self.commit_seconds += event.seconds
        self.commit_batches += event.last_batch_id - event.first_batch_id + 1

    def sink_delivered(self, event: SinkDelivered, _elapsed: float) -> None:
        """A sink has the results up to a batch."""
        self.sinks[event.sink] = event.last_batch_id
        self._sink_retries.pop(event.sink, None)

    def failed(self, batch_id: int) -> None:
        """The run will end before this batch. A committed batch that a sink refused keeps its state."""
        if batch_id <= self.frontier:
            return
        self.steps.in_flight.pop(batch_id, None)
        self.batches_seen = max(self.batches_seen, batch_id + 1)
        self.mark(batch_id, BatchState.FAILED)

    def ended(self) -> None:
        """Batches in flight are lost: they are pending again, and the next run computes them from the start."""
        self._sink_retries.clear()
        for batch_id in self.steps.abandon(self.frontier, self.rows):
            self.mark(batch_id, BatchState.PENDING)

    def mark(self, batch_id: int, state: BatchState) -> None:
        """Set the state of a batch."""
        missing = batch_id + 1 - len(self.states)
        if missing > 0:
            self.states.extend(_PENDING_BYTE * missing)
        self.states[batch_id] = state

    def percentiles(self) -> tuple[float, float] | tuple[None, None]:
        """Return p50 and p95 of the batches' seconds, None before the first commit."""
        if self.slowest is None:
            return None, None
        p50, p95 = self.batch_seconds.quantiles(0.5, 0.95)
        return min(p50, self.slowest[0]), min(p95, self.slowest[0])

    def eta_seconds(self, elapsed: float, rows_to_go: int, workers: int) -> float | None:
        """Return the seconds to go at this run's pace, None before each worker has committed once.

        The first commits of several workers come together: a pace measured before that means nothing.
        """
        if rows_to_go == 0:
            return 0.0
        pace = self.pace.rows_per_second(elapsed)
        return rows_to_go / pace if self.batches_done >= max(2, workers) and pace > 0 else None

    def retrying(self, elapsed: float) -> tuple[Retrying, ...]:
        """Return the batches that are being tried again, by id."""
        waiting = [(batch_id, *batch.retry) for batch_id, batch in self.steps.in_flight.items() if batch.retry]
        waiting += [(failed.batch_id, failed, due) for failed, due in self._sink_retries.values()]
        return tuple(
            Retrying(
                batch_id=batch_id,
                step=failed.step,
                attempt=failed.attempt,
                max_attempts=failed.max_attempts,
                seconds_until_next=max(0.0, due - elapsed),
                error=failed.error,
            )
            for batch_id, failed, due in sorted(waiting, key=itemgetter(0))
        )

    def _saw(self, batch_id: int, rows: int) -> None:
        self.batches_seen = max(self.batches_seen, batch_id + 1)
        self.rows_seen = max(self.rows_seen, rows)


OF_BATCHES: dict[type[Any], Callable[[Counters, Any, float], None]] = {
    BatchStarted: Counters.batch_started,
    BatchFetched: Counters.batch_fetched,
    StepFinished: Counters.step_finished,
    AttemptFailed: Counters.attempt_failed,
    RowsQuarantined: Counters.rows_taken_out,
    BatchCommitted: Counters.batch_committed,
    GroupCommitted: Counters.group_committed,
    SinkDelivered: Counters.sink_delivered,
}
"""The method that counts each kind of event while a run is live."""
