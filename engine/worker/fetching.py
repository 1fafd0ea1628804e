"""The source as the workers see it: fetches come in the right order, with retries, and each answer is checked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import FetchFailed, SourceContractBroken, raised_as
from engine.policy import NEVER
from engine.sources.base import SeekableFetcher, answer_problem, as_batch
from engine.text.json_values import json_copy
from engine.worker.retrying import call_with_retries
from engine.worker.signals import Turnstile

if TYPE_CHECKING:
    from engine.batch import Batch
    from engine.events import Listener
    from engine.policy import RetryPolicy
    from engine.sources.base import BatchFetcher
    from engine.text.json_values import Json
    from engine.worker.batch_result import PartialResult
    from engine.worker.signals import StopSignal


@dataclass(frozen=True, slots=True)
class Fetched:
    """A batch from the source, and the cursor of the source after it.

    `partial` is set when steps have run elsewhere already; the rows of the source stayed there, and `batch` has none.
    """

    batch: Batch
    cursor: Mapping[str, Json] | None
    attempts: int
    seconds: float
    partial: PartialResult | None = None


@dataclass(eq=False)
class Source:
    """Fetches batches for several workers: in order, one at a time, unless the fetcher is `concurrent`.

    `in_order=False` is for a worker process: the driver keeps the order.
    """

    fetcher: BatchFetcher
    _: KW_ONLY
    batch_size: int
    first_batch_id: int
    retry: RetryPolicy | None
    stop: StopSignal
    emit: Listener
    in_order: bool = True

    def __post_init__(self) -> None:
        self._seekable = self.fetcher if isinstance(self.fetcher, SeekableFetcher) else None
        self._policy = (self._seekable and self._seekable.retry) or self.retry or NEVER
        concurrent = self._seekable is not None and self._seekable.concurrent
        self._order = None if concurrent or not self.in_order else Turnstile(self.first_batch_id)
        self._ended = False

    @property
    def ordered(self) -> bool:
        """Whether batches are fetched one at a time."""
        return self._order is not None

    def fetch(self, batch_id: int) -> Fetched | None:
        """Return the batch, or None past the end of the source.

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

    def begun(self, batch_id: int) -> bool:  # noqa: ARG002
        """Return whether the batch is in flight already: none is before its fetch."""
        return False

    def cancel_from(self, batch_id: int) -> None:
        """Cancel the waits of this batch and all later ones for their turns: it has failed."""
        if self._order is not None:
            self._order.break_at(batch_id)

    def _fetch(self, batch_id: int) -> Fetched | None:
        started = time.perf_counter()
        batch, attempts = call_with_retries(
            lambda: self._answer(batch_id),
            self._policy,
            stop=self.stop,
            emit=self.emit,
            batch_id=batch_id,
            step=None,
            failed=lambda error, attempts: FetchFailed(batch_id, error, attempts=attempts),
        )
        if batch is None:
            return None
        broken = answer_problem(batch, batch_id)
        if broken:
            raise SourceContractBroken(batch_id, broken)
        return Fetched(batch, self._cursor_after(batch), attempts, time.perf_counter() - started)

    def _answer(self, batch_id: int) -> Any:
        answer = self.fetcher(batch_id, self.batch_size)
        return answer if self._seekable else as_batch(answer, batch_id, self.batch_size)

    def _cursor_after(self, batch: Batch) -> Mapping[str, Json] | None:
        if self._seekable is None:
            return None
        with raised_as(partial(FetchFailed, batch.batch_id)):
            cursor: object = self._seekable.cursor_after(batch)
        if not isinstance(cursor, Mapping):
            raise SourceContractBroken(batch.batch_id, f"the cursor after it is {cursor!r}, not a JSON object")
        try:
            return dict(json_copy(cursor))
        except (TypeError, ValueError) as error:
            raise SourceContractBroken(batch.batch_id, f"the cursor after it can't be stored: {error}") from error
