"""The events of a run: immutable facts in the past tense, with scalars and ids only.

A run emits them from its own threads. A listener must be quick and must not raise: an error of a listener is logged,
and the run continues. Within one batch the order is BatchStarted, BatchFetched, StepFinished for each step,
BatchCommitted; between batches the only promise is that BatchCommitted comes in batch order. Times are seconds;
datetimes are aware, UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from engine.state import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """The source and the settings of a run. `source` has no secrets; `steps` and `sinks` are names, in order."""

    pipeline: str = ""
    source: str = ""
    checkpoint_dir: str = ""
    steps: tuple[str, ...] = ()
    batch_size: int = 0
    workers: int = 0
    """How many batches are worked on at the same time."""
    window: int = 0
    """How many batches may be in flight."""
    source_rows: int | None = None
    """None when the size is unknown."""
    source_rows_exact: bool = False
    sinks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run has started at `next_batch_id`, the first batch that isn't committed.

    `rows_quarantined` are in quarantine from earlier runs.
    """

    run_id: int
    at: datetime
    info: RunInfo
    next_batch_id: int
    next_row: int
    rows_quarantined: int = 0


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """The run's cluster has `nodes` nodes alive, and works on `workers` batches at the same time."""

    nodes: int
    workers: int


@dataclass(frozen=True, slots=True)
class BatchStarted:
    """A worker has started with the batch."""

    batch_id: int


@dataclass(frozen=True, slots=True)
class BatchFetched:
    """The source rows are in memory."""

    batch_id: int
    start_row: int
    end_row: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StepFinished:
    """One step has finished one batch. Fused steps finish together and share `seconds` evenly.

    `rows_in` and `rows_out` are None for a step inside a fused plan, where rows aren't counted.
    """

    batch_id: int
    step: str
    rows_in: int | None
    rows_out: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """An attempt failed with a transient error; the next one starts after `wait_seconds`.

    `step` is None for a fetch, and the sink's name for a delivery.
    """

    batch_id: int
    step: str | None
    attempt: int
    max_attempts: int
    error: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class RowsQuarantined:
    """`step` can't process `rows` rows of a batch; `error` is that of the first one.

    They are in quarantine when the batch is committed.
    """

    batch_id: int
    step: str
    rows: int
    error: str


@dataclass(frozen=True, slots=True)
class RowsReplayed:
    """Rows of a batch were moved from the quarantine to the results; `still` rows of the batch stay in quarantine."""

    batch_id: int
    rows: int
    still: int


@dataclass(frozen=True, slots=True)
class BatchCommitted:
    """The batch is durable and the frontier is at it. `seconds` is the time of fetch, steps and write."""

    batch_id: int
    start_row: int
    end_row: int
    rows_out: int
    bytes_written: int
    seconds: float
    rows_quarantined: int = 0


@dataclass(frozen=True, slots=True)
class GroupCommitted:
    """One transaction made the batches from the first to the last id durable, both inclusive."""

    first_batch_id: int
    last_batch_id: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SinkDelivered:
    """The sink of this name has the results of all batches up to `last_batch_id`, -1 for none."""

    sink: str
    last_batch_id: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """The failure that ended a run before `batch_id`, as the catalog records it.

    `step` is None when the source failed, and the sink's name when a delivery failed. `start_row` and `end_row` are
    None when the rows of the batch aren't known. `row_numbers` are rows of the source where the step could name them,
    empty otherwise; `examples` is a small table of those rows as (column names, rows of texts). All texts come from
    user code and data: mask and escape them before they reach a screen.
    """

    run_id: int
    at: datetime
    batch_id: int
    start_row: int | None
    end_row: int | None
    step: str | None
    attempts: int
    error_type: str
    message: str
    hint: str
    traceback: str
    row_numbers: tuple[int, ...] = ()
    examples: tuple[tuple[str, ...], tuple[tuple[str, ...], ...]] = ((), ())


@dataclass(frozen=True, slots=True)
class BatchFailed:
    """The batch can't be finished, and the run ends before it."""

    failure: FailureRecord


@dataclass(frozen=True, slots=True)
class StopWasRequested:
    """The run was asked to stop: after the batches in flight, or `now`."""

    now: bool


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over and its checkpoint is closed. `state` is finished, incomplete, resumable or failed.

    `message` is empty unless it failed.
    """

    run_id: int
    at: datetime
    state: RunState
    message: str = ""


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that the user should know and that doesn't end the run."""

    message: str


Event = (
    RunStarted
    | ClusterSeen
    | BatchStarted
    | BatchFetched
    | StepFinished
    | AttemptFailed
    | RowsQuarantined
    | RowsReplayed
    | BatchCommitted
    | GroupCommitted
    | SinkDelivered
    | BatchFailed
    | StopWasRequested
    | RunEnded
    | Warned
)

Listener = Callable[[Event], None]
