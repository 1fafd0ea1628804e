"""What a checkpoint records besides its batches: its runs, its failures, and the descriptions of its pipeline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from engine.checkpoint import frontier_file
from engine.checkpoint.translate_errors import translated
from engine.state import RunState

if TYPE_CHECKING:
    from engine.checkpoint.catalog.ledger import Ledger
    from engine.checkpoint.catalog.records import RunRecord
    from engine.events import FailureRecord


class History:
    """The history of an open checkpoint. A rewind doesn't change it; a run number is never used twice."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._steps = _step_names(self.pipeline())  # kept: frontier.json is written after each commit

    def pipeline(self) -> str | None:
        """Return the latest description of the pipeline, None before the first run."""
        with self._ledger.reading() as catalog:
            recorded = catalog.pipeline()
        return recorded[1] if recorded else None

    def steps(self) -> tuple[str, ...]:
        """Return the names of the steps in the latest description."""
        return self._steps

    def runs(self, limit: int = 100) -> list[RunRecord]:
        """Return the newest runs first."""
        with self._ledger.reading() as catalog:
            return catalog.runs(limit)

    def failures(self, limit: int = 100) -> list[FailureRecord]:
        """Return the newest failures first."""
        with self._ledger.reading() as catalog:
            return catalog.failures(limit)

    def state(self) -> RunState:
        """Return the state of the pipeline between runs: that of its last run that began, unless the frontier moved."""
        with self._ledger.reading() as catalog:
            last = catalog.last_begun_run()
            rows_quarantined = catalog.rows_quarantined()
        next_batch_id = self._ledger.head.next_batch_id
        if last and last.next_batch_id == next_batch_id:
            if last.state.is_finished:  # the quarantine may have changed since
                return RunState.at_end(rows_quarantined)
            if last.state is RunState.FAILED:
                return RunState.FAILED
        return RunState.RESUMABLE if next_batch_id else RunState.IDLE

    def begin_run(self, *, batch_size: int, pipeline: str, changed: bool) -> int:
        """Record the start of a run, and the pipeline if it is new or has changed; return the run's number."""
        layout = self._ledger.layout
        with self._ledger.writing() as catalog:
            with catalog.transaction():
                run_id = catalog.add_run(first_batch_id=self._ledger.head.next_batch_id, batch_size=batch_size)
                if changed:
                    recorded = catalog.pipeline()
                    catalog.add_pipeline(recorded[0] + 1 if recorded else 1, run_id, pipeline)
            if changed:
                self._steps = _step_names(pipeline)
        with translated(layout.catalog):
            frontier_file.write(layout, self._ledger.head.frontier(self._steps))  # it names the steps
        return run_id

    def add_refused_run(self, *, batch_size: int, message: str) -> None:
        """Record a run that never began, if there was one before: a checkpoint without runs has no history."""
        with self._ledger.writing() as catalog, catalog.transaction():
            if catalog.pipeline() is not None:
                run_id = catalog.add_run(first_batch_id=self._ledger.head.next_batch_id, batch_size=batch_size)
                catalog.refuse_run(run_id, message)

    def end_run(self, run_id: int, state: RunState, message: str = "", *, retries: int = 0) -> None:
        """Record how a run ended, and how many retries it had."""
        with self._ledger.writing() as catalog:
            catalog.end_run(run_id, state, message, retries)

    def add_failure(self, failure: FailureRecord) -> None:
        """Record the batch that ended a run."""
        with self._ledger.writing() as catalog:
            catalog.add_failure(failure)


def _step_names(description: str | None) -> tuple[str, ...]:
    if description is None:
        return ()
    return tuple(step["name"] for step in json.loads(description)["steps"])
