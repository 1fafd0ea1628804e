"""The state and the numbers of a run: `Progress` applies its events, front ends pull one frozen `RunView`.

    reducer     Progress: the listener, its lock, and the view that it returns
    view        RunView and its parts, for front ends
    counters    the counters of one run
    steps       batches in flight and the frontier of each step
    rates       rows per second, lately and for the forecast
    quantiles   percentiles in fixed memory

Nothing here knows about frames, databases, terminals or the process's memory.
"""

from __future__ import annotations

from engine.progress.reducer import Progress
from engine.progress.view import BatchState, Retrying, RunView, SinkView, StepView

__all__ = ["BatchState", "Progress", "Retrying", "RunView", "SinkView", "StepView"]
