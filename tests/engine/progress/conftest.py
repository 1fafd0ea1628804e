from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest

from engine import events
from engine.progress import Progress

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
STEPS = ("parse", "check")
NOTHING_KNOWN = events.RunInfo()
INFO = events.RunInfo(
    pipeline="flights.py",
    source="flights.parquet",
    checkpoint_dir="checkpoints",
    steps=STEPS,
    batch_size=10,
    workers=2,
    window=4,
    source_rows=100,
    source_rows_exact=True,
)
INFO_FIELDS = {field.name for field in fields(INFO)}


class Script:
    """Sends the events of a run with batches of 10 rows to a Progress; the test moves the clock."""

    def __init__(self, info=NOTHING_KNOWN, **position):
        self.now = 1_000.0
        self.progress = Progress(info, clock=lambda: self.now, **position)

    @property
    def view(self):
        return self.progress.view()

    def wait(self, seconds):
        self.now += seconds

    def run_starts(self, **changes):
        started = {"run_id": 1, "at": NOON, "info": INFO, "next_batch_id": 0, "next_row": 0} | changes
        info = {name: started.pop(name) for name in changes if name in INFO_FIELDS}
        self.progress(events.RunStarted(**started | {"info": replace(INFO, **info)}))

    def takes_up(self, batch_id):
        self.progress(events.BatchStarted(batch_id))

    def fetches(self, batch_id, *, start_row=None, rows=10):
        first = batch_id * 10 if start_row is None else start_row
        self.takes_up(batch_id)
        self.progress(events.BatchFetched(batch_id, first, first + rows - 1, 0.01))

    def finishes(self, step, batch_id, *, seconds=0.5):
        self.progress(events.StepFinished(batch_id, step, None, None, seconds))

    def commits(self, batch_id, *, start_row=None, rows=10, rows_out=9, seconds=1.0):
        first = batch_id * 10 if start_row is None else start_row
        self.progress(events.BatchCommitted(batch_id, first, first + rows - 1, rows_out, 1_000, seconds))

    def does(self, batch_id, *, start_row=None, rows=10, seconds=1.0):
        """Send the events of one whole batch."""
        self.fetches(batch_id, start_row=start_row, rows=rows)
        for step in STEPS:
            self.finishes(step, batch_id)
        self.commits(batch_id, start_row=start_row, rows=rows, seconds=seconds)

    def fails(self, batch_id, *, run_id=1):
        self.progress(
            events.BatchFailed(
                events.FailureRecord(
                    run_id=run_id,
                    at=NOON,
                    batch_id=batch_id,
                    start_row=batch_id * 10,
                    end_row=batch_id * 10 + 9,
                    step="check",
                    attempts=1,
                    error_type="CheckFailed",
                    message="1 row breaks the check",
                    hint="Mend it.",
                    traceback="Traceback…",
                )
            )
        )

    def stop_is_requested(self, *, now=False):
        self.progress(events.StopWasRequested(now))

    def run_ends(self, state, *, run_id=1, message=""):
        self.progress(events.RunEnded(run_id, NOON, state, message))


@pytest.fixture(scope="session")
def new_script():
    return Script


@pytest.fixture
def script():
    return Script()
