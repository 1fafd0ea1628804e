"""A run as the catalog records it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from engine.state import RunState


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One call of `run()`. Datetimes are aware, in UTC; `ended_at` is None for a run that is running or crashed.

    It started with batch `first_batch_id`; `next_batch_id` was the first uncommitted batch when it ended. `rows_done`
    counts the source rows of its batches that were in the results when it ended. `retries` counts the retries of
    fetches, steps and deliveries; None for a run that is running or crashed. A run that failed and has no
    `next_batch_id` never began: its source was missing, or it was refused.
    """

    run_id: int
    started_at: datetime
    ended_at: datetime | None
    state: RunState
    first_batch_id: int
    next_batch_id: int | None
    rows_done: int | None
    batch_size: int
    host: str
    pid: int
    message: str
    retries: int | None = None
