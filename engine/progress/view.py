"""The view of a run for front ends: immutable values of one instant, read under one lock.

Rows are *source* rows unless a name says otherwise, batch ids count from 0, and -1 is the frontier of
nothing. Every field has a default, so a test gives only the fields that it needs. Texts inside
`failures`, `retries` and `warnings` come from user code and data: escape them before they reach a screen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from engine.events import RunInfo
from engine.state import RunState

if TYPE_CHECKING:
    from datetime import datetime

    from engine.events import FailureRecord, RowsQuarantined

NOT_YET_ALL = 0.999
"""The greatest fraction before the run has finished, so that no screen shows 100 % before the end."""


class BatchState(IntEnum):
    """The state of one batch; the value of its byte in `RunView.batch_states`."""

    PENDING = 0
    RUNNING = 1
    COMPUTED = 2
    """All steps have finished; not durable yet."""
    COMMITTED = 3
    """Durable, by this run."""
    FAILED = 4
    EARLIER = 5
    """Durable already when this run began."""
    QUARANTINED = 6
    """Durable, by this run, without the rows of it that are in quarantine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step.

    `frontier` is the greatest batch id b such that this step has finished every batch up to b, never less than
    the committed frontier; `rows` are the source rows up to there and `fraction` their share of the source, None
    when its size is unknown. `rows_per_second` counts what the step has finished lately, in any order, and is 0 when
    nothing runs. `lag` is by how many batches the first step is ahead; `last_seconds` is the time of its latest
    batch, None before the first.
    """

    name: str
    frontier: int = -1
    rows: int = 0
    fraction: float | None = None
    rows_per_second: float = 0.0
    lag: int = 0
    last_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkView:
    """One sink: `frontier` is the greatest batch id that it has, -1 for none, None before it was asked."""

    name: str
    frontier: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """A batch that failed `attempt` times out of `max_attempts` and is being tried again.

    `step` is None for a fetch and the sink's name for a delivery; `seconds_until_next` is 0 during the next attempt.
    """

    batch_id: int
    step: str | None
    attempt: int
    max_attempts: int
    seconds_until_next: float
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run, or the place where the next one would start.

    Counters are of this run only; times don't change after its end. "Lately" is the last 5 seconds, or twice the p95
    batch time if that is longer.
    """

    state: RunState = RunState.IDLE
    stop_requested: bool = False
    stop_now: bool = False
    end_message: str = ""
    """Why the run ended, empty unless it failed."""

    run_id: int | None = None
    """None when no run has started since this checkpoint was opened, rewound or reset."""
    info: RunInfo = field(default_factory=RunInfo)
    """Its `source_rows` grow when the source has more than was estimated, and are exact after the end of the source."""
    nodes: int | None = None
    """The nodes of the cluster that works on the batches, None when this process does."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    elapsed_seconds: float = 0.0

    total_batches: int | None = None
    """Estimated from the rows to go and the batch size; None when unknown, exact after the end of the source."""

    frontier: int = -1
    """The committed one: the greatest batch id such that every batch up to it is durable."""
    rows_committed: int = 0
    """By all runs."""
    rows_committed_before: int = 0
    """By earlier runs."""
    batches_committed_before: int = 0
    fraction: float | None = None
    """Committed share of the source, 1.0 only when finished, None when the size is unknown."""
    eta_seconds: float | None = None
    """From this run's own pace; None until each worker has committed once, or when the size is unknown."""

    rows_per_second: float = 0.0
    """Committed lately; 0 when nothing runs."""
    batches_per_second: float = 0.0
    average_rows_per_second: float = 0.0
    """Committed since the run began."""
    average_batches_per_second: float = 0.0
    throughput: tuple[int, ...] = ()
    """Rows committed in each of the last 120 seconds, oldest first; the last second isn't over."""

    steps: tuple[StepView, ...] = ()
    sinks: tuple[SinkView, ...] = ()
    batch_states: bytes = b""
    """One `BatchState` for each batch id. Ids beyond its end are pending; never longer than `total_batches`."""
    batches_in_flight: int = 0

    batch_seconds_p50: float | None = None
    """The time of a batch (fetch, steps and write) within 1 %; None before the first commit."""
    batch_seconds_p95: float | None = None
    batch_seconds_max: float | None = None
    slowest_batch_id: int | None = None
    commit_seconds_last: float | None = None
    """The last transaction, for all batches that it made durable."""
    commit_seconds_per_batch: float | None = None

    rows_out: int = 0
    bytes_written: int = 0
    rows_quarantined: int = 0
    """In quarantine now, by all runs."""
    latest_quarantined: RowsQuarantined | None = None
    """The rows that this run quarantined last; their batch may not be committed yet."""

    retries: tuple[Retrying, ...] = ()
    """The batches that are being tried again now, by id."""
    retry_count: int = 0
    failures: tuple[FailureRecord, ...] = ()
    """The latest 100, oldest first, of earlier runs too; each has the id of its run."""
    failure_count: int = 0
    failure_count_all_runs: int = 0
    warnings: tuple[str, ...] = ()
    """The latest 100, oldest first, of earlier runs too."""
    warning_count: int = 0
    """Of all runs."""

    @property
    def rows_committed_in_run(self) -> int:
        """Source rows that this run made durable."""
        return self.rows_committed - self.rows_committed_before

    @property
    def batches_committed_in_run(self) -> int:
        """Batches that this run made durable."""
        return self.frontier + 1 - self.batches_committed_before

    @property
    def rows_to_go(self) -> int | None:
        """Source rows that aren't durable yet, None when the size is unknown."""
        return None if self.info.source_rows is None else self.info.source_rows - self.rows_committed


def fraction_of(rows: int, source_rows: int | None, *, finished: bool) -> float | None:
    """Return the share of the source, 1.0 when and only when finished, None when the size is unknown.

    >>> fraction_of(210_000, 336_000, finished=False)
    0.625
    >>> fraction_of(336_776, 336_776, finished=False)
    0.999
    """
    if finished:
        return 1.0
    if source_rows is None:
        return None
    return min(rows / source_rows, NOT_YET_ALL) if source_rows > 0 else 0.0
