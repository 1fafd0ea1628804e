"""One batch done in another process, and its result: values, never an exception of a user's class.

The cause of an error travels as a `RemoteCause`. A worker process loads this module first, so its imports are light.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from engine.errors import PipelineError, WorkerFailed
from engine.executors.ray.serialization import pack_cause, unpack_cause
from engine.worker.signals import Abandoned, StopSignal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.checkpoint.parts.manifest import Manifest
    from engine.errors import CheckFailed
    from engine.events import Event
    from engine.executors.ray.serialization import RemoteCause
    from engine.text.json_values import Json
    from engine.worker.fetching import Fetched
    from engine.worker.recipe import Recipe
    from engine.worker.work import BatchWork


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """A manifest and the schema of its results, a partial result, the end of the source (all None), or an error.

    `causes` are the causes of the errors for which rows of `fetched` were quarantined, in their order.
    """

    manifest: Manifest | None = None
    schema: pl.Schema | None = None
    fetched: Fetched | None = None
    causes: tuple[RemoteCause | CheckFailed | None, ...] = ()
    error: PipelineError | None = None
    cause: RemoteCause | CheckFailed | None = None
    abandoned: bool = False
    events: tuple[Event, ...] = ()

    def value(self) -> Manifest | Fetched | None:
        """Return the manifest or the partial result, None past the end of the source.

        Raises:
            Abandoned: the worker abandoned the batch.
            PipelineError: the batch failed; the error is chained from its cause.
        """
        if self.abandoned:
            raise Abandoned
        if self.error is not None:
            raise self.error from unpack_cause(self.cause)
        if self.fetched is not None and self.fetched.partial is not None:
            for rows, cause in zip(self.fetched.partial.result.quarantined, self.causes, strict=True):
                rows.first_error.__cause__ = unpack_cause(cause)
        return self.fetched or self.manifest


@dataclass(slots=True)
class _WorkerState:
    """What a worker process keeps between the batches of one run: steps that are set up, and an open source."""

    recipe: Recipe
    events: list[Event] = field(default_factory=list)


_states: dict[str, _WorkerState] = {}
"""By the name of the run; there is one at most."""


def limit_threads(cpus: float) -> None:
    """Let Polars use as many threads as a batch has CPUs. It has an effect only before Polars is loaded."""
    os.environ.setdefault("POLARS_MAX_THREADS", str(max(1, int(cpus))))


def work_on(
    run: str,
    recipe: Any,
    batch_id: int,
    given: Fetched | Mapping[str, Json] | None,
    *,
    pinned: pl.Schema | None,
    leading: bool,
) -> RemoteResult:
    """Do one batch, or only its `leading` part: the fetch and the steps that may get any batch at any time.

    `recipe` returns the recipe; it is called once in each process and run. `given` is the batch if the driver has
    fetched it, or its plan.
    """
    state: _WorkerState | None = None
    try:
        state = _state(run, recipe)
        state.events.clear()
        work = _work(state, pinned, given, StopSignal())
        result = _of_leading(work.leading(batch_id)) if leading else _of_whole(state, work(batch_id), pinned)
    except Abandoned:
        return RemoteResult(abandoned=True)
    except BaseException as error:  # noqa: BLE001 (it is sent back as a value)
        return failed(error, batch_id, tuple(state.events) if state else ())
    return replace(result, events=tuple(state.events))


def _of_whole(state: _WorkerState, done: Manifest | None, pinned: pl.Schema | None) -> RemoteResult:
    if done is None:
        return RemoteResult()
    from engine.checkpoint.parts import parts

    part = state.recipe.target.layout.temporary_part(done.batch_id, done.attempt_id)
    return RemoteResult(done, pinned or parts.read_schema(part))


def _of_leading(fetched: Fetched | None) -> RemoteResult:
    quarantined = fetched.partial.result.quarantined if fetched and fetched.partial else ()
    return RemoteResult(fetched=fetched, causes=tuple(pack_cause(rows.first_error.__cause__) for rows in quarantined))


def _work(state: _WorkerState, pinned: pl.Schema | None, given: Any, stop: StopSignal) -> BatchWork:
    from engine.executors.ray.prefetch import PlannedFetcher
    from engine.worker.fetching import Fetched

    recipe = replace(state.recipe, pinned=pinned)
    if isinstance(given, Fetched):
        source: Any = _FetchedSource(given)
    else:
        if given is not None:
            recipe = replace(recipe, fetcher=PlannedFetcher(state.recipe.fetcher, given))
        source = recipe.source(stop=stop, emit=state.events.append, in_order=False)
    return recipe.work(stop=stop, emit=state.events.append, source=source)


def _state(run: str, recipe: Any) -> _WorkerState:
    if run not in _states:
        from engine.sources.base import SeekableFetcher

        for other in list(_states):
            for step in _states.pop(other).recipe.steps:
                with suppress(Exception):
                    step.teardown()
        state = _WorkerState(recipe())
        for step in state.recipe.steps:
            step.setup()
        fetcher = state.recipe.fetcher
        if isinstance(fetcher, SeekableFetcher) and (fetcher.concurrent or fetcher.plans):
            fetcher.open(state.recipe.position)
        _states[run] = state
    return _states[run]


def failed(error: BaseException, batch_id: int, events: tuple[Event, ...]) -> RemoteResult:
    """Return the result of a batch that ended in an error."""
    if not isinstance(error, PipelineError):
        return RemoteResult(error=WorkerFailed(batch_id, error), cause=pack_cause(error), events=events)
    return RemoteResult(error=error, cause=pack_cause(error.__cause__), events=events)


@dataclass(slots=True)
class _FetchedSource:
    """A source of one batch, which the driver has fetched."""

    fetched: Fetched

    @property
    def ordered(self) -> bool:
        return False

    def begun(self, batch_id: int) -> bool:  # noqa: ARG002
        return True

    def fetch(self, batch_id: int) -> Fetched | None:  # noqa: ARG002
        return self.fetched

    def cancel_from(self, batch_id: int) -> None:
        """Nobody waits for this batch."""
