"""One batch done in another process, and what comes back from there: values, never an exception of a user's class.

A class from a pipeline's own file may not be known to whoever unpickles it, so an error's cause travels as its
type's name, message and traceback. Importing this module is light; it is what a worker process loads first.
"""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.errors import CheckFailed, PipelineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.checkpoint.manifest import Manifest
    from engine.events import Event
    from engine.executors.recipe import Recipe
    from engine.executors.source import Fetched
    from engine.jsonable import Json


class RemoteError(Exception):
    """Stands for an error of a class that stayed where it was raised; its subclasses bear that class's name."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What an error was chained from."""

    type_name: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> Cause:
        """Return what can be said of an error anywhere."""
        lines = traceback.format_exception(error)
        return cls(type(error).__name__, str(error), "".join(lines))

    def as_error(self) -> RemoteError:
        """Return an error that shows itself as the one that it stands for."""
        kind: type[RemoteError] = type(self.type_name, (RemoteError,), {})
        error = kind(self.message)
        error.add_note(f"on the worker:\n{self.traceback}")
        return error


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch: a manifest with its results' schema, the end of the source, or an error."""

    manifest: Manifest | None = None
    schema: pl.Schema | None = None
    error: PipelineError | None = None
    cause: Cause | CheckFailed | None = None
    abandoned: bool = False
    events: tuple[Event, ...] = ()

    def raised(self) -> PipelineError | None:
        """Return the error, chained from its cause, ready to be raised; None when there is none."""
        if self.error is None:
            return None
        if isinstance(self.cause, Cause):
            self.error.__cause__ = self.cause.as_error()
        elif self.cause is not None:
            self.error.__cause__ = self.cause
        return self.error


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
    workshop: str, recipe: Any, batch_id: int, pinned: pl.Schema | None, given: Fetched | Mapping[str, Json] | None
) -> Outcome:
    """Do one batch.

    `recipe` is called for the recipe when this process hasn't got it yet; `given` is the batch if it was read
    elsewhere, or its plan.
    """
    from engine.executors.signals import Abandoned, StopSignal

    shop: _Workshop | None = None
    try:
        shop = _workshop(workshop, recipe)
        shop.events.clear()
        stop = StopSignal()
        done = _work(shop, pinned, given, stop)(batch_id)
    except Abandoned:
        return Outcome(abandoned=True)
    except BaseException as error:  # noqa: BLE001 (it goes back as a value)
        return _failed(error, batch_id, tuple(shop.events) if shop else ())
    if done is None:
        return Outcome(events=tuple(shop.events))
    from engine.checkpoint import parts

    part = shop.recipe.target.layout.temporary_part(done.batch_id, done.token)
    schema = pinned or parts.read_schema(part)
    return Outcome(done, schema, events=tuple(shop.events))


def _work(shop: _Workshop, pinned: pl.Schema | None, given: Any, stop: Any) -> Any:
    from dataclasses import replace

    from engine.executors.planned import Planned
    from engine.executors.source import Fetched

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
        from engine.fetcher import SeekableFetcher

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


def _failed(error: BaseException, batch_id: int, events: tuple[Event, ...]) -> Outcome:
    from engine.errors import WorkerFailed

    if not isinstance(error, PipelineError):
        return Outcome(error=WorkerFailed(batch_id, error), cause=Cause.of(error), events=events)
    cause = error.__cause__
    if cause is None or isinstance(cause, CheckFailed):
        return Outcome(error=error, cause=cause, events=events)
    return Outcome(error=error, cause=Cause.of(cause), events=events)


@dataclass(slots=True)
class _Given:
    """A source that has one batch, which was fetched elsewhere."""

    fetched: Fetched

    @property
    def ordered(self) -> bool:
        return False

    def fetch(self, batch_id: int) -> Fetched | None:  # noqa: ARG002
        return self.fetched

    def give_up(self, batch_id: int) -> None:
        """Nobody waits for it."""
