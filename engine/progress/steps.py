"""The batches in flight, and how far each step is: no clock, no lock, no run.

Invariant: a step's frontier is the greatest batch id b such that the step has finished every batch up to b; it is
never less than the committed frontier. Batches finish out of order, so a batch that a step has finished ahead of its
frontier is noted as one bit in the batch's entry. An entry lives from the batch's start to its commit, so the run's
window bounds their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.progress.rates import SecondBuckets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.events import AttemptFailed


class InFlight:
    """One batch in flight. `retry` is the latest attempt that failed, and the second at which the next one is due."""

    __slots__ = ("done", "retry", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self.done = 0
        self.retry: tuple[AttemptFailed, float] | None = None


class Step:
    """One step: `frontier`, the source `rows` up to it, `recent` rows in any order, and its last duration."""

    __slots__ = ("bit", "frontier", "last_seconds", "name", "recent", "rows")

    def __init__(self, name: str, bit: int, frontier: int, rows: int) -> None:
        self.name = name
        self.bit = bit
        self.frontier = frontier
        self.rows = rows
        self.recent = SecondBuckets()
        self.last_seconds: float | None = None


class StepFrontiers:
    """All steps of a run that starts after batch `frontier`, which ends before source row `rows`.

    >>> steps = StepFrontiers(["parse"], frontier=-1, rows=0)
    >>> for batch_id in (0, 1):
    ...     steps.start(batch_id)
    ...     steps.fetched(batch_id, rows=10)
    >>> steps.finished(1, "parse", seconds=0.1, elapsed=1.0)
    True
    >>> steps.steps[0].frontier
    -1
    >>> steps.finished(0, "parse", seconds=0.1, elapsed=1.0)
    True
    >>> steps.steps[0].frontier, steps.steps[0].rows
    (1, 20)
    """

    __slots__ = ("_all_done", "_by_name", "in_flight", "steps")

    def __init__(self, names: Sequence[str], *, frontier: int, rows: int) -> None:
        self.steps = [Step(name, 1 << index, frontier, rows) for index, name in enumerate(names)]
        self.in_flight: dict[int, InFlight] = {}
        self._by_name = {step.name: step for step in self.steps}
        self._all_done = (1 << len(self.steps)) - 1

    def start(self, batch_id: int) -> None:
        """A batch starts, or starts again."""
        self.in_flight[batch_id] = InFlight()

    def fetched(self, batch_id: int, rows: int) -> None:
        """The number of its source rows is known."""
        entry = self.in_flight.get(batch_id)
        if entry is not None:
            entry.rows = rows
            entry.retry = None

    def finished(self, batch_id: int, name: str, *, seconds: float, elapsed: float) -> bool:
        """One step has finished a batch; return whether all steps have. Unknown batches and steps are ignored."""
        entry = self.in_flight.get(batch_id)
        step = self._by_name.get(name)
        if entry is None or step is None:
            return False
        entry.retry = None
        step.last_seconds = seconds
        if not entry.done & step.bit:
            entry.done |= step.bit
            step.recent.add(elapsed, entry.rows)
            if batch_id == step.frontier + 1:
                self._advance(step)
        return entry.done == self._all_done

    def committed(self, batch_id: int, rows: int) -> None:
        """A batch is durable, and with it the source up to row `rows`, exclusive."""
        self.in_flight.pop(batch_id, None)
        for step in self.steps:
            if step.frontier < batch_id:
                step.frontier = batch_id
                step.rows = rows
                self._advance(step)

    def abandon(self, frontier: int, rows: int) -> list[int]:
        """The run is over and what isn't committed is lost: return the batches that were in flight."""
        for step in self.steps:
            step.frontier = frontier
            step.rows = rows
        dropped = list(self.in_flight)
        self.in_flight.clear()
        return dropped

    def _advance(self, step: Step) -> None:
        while (entry := self.in_flight.get(step.frontier + 1)) is not None and entry.done & step.bit:
            step.frontier += 1
            step.rows += entry.rows
