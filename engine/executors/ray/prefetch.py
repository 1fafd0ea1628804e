"""What the driver does for a batch before a worker gets it: it reads it, plans it, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import FetchFailed, PipelineError
from engine.policy import NEVER
from engine.sources.base import SeekableFetcher
from engine.worker import retrying

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
        try:
            return retrying.call(
                lambda: fetcher.plan(batch_id, recipe.batch_size),
                fetcher.retry or NEVER,
                stop,
                emit,
                batch_id=batch_id,
                step=None,
            )[0]
        except retrying.GaveUp as gave_up:
            if isinstance(gave_up.error, PipelineError):
                raise gave_up.error from gave_up.error.__cause__
            raise FetchFailed(batch_id, gave_up.error, attempts=gave_up.attempts) from gave_up.error

    return plan
