"""From the counters of one instant to the view of it: pure, and cheap enough for 8 times a second."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.progress.view import StepView, fraction_of

if TYPE_CHECKING:
    from engine.events import StopWasRequested
    from engine.progress.tally import Tally
    from engine.progress.view import RunView
    from engine.state import RunState

LATELY_SECONDS = 5.0


def snapshot(
    about: RunView, tally: Tally, *, state: RunState, stop: StopWasRequested | None, elapsed: float
) -> RunView:
    """Return `about`, which holds what changes rarely, filled in with what the tally says at `elapsed` seconds."""
    live, finished = state.is_live, state.is_finished
    info = about.info
    outgrown = info.source_rows is not None and tally.rows_seen > info.source_rows
    if outgrown:
        info = replace(info, source_rows=tally.rows_seen, source_rows_exact=False)
    source_rows = info.source_rows
    total_batches = _total_batches(tally, source_rows, info.batch_size, finished=finished)
    forecast = None if source_rows is None or outgrown else source_rows - tally.rows
    p50, p95 = tally.percentiles()
    slowest_seconds, slowest_batch_id = tally.slowest or (None, None)
    lately = max(LATELY_SECONDS, 2 * (p95 or 0.0))
    return replace(
        about,
        state=state,
        stop_requested=stop is not None,
        stop_now=stop is not None and stop.now,
        elapsed_seconds=elapsed,
        info=info,
        total_batches=total_batches,
        frontier=tally.frontier,
        rows_committed=tally.rows,
        fraction=fraction_of(tally.rows, source_rows, finished=finished),
        eta_seconds=None if forecast is None else tally.eta_seconds(elapsed, forecast, info.workers),
        rows_per_second=tally.rows_recent.rate(elapsed, over=lately) if live else 0.0,
        batches_per_second=tally.batches_recent.rate(elapsed, over=lately) if live else 0.0,
        average_rows_per_second=tally.rows_done / elapsed if elapsed > 0 else 0.0,
        average_batches_per_second=tally.batches_done / elapsed if elapsed > 0 else 0.0,
        throughput=tally.rows_recent.values(elapsed),
        steps=tuple(
            StepView(
                name=step.name,
                frontier=step.frontier,
                rows=step.rows,
                fraction=fraction_of(step.rows, source_rows, finished=finished),
                rows_per_second=step.recent.rate(elapsed, over=lately) if live else 0.0,
                lag=max(0, tally.steps.steps[0].frontier - step.frontier),
                last_seconds=step.last_seconds,
            )
            for step in tally.steps.steps
        ),
        sinks=tally.sink_views(),
        batch_states=bytes(memoryview(tally.states)[:total_batches]),
        batches_in_flight=len(tally.steps.in_flight),
        batch_seconds_p50=p50,
        batch_seconds_p95=p95,
        batch_seconds_max=slowest_seconds,
        slowest_batch_id=slowest_batch_id,
        commit_seconds_last=tally.commit_seconds_last,
        commit_seconds_per_batch=tally.commit_seconds / tally.commit_batches if tally.commit_batches else None,
        rows_out=tally.rows_out,
        rows_quarantined=about.rows_quarantined + tally.rows_quarantined,
        latest_quarantined=tally.latest_quarantined,
        bytes_written=tally.bytes_written,
        retries=tally.retrying(elapsed),
        retry_count=tally.retry_count,
        failure_count=tally.failure_count,
    )


def _total_batches(tally: Tally, source_rows: int | None, batch_size: int, *, finished: bool) -> int | None:
    """Count what is committed as it was, and the rest at the present batch size."""
    if finished:
        return tally.frontier + 1
    if source_rows is None or batch_size < 1:
        return None
    return max(tally.batches_seen, tally.frontier + 1 + math.ceil((source_rows - tally.rows) / batch_size))
