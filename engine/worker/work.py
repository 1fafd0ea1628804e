"""What a worker does with one batch: fetch, steps, write, fsync. From id to manifest.

Everything here may run in several threads at once, for different batches. Nothing here knows the catalog: a part that
was written isn't committed, and may still be deleted.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import polars as pl

from engine.checkpoint.layout import Layout, new_attempt_id
from engine.checkpoint.parts import parts, quarantine
from engine.checkpoint.parts.manifest import Manifest
from engine.checkpoint.translate_errors import translated
from engine.errors import RowsUnaccounted, StepFailed, StepResultInvalid, describe
from engine.events import BatchFetched, BatchStarted, RowsQuarantined
from engine.worker.signals import Abandoned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.checkpoint.parts.manifest import QuarantineFile
    from engine.checkpoint.parts.parts import PartCompression
    from engine.checkpoint.parts.schema import SchemaPin
    from engine.events import Listener
    from engine.worker.chain import StepChain
    from engine.worker.fetching import Fetched
    from engine.worker.quarantined_rows import QuarantinedRows
    from engine.worker.signals import StopSignal


@dataclass(frozen=True, slots=True)
class PartTarget:
    """Where parts go, and what they say about their checkpoint.

    `run_key` is the first part of the idempotency key of each batch. It is the same in every attempt and after every
    crash; a rewind or a reset changes it, since its purpose is to do batches again.
    """

    layout: Layout
    compression: PartCompression
    run_id: int
    epoch: int
    run_key: str
    checkpoint: str


class Fetching(Protocol):
    """Where a worker gets its batches from: a `Source`, or batches that another process has fetched and sent."""

    @property
    def ordered(self) -> bool:
        """Whether batches are fetched one at a time."""

    def begun(self, batch_id: int) -> bool:
        """Return whether the batch is in flight already: then it is finished although a stop was requested."""

    def fetch(self, batch_id: int) -> Fetched | None:
        """Return the batch, as `Source.fetch` does."""

    def cancel_from(self, batch_id: int) -> None:
        """Cancel the waits of this batch and all later ones."""


@dataclass(eq=False)
class BatchWork:
    """Takes each batch through fetch, steps and the write of its part."""

    source: Fetching
    chain: StepChain
    pin: SchemaPin
    target: PartTarget
    stop: StopSignal
    emit: Listener
    _cancelled_from: float = field(default=math.inf, init=False)

    @property
    def ordered(self) -> bool:
        """Whether the fetcher or a step takes only one batch at a time."""
        return self.source.ordered or self.chain.ordered

    def __call__(self, batch_id: int) -> Manifest | None:
        """Return the manifest of the batch, whose part is durable under its temporary name.

        None means that the source has ended. Raises what `Source.fetch`, `StepChain.process` and
        `SchemaPin.settle` raise, `Abandoned`, and `CheckpointError` when the part can't be written.
        """
        try:
            return self._work(batch_id)
        except BaseException:
            self.cancel_from(batch_id)
            raise

    def _work(self, batch_id: int) -> Manifest | None:
        if batch_id >= self._cancelled_from or (self.stop.asked and not self.source.begun(batch_id)):
            raise Abandoned
        self.emit(BatchStarted(batch_id))
        results = self._results(batch_id)
        if results is None:
            self.pin.cancel_from(batch_id)
            return None
        return self._written(*results)

    def leading(self, batch_id: int) -> Fetched | None:
        """Return the batch after the steps that may get any batch at any time, for a process that has the other steps.

        Raises what `Source.fetch` and `StepChain.leading` raise.
        """
        fetched = self._fetched(batch_id)
        if fetched is None:
            return None
        batch = fetched.batch
        try:
            partial = self.chain.leading(batch)
        except StepFailed as error:
            error.source = batch
            raise
        return replace(fetched, batch=batch.with_data(batch.data.clear()), partial=partial)

    def _fetched(self, batch_id: int) -> Fetched | None:
        fetched = self.source.fetch(batch_id)
        if fetched is None:
            return None
        batch = replace(fetched.batch, key=f"{self.target.run_key}:{batch_id}")
        self.emit(BatchFetched(batch_id, batch.start_row, batch.end_row, fetched.seconds))
        return replace(fetched, batch=batch)

    def _results(self, batch_id: int) -> tuple[pl.DataFrame, Manifest] | None:
        """Return what the steps make of the batch, and its manifest so far; None past the end of the source.

        A function of its own, so that the memory of the source rows is free before the part is written: the two
        together would be the memory peak of a run.
        """
        fetched = self._fetched(batch_id)
        if fetched is None:
            return None
        batch = fetched.batch
        try:
            processed = self.chain.process(batch, fetched.partial)
        except StepFailed as error:
            error.source = batch if fetched.partial is None else None
            raise
        results = processed.frame
        if results is None:
            results = self.pin.nothing(batch_id)
            if results is None:
                raise processed.quarantined[0].first_error  # the columns of the results aren't known yet
        frame = self.pin.conform(batch_id, results)
        if frame is None or self.stop.now or batch_id >= self._cancelled_from:
            raise Abandoned  # this late, another process may have the checkpoint already
        quarantined = sum(rows.frame.height for rows in processed.quarantined)
        if batch.size != results.height + processed.dropped + quarantined:
            raise RowsUnaccounted(batch_id, batch.size, results.height, processed.dropped, quarantined)
        attempt_id = new_attempt_id()
        return frame, Manifest(
            batch_id=batch_id,
            start_row=batch.start_row,
            end_row=batch.end_row,
            rows_out=frame.height,
            run_id=self.target.run_id,
            epoch=self.target.epoch,
            attempt_id=attempt_id,
            attempts=max(fetched.attempts, processed.attempts),
            fetch_seconds=fetched.seconds,
            timings=tuple(processed.timings),
            cursor=fetched.cursor,
            states=processed.states or None,
            rows_quarantined=quarantined,
            quarantine=self._quarantined(batch_id, attempt_id, processed.quarantined),
        )

    def _quarantined(
        self, batch_id: int, attempt_id: str, quarantined: Sequence[QuarantinedRows]
    ) -> tuple[QuarantineFile, ...]:
        """Write the rows for the quarantine; they count once the batch is committed."""
        files = [(rows.about, rows.frame) for rows in quarantined]
        for about, _ in files:
            self.emit(RowsQuarantined(batch_id, about.step, about.rows, about.error))
        try:
            with translated(self.target.layout.quarantine):
                return quarantine.write(self.target.layout, batch_id, attempt_id, files)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            first = quarantined[0].first_error
            first.add_note(f"Its rows can't be kept in quarantine: {describe(error)}")
            raise first from first.__cause__

    def _written(self, frame: pl.DataFrame, manifest: Manifest) -> Manifest:
        started = time.perf_counter()
        target = self.target
        try:
            with translated(target.layout.part(manifest.batch_id)):
                manifest = parts.write(
                    target.layout, frame, manifest, checkpoint=target.checkpoint, compression=target.compression
                )
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise StepResultInvalid(
                self.pin.step, manifest.batch_id, f"columns that can't be stored ({describe(error)})"
            ) from error
        return replace(manifest, write_seconds=time.perf_counter() - started)

    def cancel_from(self, batch_id: int = 0) -> None:
        """Cancel this batch and all later ones: it won't be done."""
        self._cancelled_from = min(self._cancelled_from, batch_id)
        self.source.cancel_from(batch_id)
        self.chain.cancel_from(batch_id)
        self.pin.cancel_from(batch_id)
