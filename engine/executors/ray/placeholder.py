"""What stands on one machine in the place of a step that runs on another: what the engine has to know of it, alone.

A step that takes batches in order may hold what can't be sent, such as a connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.steps.base import BatchStep, StatefulBatchStep
from engine.worker.stage import is_ordered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.batch import Batch
    from engine.text.json_values import Json


def leading_count(steps: Sequence[BatchStep]) -> int:
    """Return how many leading steps may have any batch at any time."""
    return next((number for number, step in enumerate(steps) if is_ordered(step)), len(steps))


def with_stand_ins(steps: Sequence[BatchStep]) -> tuple[BatchStep, ...]:
    """Return the leading steps that may have any batch at any time, and stand-ins for all behind them."""
    length = leading_count(steps)
    return (*steps[:length], *(_stand_in(step) for step in steps[length:]))


def _stand_in(step: BatchStep) -> BatchStep:
    made = _AbsentMemory(step.name) if isinstance(step, StatefulBatchStep) else _Absent(step.name)
    made.row_wise = step.row_wise
    made.on_error = step.on_error
    return made


class _Absent(BatchStep):
    def process(self, batch: Batch) -> Batch:
        raise _not_here(self, batch)


class _AbsentMemory(StatefulBatchStep):
    def process(self, batch: Batch) -> Batch:
        raise _not_here(self, batch)

    def snapshot(self) -> Json:
        return None

    def restore(self, state: Json) -> None:
        """There is no state here."""


def _not_here(step: BatchStep, batch: Batch) -> AssertionError:
    return AssertionError(f"step '{step.name}' was given batch {batch.batch_id}, but runs on another machine")
