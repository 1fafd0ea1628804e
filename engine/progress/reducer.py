"""The listener that turns the events of a run into views of it.

Invariant: one lock around every change and every view, so a view is of one instant; the run's state changes
only as the table in `engine.state` allows. It must not know who reads the views, nor what a batch holds.
"""

from __future__ import annotations

import time
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Any

from engine import events
from engine.errors import IllegalTransition
from engine.frontier import Frontier
from engine.progress.counters import OF_BATCHES, Counters
from engine.progress.snapshot import snapshot
from engine.progress.view import RunView
from engine.state import RunState, transition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KEPT = 100


class Progress:
    """Keeps the state of a run: call it with each event, from any thread, and call `view()` at any time.

    Before the first run the view shows where that run would start: `frontier` is the committed one, `state` is one in
    which nothing runs, `failures` are those of earlier runs, oldest first. `clock` returns seconds that never decrease.
    """

    def __init__(
        self,
        info: events.RunInfo,
        *,
        frontier: Frontier | None = None,
        state: RunState = RunState.IDLE,
        failures: Iterable[events.FailureRecord] = (),
        rows_quarantined: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # A signal handler runs in the main thread between any two bytecodes, maybe inside view(), and emits
        # StopWasRequested: a lock that isn't reentrant would hang the process there. The state and the stop, which
        # that event changes, are separate attributes: a `replace` of `_about` that is interrupted would undo them.
        self._lock = RLock()
        self._clock = clock
        self._state = state
        self._stop: events.StopWasRequested | None = None
        past = tuple(failures)
        frontier = Frontier() if frontier is None else frontier
        self._about = RunView(
            info=info,
            failures=past[-KEPT:],
            rows_quarantined=rows_quarantined,
            failure_count_all_runs=len(past),
        )
        self._restart_at(frontier.last_completed_batch_id, frontier.next_row)
        if state.is_finished:
            self._note_actual_size()
        if state is RunState.FAILED and past and past[-1].batch_id >= frontier.next_batch_id:
            self._counters.failed(past[-1].batch_id)
        self._reducers: dict[type[events.Event], Callable[[Any], None]] = {
            events.RunStarted: self._run_started,
            events.BatchFailed: self._batch_failed,
            events.StopWasRequested: self._stop_was_requested,
            events.RunEnded: self._run_ended,
            events.Warned: self._warned,
            events.ClusterSeen: self._cluster_seen,
            events.RowsReplayed: lambda _: None,  # after a replay the pipeline makes a new Progress
        }

    def __call__(self, event: events.Event) -> None:
        """Apply one event. Raises `IllegalTransition` for a start or an end that isn't possible in this state."""
        kind = type(event)
        with self._lock:
            count = OF_BATCHES.get(kind)
            if count is None:
                self._reducers[kind](event)
            elif self._state.is_live:  # a worker that was abandoned may still emit after the run's end
                count(self._counters, event, self._elapsed())

    @property
    def state(self) -> RunState:
        """The run's state, without the cost of a whole view."""
        return self._state

    def view(self) -> RunView:
        """Return the run as it is at this instant."""
        with self._lock:
            return snapshot(self._about, self._counters, state=self._state, stop=self._stop, elapsed=self._elapsed())

    def _elapsed(self) -> float:
        if self._began is None:
            return 0.0
        return (self._clock() if self._ended is None else self._ended) - self._began

    def _restart_at(self, frontier: int, rows: int) -> None:
        """Count from zero after batch `frontier`, which ends before source row `rows`."""
        self._began: float | None = None
        self._ended: float | None = None
        info = self._about.info
        self._counters = Counters(info.steps, frontier=frontier, rows=rows, sinks=info.sinks)
        self._about = replace(
            self._about,
            run_id=None,
            started_at=None,
            ended_at=None,
            end_message="",
            rows_committed_before=rows,
            batches_committed_before=frontier + 1,
        )

    def _note_actual_size(self) -> None:
        info = replace(self._about.info, source_rows=self._counters.rows, source_rows_exact=True)
        self._about = replace(self._about, info=info)

    def _run_started(self, event: events.RunStarted) -> None:
        self._state = transition(self._state, RunState.RUNNING)
        self._stop = None
        self._about = replace(self._about, info=event.info, rows_quarantined=event.rows_quarantined)
        self._restart_at(event.next_batch_id - 1, event.next_row)
        self._began = self._clock()
        self._about = replace(self._about, run_id=event.run_id, started_at=event.at)

    def _batch_failed(self, event: events.BatchFailed) -> None:
        self._about = replace(
            self._about,
            failures=(*self._about.failures, event.failure)[-KEPT:],
            failure_count_all_runs=self._about.failure_count_all_runs + 1,
        )
        self._counters.failure_count += 1
        if self._state.is_live:
            self._counters.failed(event.failure.batch_id)

    def _stop_was_requested(self, event: events.StopWasRequested) -> None:
        # The run may have ended while the stop was requested.
        if self._state.is_live:
            self._state = RunState.STOPPING
            if self._stop is None or event.now:
                self._stop = event

    def _run_ended(self, event: events.RunEnded) -> None:
        if event.state.is_live:
            raise IllegalTransition(f"a run can't end {event.state}")
        if self._about.run_id is None and not self._state.is_live:
            return  # a Ctrl-C came before its start was applied
        self._state = transition(self._state, event.state)
        self._ended = self._clock()
        self._about = replace(self._about, ended_at=event.at, end_message=event.message)
        self._counters.ended()
        if event.state.is_finished:
            self._note_actual_size()

    def _cluster_seen(self, event: events.ClusterSeen) -> None:
        info = replace(self._about.info, workers=event.workers)
        self._about = replace(self._about, nodes=event.nodes, info=info)

    def _warned(self, event: events.Warned) -> None:
        self._about = replace(
            self._about,
            warnings=(*self._about.warnings, event.message)[-KEPT:],
            warning_count=self._about.warning_count + 1,
        )
