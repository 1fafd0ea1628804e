"""Where a run stands: events are folded into one frozen `RunView` that front ends pull.

    fold        Progress: the listener, its lock, and the view it hands out
    view        RunView and its parts: what a front end sees
    tally       the counters that start anew with each run
    steps       batches in flight and the frontier of each step
    rates       rows per second, lately and for the forecast
    quantiles   percentiles in fixed memory

Nothing here knows of frames, databases, terminals or the process's memory.
"""

from __future__ import annotations

from engine.progress.fold import Progress
from engine.progress.view import BatchState, Retrying, RunView, SinkView, StepView

__all__ = ["BatchState", "Progress", "Retrying", "RunView", "SinkView", "StepView"]
