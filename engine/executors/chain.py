"""The steps as a chain of links that a batch is taken through.

Neighbouring steps that are Polars expressions become one link: one lazy plan, which Polars optimises as
a whole. Every other step is a link of its own; unless it is declared safe to run on several batches at
once, a turnstile lets batches through it one at a time, in order.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.batch import Batch
from engine.checkpoint.manifest import StepTiming
from engine.errors import StepFailed, StepResultInvalid
from engine.events import StepFinished
from engine.executors import retrying
from engine.executors.signals import Abandoned, Turnstile
from engine.jsonable import stored
from engine.policy import NEVER
from engine.step import LazyBatchStep, StatefulBatchStep

# A filter or selection pushed ahead of an earlier step would skip rows and columns on which that step raises
# when it runs by itself, and a bad value would pass without a word.
_AS_WRITTEN = pl.QueryOptFlags(predicate_pushdown=False, projection_pushdown=False)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.events import Listener
    from engine.executors.signals import StopSignal
    from engine.jsonable import Json
    from engine.policy import RetryPolicy
    from engine.step import BatchStep


@dataclass(frozen=True, slots=True)
class Processed:
    """What the whole chain made of a batch."""

    frame: pl.DataFrame
    timings: tuple[StepTiming, ...]
    states: dict[str, Json] | None
    attempts: int


class StepChain:
    """Takes batches through all steps. `states` are what the stateful steps were restored from, by name."""

    def __init__(
        self,
        steps: Sequence[BatchStep],
        *,
        first_batch_id: int,
        retry: RetryPolicy | None,
        stop: StopSignal,
        emit: Listener,
        states: Mapping[str, Json] | None = None,
    ) -> None:
        self._stop = stop
        self._emit = emit
        self._links = [_Link(tuple(group), first_batch_id, retry or NEVER, states or {}) for group in _grouped(steps)]

    @property
    def ordered(self) -> bool:
        """Whether there is a step that takes batches one at a time."""
        return any(link.ordered for link in self._links)

    def process(self, batch: Batch) -> Processed:
        """Return the results of one batch.

        Raises:
            StepFailed: a step raised; the first one that did.
            StepResultInvalid: a step returned something that isn't its batch.
            Abandoned: the run is stopping, or an earlier batch failed.
        """
        timings: list[StepTiming] = []
        states: dict[str, Json] = {}
        attempts = 1
        for link in self._links:
            if self._stop.now:
                raise Abandoned
            started = time.perf_counter()
            rows_in = batch.data.height
            batch, tries = link.process(batch, states, self._stop, self._emit)
            seconds = time.perf_counter() - started
            timings.append(StepTiming(link.names, seconds, rows_in, batch.data.height))
            attempts = max(attempts, tries)
            self._announce(link, batch, rows_in, seconds)
        return Processed(batch.data, tuple(timings), states or None, attempts)

    def give_up(self, batch_id: int) -> None:
        """Let everyone go who waits for a turn behind this batch: it has failed."""
        for link in self._links:
            link.give_up(batch_id)

    def _announce(self, link: _Link, batch: Batch, rows_in: int, seconds: float) -> None:
        last = len(link.names) - 1
        for position, name in enumerate(link.names):
            rows_before = rows_in if position == 0 else None
            rows_after = batch.data.height if position == last else None
            self._emit(StepFinished(batch.batch_id, name, rows_before, rows_after, seconds / (last + 1)))


class _Link:
    """One or more steps that are run as one."""

    def __init__(
        self, steps: tuple[BatchStep, ...], first_batch_id: int, retry: RetryPolicy, states: Mapping[str, Json]
    ) -> None:
        self.names = tuple(step.name for step in steps)
        self._steps = steps
        self._retry = retry
        self._states = {
            step.name: stored(states.get(step.name)) for step in steps if isinstance(step, StatefulBatchStep)
        }
        ordered = any(not step.concurrent or isinstance(step, StatefulBatchStep) for step in steps)
        self._order = Turnstile(first_batch_id) if ordered else None

    @property
    def ordered(self) -> bool:
        return self._order is not None

    def process(self, batch: Batch, states: dict[str, Json], stop: StopSignal, emit: Listener) -> tuple[Batch, int]:
        if self._order is None:
            return self._process(batch, stop, emit)
        self._order.enter(batch.batch_id)
        result = self._process(batch, stop, emit)
        for step in self._steps:
            if isinstance(step, StatefulBatchStep):
                states[step.name] = self._states[step.name] = _snapshot(step, batch)
        self._order.leave()
        return result

    def give_up(self, batch_id: int) -> None:
        if self._order is not None:
            self._order.break_at(batch_id)

    def _process(self, batch: Batch, stop: StopSignal, emit: Listener) -> tuple[Batch, int]:
        if len(self._steps) > 1:
            try:
                return batch.with_data(_fused(self._steps, batch.data)), 1
            except (Exception, pl.exceptions.PanicException):  # noqa: S110, BLE001 (the steps one by one tell which)
                pass
        attempts = 1
        for step in self._steps:
            batch, tries = self._one(step, batch, stop, emit)
            attempts = max(attempts, tries)
        return batch, attempts

    def _one(self, step: BatchStep, batch: Batch, stop: StopSignal, emit: Listener) -> tuple[Batch, int]:
        first = True

        def attempt() -> object:
            nonlocal first
            # What a failed attempt left behind must not count: a clone costs nothing and keeps a step that changes
            # its frame in place from spoiling a retry, and a stateful step goes back to where the last batch left it.
            if not first and isinstance(step, StatefulBatchStep):
                step.restore(stored(self._states[step.name]))
            first = False
            return step.process(batch.with_data(batch.data.clone()))

        try:
            result, attempts = retrying.call(
                attempt, step.retry or self._retry, stop, emit, batch_id=batch.batch_id, step=step.name
            )
        except retrying.GaveUp as gave_up:
            if isinstance(gave_up.error, StepResultInvalid):
                raise gave_up.error from gave_up.error.__cause__
            raise StepFailed(
                step.name, batch.batch_id, batch.start_row, batch.end_row, gave_up.error, attempts=gave_up.attempts
            ) from gave_up.error
        return _checked(result, batch, step.name), attempts


def _grouped(steps: Sequence[BatchStep]) -> list[list[BatchStep]]:
    """Group neighbouring steps that can be fused; the others stand alone."""
    groups: list[list[BatchStep]] = []
    for step in steps:
        if groups and _can_fuse(step) and _can_fuse(groups[-1][-1]):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _can_fuse(step: BatchStep) -> bool:
    # A subclass that overrides process means something else by it than its plan says.
    return (
        isinstance(step, LazyBatchStep)
        and step.concurrent
        and step.retry is None
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
    """Return a step's answer as the engine goes on with it. Raises `StepResultInvalid`."""
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
    """Return the state as it will be restored: a copy, since the step goes on with its own."""
    try:
        snapshot: Json = stored(step.snapshot())
    except (TypeError, ValueError) as error:
        raise StepResultInvalid(step.name, batch.batch_id, f"a snapshot that can't be stored ({error})") from error
    except Exception as error:
        raise StepFailed(step.name, batch.batch_id, batch.start_row, batch.end_row, error) from error
    return snapshot
