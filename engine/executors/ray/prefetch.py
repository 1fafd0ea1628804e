"""What the driver does for a batch before a worker gets it: it reads it, plans it, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import FetchFailed
from engine.policy import NEVER
from engine.sources.base import SeekableFetcher
from engine.worker.retrying import call_with_retries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.events import Listener
    from engine.text.json_values import Json
    from engine.worker.fetching import Fetched
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal


def done_ahead(
    recipe: Recipe, *, stop: StopSignal, emit: Listener
) -> Callable[[int], Fetched | Mapping[str, Json] | None] | None:
    """Return what gives a batch, or its plan, by its id, and None behind the source's end; or None: nothing is done."""
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
