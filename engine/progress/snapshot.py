"""Make the view of one instant from the counters: pure, and cheap enough for 8 times a second."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.progress.view import SinkView, StepView, fraction_of

if TYPE_CHECKING:
    from engine.events import StopWasRequested
    from engine.progress.counters import Counters
    from engine.progress.view import RunView
    from engine.state import RunState

LATELY_SECONDS = 5.0


def snapshot(
    about: RunView, counters: Counters, *, state: RunState, stop: StopWasRequested | None, elapsed: float
) -> RunView:
    """Return `about`, the values that change rarely, completed by those of the counters at `elapsed` seconds."""
    live, finished = state.is_live, state.is_finished
    info = about.info
    outgrown = info.source_rows is not None and counters.rows_seen > info.source_rows
    if outgrown:
        info = replace(info, source_rows=counters.rows_seen, source_rows_exact=False)
    source_rows = info.source_rows
    total_batches = _total_batches(counters, source_rows, info.batch_size, finished=finished)
    forecast = None if source_rows is None or outgrown else source_rows - counters.rows
    p50, p95 = counters.percentiles()
    slowest_seconds, slowest_batch_id = counters.slowest or (None, None)
    lately = max(LATELY_SECONDS, 2 * (p95 or 0.0))
    return replace(
        about,
        state=state,
        stop_requested=stop is not None,
        stop_now=stop is not None and stop.now,
        elapsed_seconds=elapsed,
        info=info,
        total_batches=total_batches,
        frontier=counters.frontier,
        rows_committed=counters.rows,
        fraction=fraction_of(counters.rows, source_rows, finished=finished),
        eta_seconds=None if forecast is None else counters.eta_seconds(elapsed, forecast, info.workers),
        rows_per_second=counters.rows_recent.rate(elapsed, over=lately) if live else 0.0,
        batches_per_second=counters.batches_recent.rate(elapsed, over=lately) if live else 0.0,
        average_rows_per_second=counters.rows_done / elapsed if elapsed > 0 else 0.0,
        average_batches_per_second=counters.batches_done / elapsed if elapsed > 0 else 0.0,
        throughput=counters.rows_recent.values(elapsed),
        steps=tuple(
            StepView(
                name=step.name,
                frontier=step.frontier,
                rows=step.rows,
                fraction=fraction_of(step.rows, source_rows, finished=finished),
                rows_per_second=step.recent.rate(elapsed, over=lately) if live else 0.0,
                lag=max(0, counters.steps.steps[0].frontier - step.frontier),
                last_seconds=step.last_seconds,
            )
            for step in counters.steps.steps
        ),
        sinks=tuple(SinkView(name=name, frontier=frontier) for name, frontier in counters.sinks.items()),
        batch_states=bytes(memoryview(counters.states)[:total_batches]),
        batches_in_flight=len(counters.steps.in_flight),
        batch_seconds_p50=p50,
        batch_seconds_p95=p95,
        batch_seconds_max=slowest_seconds,
        slowest_batch_id=slowest_batch_id,
        commit_seconds_last=counters.commit_seconds_last,
        commit_seconds_per_batch=counters.commit_seconds / counters.commit_batches if counters.commit_batches else None,
        rows_out=counters.rows_out,
        rows_quarantined=about.rows_quarantined + counters.rows_quarantined,
        latest_quarantined=counters.latest_quarantined,
        bytes_written=counters.bytes_written,
        retries=counters.retrying(elapsed),
        retry_count=counters.retry_count,
        failure_count=counters.failure_count,
    )


def _total_batches(counters: Counters, source_rows: int | None, batch_size: int, *, finished: bool) -> int | None:
    """Return the committed batches plus the remaining rows divided by the present batch size."""
    if finished:
        return counters.frontier + 1
    if source_rows is None or batch_size < 1:
        return None
    return max(counters.batches_seen, counters.frontier + 1 + math.ceil((source_rows - counters.rows) / batch_size))
