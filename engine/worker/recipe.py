"""Everything that work on the batches of a run needs, as values that can be sent to another machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.checkpoint.parts.schema import SchemaPin
from engine.worker.chain import StepChain
from engine.worker.fetching import Source
from engine.worker.work import BatchWork

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.events import Listener
    from engine.policy import Quarantine, RetryPolicy
    from engine.sources.base import BatchFetcher, Position
    from engine.steps.base import BatchStep
    from engine.text.json_values import Json
    from engine.worker.signals import StopSignal
    from engine.worker.work import Fetching, PartTarget


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done with the batches of a run.

    `pinned` are the columns of the results, None before there are any. `states` are the snapshots from which the
    stateful steps were restored, by name.
    """

    steps: tuple[BatchStep, ...]
    fetcher: BatchFetcher
    batch_size: int
    position: Position
    retry: RetryPolicy | None
    quarantine: Quarantine | None
    states: Mapping[str, Json]
    pinned: pl.Schema | None
    target: PartTarget

    def source(self, *, stop: StopSignal, emit: Listener, in_order: bool = True) -> Source:
        """Return the source; with `in_order=False` it fetches any batch at any time."""
        return Source(
            self.fetcher,
            batch_size=self.batch_size,
            first_batch_id=self.position.next_batch_id,
            retry=self.retry,
            stop=stop,
            emit=emit,
            in_order=in_order,
        )

    def work(self, *, stop: StopSignal, emit: Listener, source: Fetching | None = None) -> BatchWork:
        """Return the work of this process; `source` replaces the recipe's own."""
        first = self.position.next_batch_id
        chain = StepChain(
            self.steps,
            first_batch_id=first,
            retry=self.retry,
            stop=stop,
            emit=emit,
            states=self.states,
            quarantine=self.quarantine,
        )
        pin = SchemaPin(self.pinned, first_batch_id=first, step=self.steps[-1].name if self.steps else "source")
        return BatchWork(source or self.source(stop=stop, emit=emit), chain, pin, self.target, stop=stop, emit=emit)
