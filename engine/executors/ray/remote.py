"""One batch done in another process, and what comes back from there: values, never an exception of a user's class.

An error's cause travels as a `Cause`. Importing this module is light; it is what a worker process loads first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from engine.errors import PipelineError
from engine.executors.ray.remote_error import arrived, sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.checkpoint.parts.manifest import Manifest
    from engine.errors import CheckFailed
    from engine.events import Event
    from engine.executors.ray.remote_error import Cause
    from engine.text.json_values import Json
    from engine.worker.fetching import Fetched
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal
    from engine.worker.work import BatchWork


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch: a manifest with its results' schema, a batch half-way, the source's end, or an error.

    `causes` are those of the errors for which rows of `fetched` were quarantined, in their order.
    """

    manifest: Manifest | None = None
    schema: pl.Schema | None = None
    fetched: Fetched | None = None
    causes: tuple[Cause | CheckFailed | None, ...] = ()
    error: PipelineError | None = None
    cause: Cause | CheckFailed | None = None
    abandoned: bool = False
    events: tuple[Event, ...] = ()

    def result(self) -> Manifest | Fetched | None:
        """Return what came of the batch, None behind the end of the source.

        Raises:
            Abandoned: the worker gave it up.
            PipelineError: whatever it failed with, chained from its cause.
        """
        from engine.worker.signals import Abandoned

        if self.abandoned:
            raise Abandoned
        if self.error is not None:
            raise self.error from arrived(self.cause)
        if self.fetched is not None and self.fetched.partial is not None:
            for rows, one in zip(self.fetched.partial.quarantined, self.causes, strict=True):
                rows.first_error.__cause__ = arrived(one)
        return self.fetched or self.manifest


@dataclass(slots=True)
class _Workshop:
    """What a worker process keeps between the batches of one run: the steps set up, the source open."""

    recipe: Recipe
    events: list[Event] = field(default_factory=list)


_workshops: dict[str, _Workshop] = {}


def limit_threads(cpus: float) -> None:
    """Let Polars use as many threads as there are CPUs for a batch. Only counts before Polars is loaded."""
    os.environ.setdefault("POLARS_MAX_THREADS", str(max(1, int(cpus))))


def work_on(
    workshop: str,
    recipe: Any,
    batch_id: int,
    given: Fetched | Mapping[str, Json] | None,
    *,
    pinned: pl.Schema | None,
    leading: bool,
) -> Outcome:
    """Do one batch, or only its `leading` part: fetch and the steps that may have any batch at any time.

    `recipe` is called for the recipe when this process hasn't got it yet; `given` is the batch if it was read
    elsewhere, or its plan.
    """
    from engine.worker.signals import Abandoned, StopSignal

    shop: _Workshop | None = None
    try:
        shop = _workshop(workshop, recipe)
        shop.events.clear()
        work = _work(shop, pinned, given, StopSignal())
        outcome = _half(work.leading(batch_id)) if leading else _whole(shop, work(batch_id), pinned)
    except Abandoned:
        return Outcome(abandoned=True)
    except BaseException as error:  # noqa: BLE001 (it goes back as a value)
        return failed(error, batch_id, tuple(shop.events) if shop else ())
    return replace(outcome, events=tuple(shop.events))


def _whole(shop: _Workshop, done: Manifest | None, pinned: pl.Schema | None) -> Outcome:
    if done is None:
        return Outcome()
    from engine.checkpoint.parts import parts

    part = shop.recipe.target.layout.temporary_part(done.batch_id, done.attempt_id)
    return Outcome(done, pinned or parts.read_schema(part))


def _half(fetched: Fetched | None) -> Outcome:
    quarantined = fetched.partial.quarantined if fetched and fetched.partial else ()
    return Outcome(fetched=fetched, causes=tuple(sent(rows.first_error.__cause__) for rows in quarantined))


def _work(shop: _Workshop, pinned: pl.Schema | None, given: Any, stop: StopSignal) -> BatchWork:
    from engine.executors.ray.planned import Planned
    from engine.worker.fetching import Fetched

    recipe = replace(shop.recipe, pinned=pinned)
    if isinstance(given, Fetched):
        source: Any = _Given(given)
    else:
        if given is not None:
            recipe = replace(recipe, fetcher=Planned(shop.recipe.fetcher, given))
        source = recipe.source(stop=stop, emit=shop.events.append, in_order=False)
    return recipe.work(stop=stop, emit=shop.events.append, source=source)


def _workshop(name: str, recipe: Any) -> _Workshop:
    if name not in _workshops:
        from engine.sources.base import SeekableFetcher

        for other in list(_workshops):
            _leave(_workshops.pop(other))
        shop = _Workshop(recipe())
        for step in shop.recipe.steps:
            step.setup()
        fetcher = shop.recipe.fetcher
        if isinstance(fetcher, SeekableFetcher) and (fetcher.concurrent or fetcher.plans):
            fetcher.open(shop.recipe.position)
        _workshops[name] = shop
    return _workshops[name]


def _leave(shop: _Workshop) -> None:
    from contextlib import suppress

    for step in shop.recipe.steps:
        with suppress(Exception):
            step.teardown()


def failed(error: BaseException, batch_id: int, events: tuple[Event, ...]) -> Outcome:
    """Return the outcome of a batch that ended in an error."""
    from engine.errors import WorkerFailed

    if not isinstance(error, PipelineError):
        return Outcome(error=WorkerFailed(batch_id, error), cause=sent(error), events=events)
    return Outcome(error=error, cause=sent(error.__cause__), events=events)


@dataclass(slots=True)
class _Given:
    """A source that has one batch, which was fetched elsewhere."""

    fetched: Fetched

    @property
    def ordered(self) -> bool:
        return False

    def begun(self, batch_id: int) -> bool:  # noqa: ARG002
        return True

    def fetch(self, batch_id: int) -> Fetched | None:  # noqa: ARG002
        return self.fetched

    def cancel_from(self, batch_id: int) -> None:
        """Nobody waits for it."""
