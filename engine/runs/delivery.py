"""The delivery of committed batches to the sinks: a sink gets what it lacks, and loses what is beyond the frontier."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from engine.checkpoint.translate_errors import REPAIR_HINT
from engine.errors import CheckpointCorrupt, SinkFailed
from engine.events import SinkDelivered
from engine.policy import NEVER
from engine.sinks.base import Delivery
from engine.storage import files
from engine.worker.retrying import call_with_retries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.checkpoint.parts.manifest import Manifest
    from engine.checkpoint.store import CheckpointStore
    from engine.events import Listener
    from engine.sinks.base import Sink
    from engine.worker.signals import StopSignal

_LOOKED_AT = 1000
"""How many batches are compared at a time."""
_TOGETHER = 16
"""How many batches are in one transaction while a sink catches up."""

T = TypeVar("T")


class Deliveries:
    """Keeps all sinks of a run at the frontier. Owned by the thread of the batch loop, as the store is."""

    def __init__(self, sinks: Sequence[Sink], store: CheckpointStore, *, stop: StopSignal, emit: Listener) -> None:
        self._sinks = tuple(sinks)
        self._store = store
        self._stop = stop
        self._emit = emit

    def catch_up(self) -> None:
        """Open each sink and bring it to the frontier, in whichever direction.

        Raises:
            SinkFailed: a sink can't be opened, or doesn't take a batch.
            Abandoned: a stop was requested during the wait for another try.
        """
        for sink in self._sinks:
            self._catch_up(sink)

    def deliver(self, manifests: Sequence[Manifest]) -> None:
        """Deliver these batches, which have just been committed, to each sink. Raises as `catch_up`."""
        for sink in self._sinks:
            self._put(sink, manifests)

    def close(self) -> None:
        """Close each sink; one that can't be closed doesn't change how the run ended."""
        for sink in self._sinks:
            with suppress(Exception):
                sink.close()

    def _catch_up(self, sink: Sink) -> None:
        frontier = self._store.next_batch_id
        self._call(sink, 0, lambda: sink.open(self._store.key), retry=False)
        if self._call(sink, frontier, sink.next_batch_id) > frontier:
            self._call(sink, frontier, lambda: sink.drop_from(frontier))
        for first in range(0, frontier, _LOOKED_AT):
            last = min(first + _LOOKED_AT, frontier) - 1
            held = self._call(sink, first, partial(sink.attempt_ids, first, last))
            manifests = self._store.batches(first, last)
            if [manifest.batch_id for manifest in manifests] != list(range(first, last + 1)):
                raise CheckpointCorrupt(
                    self._store.layout.catalog,
                    f"the catalog doesn't have all batches from {first} to {last}; nothing of them was delivered to "
                    f"{sink.name}",
                    hint=REPAIR_HINT,
                )
            lacking = [manifest for manifest in manifests if held.get(manifest.batch_id) != manifest.attempt_id]
            for start in range(0, len(lacking), _TOGETHER):
                if self._stop.asked:
                    return  # the next run continues from here
                self._put(sink, lacking[start : start + _TOGETHER])
        self._emit(SinkDelivered(sink.name, frontier - 1, 0.0))

    def _put(self, sink: Sink, manifests: Sequence[Manifest]) -> None:
        layout = self._store.layout
        started = time.perf_counter()
        with ExitStack() as copies:
            deliveries = [
                Delivery(one.batch_id, one.attempt_id, copies.enter_context(files.local(layout.part(one.batch_id))))
                for one in manifests
            ]
            self._call(sink, manifests[0].batch_id, lambda: sink.put(deliveries))
        self._emit(SinkDelivered(sink.name, manifests[-1].batch_id, time.perf_counter() - started))

    def _call(self, sink: Sink, batch_id: int, function: Callable[[], T], *, retry: bool = True) -> T:
        return call_with_retries(
            function,
            sink.retry if retry else NEVER,
            stop=self._stop,
            emit=self._emit,
            batch_id=batch_id,
            step=sink.name,
            failed=lambda error, attempts: SinkFailed(sink.name, batch_id, error, attempts=attempts),
        )[0]
