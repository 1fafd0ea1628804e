"""The steps as a chain of stages through which each batch goes.

Neighbouring steps that are Polars expressions become one stage: one lazy plan, which Polars optimises as a whole.
Every other step is a stage of its own. Unless a step is declared safe for several batches at once, a turnstile lets
batches through its stage one at a time, in order.
"""

from __future__ import annotations

import time
from dataclasses import KW_ONLY, dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from engine.errors import StepFailed
from engine.events import StepFinished
from engine.policy import NEVER
from engine.worker.batch_result import BatchResult, PartialResult, SegmentStart
from engine.worker.quarantining import FailurePoint, Quarantiner
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
    from engine.worker.signals import StopSignal


@dataclass(eq=False)
class StepChain:
    """Takes batches through all steps. `states` are the snapshots of the stateful steps, by name.

    Neighbouring stages that are row-wise form a *segment*: if one of them fails, the rows of a batch can be tried
    separately from the start of the segment.
    """

    steps: Sequence[BatchStep]
    _: KW_ONLY
    first_batch_id: int
    retry: RetryPolicy | None
    stop: StopSignal
    emit: Listener
    states: Mapping[str, Json] | None = None
    quarantine: Quarantine | None = None

    def __post_init__(self) -> None:
        retry, states = self.retry or NEVER, self.states or {}
        self._quarantiner = Quarantiner(self.steps, retry=retry, quarantine=self.quarantine)
        groups = fusible_groups(self.steps, apart=self._quarantiner.active)
        self._stages = [
            Stage(tuple(group), self.first_batch_id, retry, states, self.stop, self.emit) for group in groups
        ]
        self._segments = segments_of(self._stages)

    @property
    def ordered(self) -> bool:
        """Whether there is a step that takes batches one at a time."""
        return any(stage.ordered for stage in self._stages)

    def _begun(self, batch: Batch) -> BatchResult:
        """Return the result of a batch before the first step. Raises what `Quarantiner.unreadable` raises."""
        return BatchResult(quarantined=[self._quarantiner.unreadable(batch)] if batch.unreadable else [])

    def _must_be_cut(self, batch: Batch) -> bool:
        """Return whether the source can't read some rows of the batch, whose places among the results are wanted."""
        return bool(batch.unreadable) and not self._quarantiner.obstacle

    def leading(self, batch: Batch) -> PartialResult:
        """Take a batch through the leading stages that need no order; `process` continues with what is returned.

        If a segment also has a stage that takes batches in order, rows that fail are left to the process that runs
        that stage: it tries the whole segment, so the results are those of a chain in one process.

        Raises: what `process` raises.
        """
        result = self._begun(batch)
        current: Batch | None = batch
        done = 0
        for segment in self._segments:
            unordered = list(takewhile(lambda stage: not stage.ordered, segment))
            if len(unordered) < len(segment):
                if (
                    unordered and not self._must_be_cut(batch) and current is not None
                ):  # up to a stage that fails for rows that may be quarantined
                    start = self._start(current, result)
                    current, passed, _ = self._along(unordered, current, result, start)
                    return PartialResult(done + passed, current, start, result)
                break
            if current is not None:  # no turns to take: these stages keep no order
                current = self._through(segment, current, result)
            done += len(segment)
        return PartialResult(done, current, None, result)

    def process(self, batch: Batch, before: PartialResult | None = None) -> BatchResult:
        """Return the results of one batch; it starts after `before` if another process ran its leading stages.

        Raises:
            StepFailed: a step raised; the first one that did.
            RowsUnreadable: the source can't read some rows, and the pipeline stops at them.
            QuarantineFull: more rows fail than may go into quarantine.
            StepResultInvalid: a step returned something that isn't its batch.
            Abandoned: the run is stopping, or an earlier batch failed.
        """
        before = before or PartialResult(0, batch, result=self._begun(batch))
        result = before.result
        current, done, start = before.batch, before.stages, before.start
        for segment in self._segments:
            if done >= len(segment):
                done -= len(segment)
                continue
            if current is None:
                self._skip(batch, segment[done:], result)
            else:
                current = self._through(segment, current, result, done, start)
            done, start = 0, None
        return result.complete(current)

    def cancel_from(self, batch_id: int) -> None:
        """Cancel the waits of this batch and all later ones for their turns: it has failed."""
        for stage in self._stages:
            stage.cancel_from(batch_id)

    def _through(
        self,
        segment: Sequence[Stage],
        batch: Batch,
        result: BatchResult,
        done: int = 0,
        start: SegmentStart | None = None,
    ) -> Batch | None:
        """Take a batch through a segment; it has passed `done` of its stages since `start`."""
        if self._must_be_cut(batch):  # all steps are row-wise: there is one segment
            return self._without_bad_rows(segment, 0, batch, None, result)
        start = start or self._start(batch, result)
        batch, passed, error = self._along(segment[done:], batch, result, start)
        if error is None or start is None:
            return batch
        result.dropped = start.dropped
        return self._without_bad_rows(segment, done + passed, start.batch, error, result)

    def _start(self, batch: Batch, result: BatchResult) -> SegmentStart | None:
        """Return where the search for rows that fail begins; kept only if rows may be quarantined: it costs memory."""
        return SegmentStart(batch, result.dropped) if self._quarantiner.active else None

    def _along(
        self, stages: Sequence[Stage], batch: Batch, result: BatchResult, start: SegmentStart | None
    ) -> tuple[Batch, int, StepFailed | None]:
        """Return the batch, how many stages it has passed, and why the next one failed if rows may be quarantined."""
        for number, stage in enumerate(stages):
            if self.stop.now:
                raise Abandoned
            started = time.perf_counter()
            rows_in = batch.data.height
            stage.enter(batch.batch_id)
            try:
                batch, tries = stage.process(batch)
            except StepFailed as error:
                if start is None or not self._quarantiner.may_quarantine(error):
                    raise
                return batch, number, error
            stage.leave(batch, result.states)
            result.add(stage, time.perf_counter() - started, rows_in, batch.data.height, tries)
            self._announce(stage, batch, rows_in, time.perf_counter() - started)
        return batch, len(stages), None

    def _without_bad_rows(
        self, segment: Sequence[Stage], failed: int, start: Batch, error: StepFailed | None, result: BatchResult
    ) -> Batch | None:
        """Continue without the rows that fail. The batch keeps the failed stage's turn and takes the later ones.

        `error` is None if only the source refused rows; then the batch hasn't been tried yet, and has no turn.
        """
        if error is not None and not start.data.height and not result.quarantined:
            raise error  # there are no rows to quarantine
        started = time.perf_counter()
        rest = segment[failed:]
        for stage in rest if error is None else rest[1:]:
            stage.enter(start.batch_id)
        point = FailurePoint(
            first_step=segment[0].names[0],
            at_source=segment is self._segments[0],
            steps_after=[step for stage in self._after(segment) for step in stage.steps],
        )

        def again(part: Batch) -> Batch:
            for stage in segment:
                if self.stop.now:
                    raise Abandoned
                part, _ = stage.process(part)
            return part

        frame: pl.DataFrame | None = None
        if error is None:
            frame, bad, dropped = self._quarantiner.around_unreadable(start, again, point, result.quarantined[0])
            result.quarantined += [bad] if bad else []
            result.dropped += dropped
        elif start.data.height:  # otherwise it has lost all its rows before, and the steps fail on a batch without rows
            frame, rows, dropped = self._quarantiner.quarantine(start, error, again, point)
            result.quarantined.append(rows)
            result.dropped += dropped
        rest[0].restore()
        left = start.with_data(start.data.clear() if frame is None else frame)
        for stage in rest:
            stage.leave(left, result.states)
            result.add(stage, (time.perf_counter() - started) / len(rest), None, None, 1)
            self._announce(stage, left, None, 0.0)
        return None if frame is None else left

    def _after(self, segment: Sequence[Stage]) -> Sequence[Stage]:
        at = next(number for number, other in enumerate(self._segments) if other is segment)
        return [stage for other in self._segments[at + 1 :] for stage in other]

    def _skip(self, batch: Batch, segment: Sequence[Stage], result: BatchResult) -> None:
        """Take the turns of a batch that has no rows left."""
        for stage in segment:
            stage.enter(batch.batch_id)
            stage.leave(batch, result.states)
            self._announce(stage, batch.with_data(batch.data.clear()), None, 0.0)

    def _announce(self, stage: Stage, batch: Batch, rows_in: int | None, seconds: float) -> None:
        last = len(stage.names) - 1
        for position, name in enumerate(stage.names):
            rows_before = rows_in if position == 0 else None
            rows_after = batch.data.height if position == last else None
            self.emit(StepFinished(batch.batch_id, name, rows_before, rows_after, seconds / (last + 1)))
