"""The steps as a chain of links that a batch is taken through.

Neighbouring steps that are Polars expressions become one link: one lazy plan, which Polars optimises as
a whole. Every other step is a link of its own; unless it is declared safe to run on several batches at
once, a turnstile lets batches through it one at a time, in order.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.checkpoint.manifest import StepTiming
from engine.errors import StepFailed
from engine.events import StepFinished
from engine.executors.link import Link, grouped, in_segments
from engine.executors.rescue import Place, Rescuer
from engine.executors.signals import Abandoned
from engine.policy import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from engine.batch import Batch
    from engine.events import Listener
    from engine.executors.isolation import SetAside
    from engine.executors.signals import StopSignal
    from engine.jsonable import Json
    from engine.policy import Quarantine, RetryPolicy
    from engine.step import BatchStep


@dataclass(frozen=True, slots=True)
class Processed:
    """What the whole chain made of a batch.

    `frame` is None when every row was taken out before anybody could tell what columns come out. `dropped` counts the
    rows that steps left out, less those that they added.
    """

    frame: pl.DataFrame | None
    timings: tuple[StepTiming, ...]
    states: dict[str, Json] | None
    attempts: int
    dropped: int = 0
    set_aside: tuple[SetAside, ...] = ()


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

    def process(self, batch: Batch) -> Processed:
        """Return the results of one batch.

        Raises:
            StepFailed: a step raised; the first one that did.
            QuarantineFull: more rows fail than may be taken out.
            StepResultInvalid: a step returned something that isn't its batch.
            Abandoned: the run is stopping, or an earlier batch failed.
        """
        passage = _Passage()
        current: Batch | None = batch
        for segment in self._segments:
            if current is None:
                self._pass_by(batch, segment, passage)
            else:
                current = self._through(segment, current, passage)
        return Processed(
            passage.results(current),
            tuple(passage.timings),
            passage.states or None,
            passage.attempts,
            passage.dropped,
            tuple(passage.set_aside),
        )

    def give_up(self, batch_id: int) -> None:
        """Let everyone go who waits for a turn behind this batch: it has failed."""
        for link in self._links:
            link.give_up(batch_id)

    def _through(self, segment: Sequence[Link], batch: Batch, passage: _Passage) -> Batch | None:
        start = batch if self._rescuer.active else None  # held only when it may be needed: it costs memory
        dropped = passage.dropped
        for number, link in enumerate(segment):
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
                passage.dropped = dropped
                return self._rescued(segment, number, start, error, passage)
            link.leave(batch, passage.states)
            passage.note(link, time.perf_counter() - started, rows_in, batch.data.height, tries)
            self._announce(link, batch, rows_in, time.perf_counter() - started)
        return batch

    def _rescued(
        self, segment: Sequence[Link], failed: int, start: Batch, error: StepFailed, passage: _Passage
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

    def _pass_by(self, batch: Batch, segment: Sequence[Link], passage: _Passage) -> None:
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


@dataclass(slots=True)
class _Passage:
    """What is noted while one batch goes through."""

    timings: list[StepTiming] = field(default_factory=list)
    states: dict[str, Json] = field(default_factory=dict)
    attempts: int = 1
    dropped: int = 0
    set_aside: list[SetAside] = field(default_factory=list)

    def note(self, link: Link, seconds: float, rows_in: int | None, rows_out: int | None, attempts: int) -> None:
        self.timings.append(StepTiming(link.names, seconds, rows_in, rows_out))
        self.attempts = max(self.attempts, attempts)
        if rows_in is not None and rows_out is not None:
            self.dropped += rows_in - rows_out

    def results(self, batch: Batch | None) -> pl.DataFrame | None:
        """Return the batch's results, None when nobody could tell their columns.

        A batch that was taken out whole has none, whatever steps behind make of no rows: its replay brings them all.
        """
        if batch is None:
            return None
        if any(aside.whole and not aside.obstacle for aside in self.set_aside):
            self.dropped += batch.data.height
            return batch.data.clear()
        return batch.data
