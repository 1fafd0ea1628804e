"""The steps as a chain of links that a batch is taken through.

Neighbouring steps that are Polars expressions become one link: one lazy plan, which Polars optimises as
a whole. Every other step is a link of its own; unless it is declared safe to run on several batches at
once, a turnstile lets batches through it one at a time, in order.
"""

from __future__ import annotations

import time
from itertools import takewhile
from typing import TYPE_CHECKING

from engine.errors import StepFailed
from engine.events import StepFinished
from engine.policy import NEVER
from engine.worker.batch_context import Halfway, Passage, SegmentStart
from engine.worker.quarantining import Place, Rescuer
from engine.worker.signals import Abandoned
from engine.worker.stage import Link, grouped, in_segments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from engine.batch import Batch
    from engine.events import Listener
    from engine.policy import Quarantine, RetryPolicy
    from engine.steps.base import BatchStep
    from engine.text.json_values import Json
    from engine.worker.batch_context import Processed
    from engine.worker.signals import StopSignal


class StepChain:
    """Takes batches through all steps. `states` are what the stateful steps were restored from, by name.

    Steps go one by one through *links*: a link is a step, or neighbours that are run as one. Links that are row-wise
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
        groups = grouped(steps, apart=self._rescuer.active)
        self._links = [
            Link(tuple(group), first_batch_id, retry or NEVER, states or {}, stop=stop, emit=emit) for group in groups
        ]
        self._segments = in_segments(self._links)

    @property
    def ordered(self) -> bool:
        """Whether there is a step that takes batches one at a time."""
        return any(link.ordered for link in self._links)

    def head(self, batch: Batch) -> Halfway:
        """Take a batch through the leading links that may have any batch at any time; `process` goes on from there.

        Where the segment goes on with a link that takes batches in order, rows that fail are left to the process that
        has that link: it tries the whole segment, as if the chain had never been divided.

        Raises: what `process` raises.
        """
        passage = Passage()
        current: Batch | None = batch
        done = 0
        for segment in self._segments:
            ahead = list(takewhile(lambda link: not link.ordered, segment))
            if len(ahead) < len(segment):
                if ahead and current is not None:
                    return self._into(ahead, current, passage, done)
                break
            if current is not None:  # links that keep no order have no turns to be taken
                current = self._through(segment, current, passage)
            done += len(segment)
        return passage.halfway(done, current, None)

    def process(self, batch: Batch, before: Halfway | None = None) -> Processed:
        """Return the results of one batch, or of one that has been through `head` elsewhere, `before`.

        Raises:
            StepFailed: a step raised; the first one that did.
            QuarantineFull: more rows fail than may be taken out.
            StepResultInvalid: a step returned something that isn't its batch.
            Abandoned: the run is stopping, or an earlier batch failed.
        """
        before = before or Halfway(0, batch)
        passage = Passage.behind(before)
        current, done, start = before.batch, before.links, before.start
        for segment in self._segments:
            if done >= len(segment):
                done -= len(segment)
                continue
            if current is None:
                self._pass_by(batch, segment[done:], passage)
            else:
                current = self._through(segment, current, passage, done, start)
            done, start = 0, None
        return passage.processed(current)

    def give_up(self, batch_id: int) -> None:
        """Let everyone go who waits for a turn behind this batch: it has failed."""
        for link in self._links:
            link.give_up(batch_id)

    def _into(self, ahead: Sequence[Link], batch: Batch, passage: Passage, done: int) -> Halfway:
        """Take a batch through the first links of a segment, up to one that fails for rows that may be taken out."""
        start = self._start(batch, passage)
        batch, through, _ = self._along(ahead, batch, passage, start)
        return passage.halfway(done + through, batch, start)

    def _through(
        self, segment: Sequence[Link], batch: Batch, passage: Passage, done: int = 0, start: SegmentStart | None = None
    ) -> Batch | None:
        """Take a batch through a segment, of which `done` links are behind it since `start`."""
        start = start or self._start(batch, passage)
        batch, through, error = self._along(segment[done:], batch, passage, start)
        if error is None or start is None:
            return batch
        passage.dropped = start.dropped
        return self._rescued(segment, done + through, start.batch, error, passage)

    def _start(self, batch: Batch, passage: Passage) -> SegmentStart | None:
        """Return where a rescue begins; held only when there may be one, for it costs memory."""
        return SegmentStart(batch, passage.dropped) if self._rescuer.active else None

    def _along(
        self, links: Sequence[Link], batch: Batch, passage: Passage, start: SegmentStart | None
    ) -> tuple[Batch, int, StepFailed | None]:
        """Return the batch behind so many of the links, and the failure of the next one if a rescue may begin."""
        for number, link in enumerate(links):
            if self._stop.now:
                raise Abandoned
            started = time.perf_counter()
            rows_in = batch.data.height
            link.enter(batch.batch_id)
            try:
                batch, tries = link.process(batch)
            except StepFailed as error:
                if start is None or not self._rescuer.may_rescue(error):
                    raise
                return batch, number, error
            link.leave(batch, passage.states)
            passage.note(link, time.perf_counter() - started, rows_in, batch.data.height, tries)
            self._announce(link, batch, rows_in, time.perf_counter() - started)
        return batch, len(links), None

    def _rescued(
        self, segment: Sequence[Link], failed: int, start: Batch, error: StepFailed, passage: Passage
    ) -> Batch | None:
        """Go on without the rows that fail. The turn of the failed link is held, and those behind it are taken."""
        if not start.data.height and not passage.set_aside:
            raise error  # there are no rows to be taken out
        started = time.perf_counter()
        rest = segment[failed:]
        for link in rest[1:]:
            link.enter(start.batch_id)
        place = Place(
            first_step=segment[0].names[0],
            at_source=segment is self._segments[0],
            behind=[step for other in self._behind(segment) for step in other.steps],
        )

        def again(part: Batch) -> Batch:
            for link in segment:
                if self._stop.now:
                    raise Abandoned
                part, _ = link.process(part)
            return part

        frame: pl.DataFrame | None = None
        if start.data.height:  # else it has lost its rows before, and the steps fail on what is left of it: nothing
            frame, aside, dropped = self._rescuer.rescue(start, error, again, place)
            passage.set_aside.append(aside)
            passage.dropped += dropped
        rest[0].restore()
        result = start.with_data(start.data.clear() if frame is None else frame)
        for link in rest:
            link.leave(result, passage.states)
            passage.note(link, (time.perf_counter() - started) / len(rest), None, None, 1)
            self._announce(link, result, None, 0.0)
        return None if frame is None else result

    def _behind(self, segment: Sequence[Link]) -> Sequence[Link]:
        at = next(number for number, other in enumerate(self._segments) if other is segment)
        return [link for other in self._segments[at + 1 :] for link in other]

    def _pass_by(self, batch: Batch, segment: Sequence[Link], passage: Passage) -> None:
        """Take the turns of a batch of which nothing is left."""
        for link in segment:
            link.enter(batch.batch_id)
            link.leave(batch, passage.states)
            self._announce(link, batch.with_data(batch.data.clear()), None, 0.0)

    def _announce(self, link: Link, batch: Batch, rows_in: int | None, seconds: float) -> None:
        last = len(link.names) - 1
        for position, name in enumerate(link.names):
            rows_before = rows_in if position == 0 else None
            rows_after = batch.data.height if position == last else None
            self._emit(StepFinished(batch.batch_id, name, rows_before, rows_after, seconds / (last + 1)))
