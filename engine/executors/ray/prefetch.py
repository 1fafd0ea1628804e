"""What the driver does with the source of a batch before a worker gets the batch: it fetches it, plans it, or nothing.

A source that is read in order is read on the driver, and the rows are sent. A source that can plan is only planned
there: the worker reads the rows. Every other source is read by the workers alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import FetchFailed
from engine.policy import NEVER
from engine.sources.base import SeekableFetcher
from engine.worker.retrying import call_with_retries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.batch import Batch
    from engine.events import Listener
    from engine.sources.base import BatchFetcher
    from engine.text.json_values import Json
    from engine.worker.fetching import Fetched
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal


def prefetcher(
    recipe: Recipe, *, stop: StopSignal, emit: Listener
) -> Callable[[int], Fetched | Mapping[str, Json] | None] | None:
    """Return a function from batch id to its data, its plan, or None past the end of the source.

    Return None itself if there is nothing to fetch ahead.
    """
    fetcher = recipe.fetcher
    if not isinstance(fetcher, SeekableFetcher) or fetcher.concurrent:
        return None
    if not fetcher.plans:
        return recipe.source(stop=stop, emit=emit).fetch

    def plan(batch_id: int) -> Mapping[str, Json] | None:
        return call_with_retries(
            lambda: fetcher.plan(batch_id, recipe.batch_size),
            fetcher.retry or NEVER,
            stop=stop,
            emit=emit,
            batch_id=batch_id,
            step=None,
            failed=lambda error, attempts: FetchFailed(batch_id, error, attempts=attempts),
        )[0]

    return plan


class PlannedFetcher(SeekableFetcher):
    """On a worker: gives the one batch of `plan`, which the open `fetcher` reads."""

    concurrent = True

    def __init__(self, fetcher: BatchFetcher, plan: Mapping[str, Json]) -> None:
        assert isinstance(fetcher, SeekableFetcher)  # noqa: S101 (only those plan)
        self._fetcher = fetcher
        self._plan = plan
        self.retry = fetcher.retry

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:  # noqa: ARG002
        """Return the batch."""
        return self._fetcher.fetch_planned(batch_id, self._plan)

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return the cursor of the fetcher."""
        return self._fetcher.cursor_after(batch)

    def identity(self) -> Mapping[str, Json]:
        """Return the identity of the fetcher."""
        return self._fetcher.identity()
