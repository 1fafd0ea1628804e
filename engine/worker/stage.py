"""One stage of a chain: a step, or neighbouring steps that run as one lazy plan, and how a batch goes through it.

Unless its steps are declared safe for several batches at once, a turnstile lets batches through a stage one at a time,
in order, and a lock keeps out a batch that is tried again for its bad rows. A stage must not know what is done about a
failure.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from engine.batch import Batch
from engine.errors import StepFailed, StepResultInvalid
from engine.steps.base import LazyBatchStep, StatefulBatchStep
from engine.text.json_values import json_copy
from engine.worker.retrying import call_with_retries
from engine.worker.signals import Turnstile
from engine.worker.time_limit import call_with_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from engine.events import Listener
    from engine.policy import RetryPolicy
    from engine.steps.base import BatchStep
    from engine.text.json_values import Json
    from engine.worker.signals import StopSignal

T = TypeVar("T")

# If a filter or selection moved before an earlier step, that step wouldn't see rows and columns on which it raises when
# it runs alone, and a bad value would pass without an error.
_AS_WRITTEN = pl.QueryOptFlags(predicate_pushdown=False, projection_pushdown=False)


@dataclass(eq=False)
class Stage:
    """One or more steps that run as one. Call `enter`, `process`, `leave`; `process` may be called several times.

    `states` are the snapshots before the first batch.
    """

    steps: tuple[BatchStep, ...]
    first_batch_id: int
    retry: RetryPolicy
    states: Mapping[str, Json]
    stop: StopSignal
    emit: Listener

    def __post_init__(self) -> None:
        self.names = tuple(step.name for step in self.steps)
        self.row_wise = all(step.row_wise and not isinstance(step, StatefulBatchStep) for step in self.steps)
        stateful = [step.name for step in self.steps if isinstance(step, StatefulBatchStep)]
        self._states = {name: json_copy(self.states.get(name)) for name in stateful}
        ordered = any(is_ordered(step) for step in self.steps)
        self._order = Turnstile(self.first_batch_id) if ordered else None
        # The turnstile lets one batch in at a time; a batch with bad rows is tried again after its turn.
        self._alone: AbstractContextManager[object] = threading.Lock() if ordered else nullcontext()

    @property
    def ordered(self) -> bool:
        """Whether batches go through one at a time."""
        return self._order is not None

    def enter(self, batch_id: int) -> None:
        """Wait for this batch's turn."""
        if self._order is not None:
            self._order.enter(batch_id)

    def leave(self, batch: Batch, states: dict[str, Json]) -> None:
        """Put the snapshots after this batch into `states`, and let the next batch in."""
        for step in self.steps:
            if isinstance(step, StatefulBatchStep):
                states[step.name] = self._states[step.name] = _snapshot(step, batch)
        if self._order is not None:
            self._order.leave()

    def cancel_from(self, batch_id: int) -> None:
        """Cancel the waits of this batch and all later ones for their turns."""
        if self._order is not None:
            self._order.break_at(batch_id)

    def process(self, batch: Batch) -> tuple[Batch, int]:
        """Return what the steps make of the batch, or of a part of it, and how many tries it took."""
        if len(self.steps) > 1:
            try:
                return batch.with_data(_fused(self.steps, batch.data)), 1
            except (Exception, pl.exceptions.PanicException):  # noqa: S110, BLE001 (the single steps show which)
                pass
        attempts = 1
        for step in self.steps:
            batch, tries = self._one(step, batch)
            attempts = max(attempts, tries)
        return batch, attempts

    def _one(self, step: BatchStep, batch: Batch) -> tuple[Batch, int]:
        first = True

        def attempt() -> object:
            nonlocal first
            # A failed attempt must have no effect: a clone costs nothing and protects a retry from a step that changes
            # its frame in place, and a stateful step returns to its state after the last batch.
            if not first:
                self._restore(step)
            first = False
            given = batch.with_data(batch.data.clone())
            with self._alone:
                if step.timeout_seconds is None:
                    return step.process(given)
                return call_with_limit(lambda: step.process(given), step.timeout_seconds)

        def failed(error: BaseException, attempts: int) -> StepFailed:
            self._restore(step)
            failure = StepFailed(step.name, batch.batch_id, batch.start_row, batch.end_row, error, attempts=attempts)
            failure.input = batch.data
            return failure

        result, attempts = call_with_retries(
            attempt,
            step.retry or self.retry,
            stop=self.stop,
            emit=self.emit,
            batch_id=batch.batch_id,
            step=step.name,
            failed=failed,
            as_it_is=StepResultInvalid,
        )
        return _checked(result, batch, step.name), attempts

    def restore(self) -> None:
        """Restore the stateful steps to their state after the last batch."""
        for step in self.steps:
            self._restore(step)

    def _restore(self, step: BatchStep) -> None:
        if isinstance(step, StatefulBatchStep):
            step.restore(json_copy(self._states[step.name]))


def is_ordered(step: BatchStep) -> bool:
    """Return whether a step takes batches one at a time, in their order."""
    return not step.concurrent or isinstance(step, StatefulBatchStep)


def segments_of(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Return the segments: row-wise neighbours together, each other stage alone."""
    return _neighbours(stages, lambda before, stage: before.row_wise and stage.row_wise)


def fusible_groups(steps: Sequence[BatchStep], *, apart: bool) -> list[list[BatchStep]]:
    """Group neighbouring steps that can be fused; each other step is a group of one.

    `apart` keeps row-wise steps and others in different groups.
    """

    def together(before: BatchStep, step: BatchStep) -> bool:
        return _can_fuse(before) and _can_fuse(step) and not (apart and step.row_wise != before.row_wise)

    return _neighbours(steps, together)


def _neighbours(items: Iterable[T], together: Callable[[T, T], bool]) -> list[list[T]]:
    """Return the items in groups: each joins the one before it if the two belong together."""
    groups: list[list[T]] = []
    for item in items:
        if groups and together(groups[-1][-1], item):
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _can_fuse(step: BatchStep) -> bool:
    # A subclass that overrides `process` does something else than its plan.
    return (
        isinstance(step, LazyBatchStep)
        and not is_ordered(step)
        and step.retry is None
        and step.timeout_seconds is None
        and type(step).process is LazyBatchStep.process
    )


def _fused(steps: Sequence[BatchStep], frame: pl.DataFrame) -> pl.DataFrame:
    plan = frame.lazy()
    for step in steps:
        if isinstance(step, LazyBatchStep):
            plan = step.lazy(plan)
    result = plan.collect(optimizations=_AS_WRITTEN)
    if not result.width:
        raise ValueError("no columns")
    return result


def _checked(result: Any, batch: Batch, step: str) -> Batch:
    """Return the result of a step, checked, with the bounds of `batch`. Raises `StepResultInvalid`."""
    if not isinstance(result, Batch):
        what = "nothing (None)" if result is None else f"a {type(result).__name__} instead of a Batch"
        raise StepResultInvalid(step, batch.batch_id, what)
    data: Any = result.data
    if not isinstance(data, pl.DataFrame):
        what = f"a batch that holds a {type(data).__name__} instead of a Polars DataFrame"
        raise StepResultInvalid(step, batch.batch_id, what)
    if not data.width:
        raise StepResultInvalid(step, batch.batch_id, "a frame without any column")
    if (result.batch_id, result.start_row, result.end_row) != (batch.batch_id, batch.start_row, batch.end_row):
        what = f"batch {result.batch_id} with rows {result.start_row} to {result.end_row}"
        raise StepResultInvalid(step, batch.batch_id, what)
    return batch.with_data(result.data)


def _snapshot(step: StatefulBatchStep, batch: Batch) -> Json:
    """Return the state as it will be restored: a copy, since the step keeps changing its own."""
    try:
        snapshot: Json = json_copy(step.snapshot())
    except (TypeError, ValueError) as error:
        raise StepResultInvalid(step.name, batch.batch_id, f"a snapshot that can't be stored ({error})") from error
    except Exception as error:
        raise StepFailed(step.name, batch.batch_id, batch.start_row, batch.end_row, error) from error
    return snapshot
