"""The steps as a chain of stages that a batch is taken through.

Neighbouring steps that are Polars expressions become one stage: one lazy plan, which Polars optimises as
a whole. Every other step is a stage of its own; unless it is declared safe to run on several batches at
once, a turnstile lets batches through it one at a time, in order.
"""

from __future__ import annotations

import time
from itertools import takewhile
from typing import TYPE_CHECKING

from engine.errors import StepFailed
from engine.events import StepFinished
from engine.policy import NEVER
from engine.worker.batch_context import BatchContext, PartialResult, SegmentStart
from engine.worker.quarantining import Place, Rescuer
from engine.worker.signals import Abandoned
from engine.worker.stage import Stage, fusible_groups, segments_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from engine.batch import Batch
    from engine.events import Listener
    from engine.policy import Quarantine, RetryPolicy
    from engine.steps.base import BatchStep
    from engine.text.json_values import Json
    from engine.worker.batch_context import BatchResult
    from engine.worker.signals import StopSignal


class StepChain:
    """Takes batches through all steps. `states` are what the stateful steps were restored from, by name.

    Steps go one by one through *stages*: a stage is a step, or neighbours that are run as one. Links that are row-wise
    and stand together make a *segment*, whose rows can be tried apart when one of them fails.
    """

    def __init__(
        self,
        steps: Sequence[BatchStep],
        *,
        first_batch_id: int,
        retry: RetryPolicy | None,
        stop: StopSignal,
        emit: Listener,
        states: Mapping[str, Json] | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._stop = stop
        self._emit = emit
        self._rescuer = Rescuer(steps, retry=retry or NEVER, quarantine=quarantine)
        groups = fusible_groups(steps, apart=self._rescuer.active)
        self._links = [
            Stage(tuple(group), first_batch_id, retry or NEVER, states or {}, stop=stop, emit=emit) for group in groups
        ]
        self._segments = segments_of(self._links)

    @property
    def ordered(self) -> bool:
        """Whether there is a step that takes batches one at a time."""
        return any(stage.ordered for stage in self._links)

    def head(self, batch: Batch) -> PartialResult:
        """Take a batch through the leading stages that may have any batch at any time; `process` goes on from there.

        Where the segment goes on with a stage that takes batches in order, rows that fail are left to the process that
        has that stage: it tries the whole segment, as if the chain had never been divided.

        Raises: what `process` raises.
        """
        context = BatchContext()
        current: Batch | None = batch
        done = 0
        for segment in self._segments:
            ahead = list(takewhile(lambda stage: not stage.ordered, segment))
            if len(ahead) < len(segment):
                if ahead and current is not None:
                    return self._into(ahead, current, context, done)
                break
            if current is not None:  # stages that keep no order have no turns to be taken
                current = self._through(segment, current, context)
            done += len(segment)
        return context.partial(done, current, None)

    def process(self, batch: Batch, before: PartialResult | None = None) -> BatchResult:
        """Return the results of one batch, or of one that has been through `head` elsewhere, `before`.

        Raises:
            StepFailed: a step raised; the first one that did.
            QuarantineFull: more rows fail than may be taken out.
            StepResultInvalid: a step returned something that isn't its batch.
            Abandoned: the run is stopping, or an earlier batch failed.
        """
        before = before or PartialResult(0, batch)
        context = BatchContext.behind(before)
        current, done, start = before.batch, before.stages, before.start
        for segment in self._segments:
            if done >= len(segment):
                done -= len(segment)
                continue
            if current is None:
                self._pass_by(batch, segment[done:], context)
            else:
                current = self._through(segment, current, context, done, start)
            done, start = 0, None
        return context.result(current)

    def give_up(self, batch_id: int) -> None:
        """Let everyone go who waits for a turn behind this batch: it has failed."""
        for stage in self._links:
            stage.give_up(batch_id)

    def _into(self, ahead: Sequence[Stage], batch: Batch, context: BatchContext, done: int) -> PartialResult:
        """Take a batch through the first stages of a segment, up to one that fails for rows that may be taken out."""
        start = self._start(batch, context)
        batch, through, _ = self._along(ahead, batch, context, start)
        return context.partial(done + through, batch, start)

    def _through(
        self,
        segment: Sequence[Stage],
        batch: Batch,
        context: BatchContext,
        done: int = 0,
        start: SegmentStart | None = None,
    ) -> Batch | None:
        """Take a batch through a segment, of which `done` stages are behind it since `start`."""
        start = start or self._start(batch, context)
        batch, through, error = self._along(segment[done:], batch, context, start)
        if error is None or start is None:
            return batch
        context.dropped = start.dropped
        return self._rescued(segment, done + through, start.batch, error, context)

    def _start(self, batch: Batch, context: BatchContext) -> SegmentStart | None:
        """Return where a rescue begins; held only when there may be one, for it costs memory."""
        return SegmentStart(batch, context.dropped) if self._rescuer.active else None

    def _along(
        self, stages: Sequence[Stage], batch: Batch, context: BatchContext, start: SegmentStart | None
    ) -> tuple[Batch, int, StepFailed | None]:
        """Return the batch behind so many of the stages, and the failure of the next one if a rescue may begin."""
        for number, stage in enumerate(stages):
            if self._stop.now:
                raise Abandoned
            started = time.perf_counter()
            rows_in = batch.data.height
            stage.enter(batch.batch_id)
            try:
                batch, tries = stage.process(batch)
            except StepFailed as error:
                if start is None or not self._rescuer.may_rescue(error):
                    raise
                return batch, number, error
            stage.leave(batch, context.states)
            context.note(stage, time.perf_counter() - started, rows_in, batch.data.height, tries)
            self._announce(stage, batch, rows_in, time.perf_counter() - started)
        return batch, len(stages), None

    def _rescued(
        self, segment: Sequence[Stage], failed: int, start: Batch, error: StepFailed, context: BatchContext
    ) -> Batch | None:
        """Go on without the rows that fail. The turn of the failed stage is held, and those behind it are taken."""
        if not start.data.height and not context.set_aside:
            raise error  # there are no rows to be taken out
        started = time.perf_counter()
        rest = segment[failed:]
        for stage in rest[1:]:
            stage.enter(start.batch_id)
        place = Place(
            first_step=segment[0].names[0],
            at_source=segment is self._segments[0],
            behind=[step for other in self._behind(segment) for step in other.steps],
        )

        def again(part: Batch) -> Batch:
            for stage in segment:
                if self._stop.now:
                    raise Abandoned
                part, _ = stage.process(part)
            return part

        frame: pl.DataFrame | None = None
        if start.data.height:  # else it has lost its rows before, and the steps fail on what is left of it: nothing
            frame, aside, dropped = self._rescuer.rescue(start, error, again, place)
            context.set_aside.append(aside)
            context.dropped += dropped
        rest[0].restore()
        result = start.with_data(start.data.clear() if frame is None else frame)
        for stage in rest:
            stage.leave(result, context.states)
            context.note(stage, (time.perf_counter() - started) / len(rest), None, None, 1)
            self._announce(stage, result, None, 0.0)
        return None if frame is None else result

    def _behind(self, segment: Sequence[Stage]) -> Sequence[Stage]:
        at = next(number for number, other in enumerate(self._segments) if other is segment)
        return [stage for other in self._segments[at + 1 :] for stage in other]

    def _pass_by(self, batch: Batch, segment: Sequence[Stage], context: BatchContext) -> None:
        """Take the turns of a batch of which nothing is left."""
        for stage in segment:
            stage.enter(batch.batch_id)
            stage.leave(batch, context.states)
            self._announce(stage, batch.with_data(batch.data.clear()), None, 0.0)

    def _announce(self, stage: Stage, batch: Batch, rows_in: int | None, seconds: float) -> None:
        last = len(stage.names) - 1
        for position, name in enumerate(stage.names):
            rows_before = rows_in if position == 0 else None
            rows_after = batch.data.height if position == last else None
            self._emit(StepFinished(batch.batch_id, name, rows_before, rows_after, seconds / (last + 1)))
