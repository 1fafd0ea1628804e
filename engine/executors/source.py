"""The source as the workers see it: asked in the right order, retried, and its answers checked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.batch import Batch
from engine.errors import FetchFailed, PipelineError, SourceContractBroken
from engine.executors import retrying
from engine.executors.signals import Turnstile
from engine.fetcher import SeekableFetcher
from engine.policy import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.events import Listener
    from engine.executors.signals import StopSignal
    from engine.fetcher import BatchFetcher
    from engine.jsonable import Json
    from engine.policy import RetryPolicy


@dataclass(frozen=True, slots=True)
class Fetched:
    """A batch as the source gave it, with where the source stands after it."""

    batch: Batch
    cursor: Mapping[str, Json] | None
    attempts: int
    seconds: float


class Source:
    """Fetches batches for several workers. A fetcher that isn't `concurrent` is asked in order, one at a time."""

    def __init__(
        self,
        fetcher: BatchFetcher,
        *,
        batch_size: int,
        first_batch_id: int,
        retry: RetryPolicy | None,
        stop: StopSignal,
        emit: Listener,
    ) -> None:
        self._fetcher = fetcher
        self._batch_size = batch_size
        self._retry = retry or NEVER
        self._stop = stop
        self._emit = emit
        self._seekable = fetcher if isinstance(fetcher, SeekableFetcher) else None
        concurrent = self._seekable is not None and self._seekable.concurrent
        self._order = None if concurrent else Turnstile(first_batch_id)
        self._ended = False

    def fetch(self, batch_id: int) -> Fetched | None:
        """Return the batch, or None behind the end of the source.

        Raises:
            FetchFailed: the fetcher raised.
            SourceContractBroken: its answer isn't that batch.
            Abandoned: the run is stopping, or an earlier fetch failed.
        """
        if self._order is None:
            return self._fetch(batch_id)
        self._order.enter(batch_id)
        fetched = None if self._ended else self._fetch(batch_id)
        self._ended = fetched is None
        self._order.leave()
        return fetched

    def give_up(self, batch_id: int) -> None:
        """Let everyone go who waits for a turn behind this batch: it has failed."""
        if self._order is not None:
            self._order.break_at(batch_id)

    def _fetch(self, batch_id: int) -> Fetched | None:
        started = time.perf_counter()
        try:
            batch, attempts = retrying.call(
                lambda: self._fetcher(batch_id, self._batch_size),
                self._retry,
                self._stop,
                self._emit,
                batch_id=batch_id,
                step=None,
            )
        except retrying.GaveUp as gave_up:
            if isinstance(gave_up.error, PipelineError):
                raise gave_up.error from gave_up.error.__cause__
            raise FetchFailed(batch_id, gave_up.error, attempts=gave_up.attempts) from gave_up.error
        if batch is None:
            return None
        problem = _problem(batch, batch_id)
        if problem:
            raise SourceContractBroken(batch_id, problem)
        cursor = self._seekable.cursor_after(batch) if self._seekable is not None else None
        return Fetched(batch, cursor, attempts, time.perf_counter() - started)


def _problem(batch: Any, batch_id: int) -> str:
    """Return what is wrong with a fetcher's answer, empty when nothing is."""
    if not isinstance(batch, Batch):
        return f"it is a {type(batch).__name__}, not a Batch"
    data: Any = batch.data
    if not isinstance(data, pl.DataFrame):
        return f"its data is a {type(data).__name__}, not a Polars DataFrame"
    if batch.batch_id != batch_id:
        return f"it says batch {batch.batch_id}"
    if batch.data.height != batch.size:
        return (
            f"it says rows {batch.start_row:,} to {batch.end_row:,}, which are {batch.size:,}, "
            f"but holds {batch.data.height:,}"
        )
    return ""
