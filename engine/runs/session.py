"""What a run, a replay and a recompute share: changes are refused, source, steps and sinks opened, and closed again.

A plan takes one way down: the pipeline hands it to a session, the session makes a recipe of it, and an executor or a
single call works by the recipe. A session must not know what is done between its beginning and its end.
"""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from engine.errors import CheckpointError, FetchFailed, StepSetupFailed, describe, raised_as
from engine.events import AttemptFailed, Warned
from engine.runs import fingerprint, resume_rules
from engine.runs.delivery import Deliveries
from engine.sources.base import SeekableFetcher
from engine.steps.base import StatefulBatchStep
from engine.text.json_values import json_copy
from engine.worker.recipe import Recipe
from engine.worker.work import PartTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Self

    import polars as pl

    from engine.checkpoint.store import CheckpointStore
    from engine.events import Event, FailureRecord, Listener
    from engine.runs.plan import Plan
    from engine.sources.base import Position, SourceSize
    from engine.state import RunState
    from engine.text.json_values import Json
    from engine.worker.signals import StopSignal

_log = logging.getLogger(__name__)


class Emitter:
    """Calls each listener with each event, in the thread of the event. A listener can't hurt the run.

    A context manager: at its end it logs how often a listener failed. Safe from any thread.
    """

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._failures = [0] * len(self._listeners)
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for failures in self._failures:
            if failures > 1:
                _log.error("a listener failed on %s events in all", f"{failures:,}")

    def __call__(self, event: Event) -> None:
        """Call the listeners. The first error of each is logged, and no error has another effect.

        After a Ctrl-C in a listener the others are called all the same: they must not get the end of a run whose start
        they never got.
        """
        interrupted: KeyboardInterrupt | None = None
        for number, listener in enumerate(self._listeners):
            try:
                listener(event)
            except KeyboardInterrupt as error:  # from the user; it can come at any place
                interrupted = error
            except BaseException:  # noqa: BLE001 (the run continues, even after a SystemExit)
                with self._lock:
                    self._failures[number] += 1
                    is_first = self._failures[number] == 1
                if is_first:
                    _log.exception("a listener failed on %s and was ignored", type(event).__name__)
        if interrupted is not None:
            raise interrupted


class Session:
    """One plan over one open checkpoint. A context manager: at its end, what was opened is closed in reverse order.

    Owned by one thread, as the store is; `emit` may be called from any.

    Raises:
        PipelineChanged: steps, settings or source aren't those of the checkpoint, and `accept_changes` is False.
    """

    def __init__(
        self, plan: Plan, store: CheckpointStore, *, stop: StopSignal, emit: Listener, accept_changes: bool = False
    ) -> None:
        self.plan = plan
        self.store = store
        self.stop = stop
        self.emit = _RetryCount(emit)
        self._description = fingerprint.description(plan.steps, plan.batch_fetcher, plan.batch_size)
        self._changed = resume_rules.refuse_changes(
            store.history.pipeline(),
            self._description,
            seekable=isinstance(plan.batch_fetcher, SeekableFetcher),
            accept=accept_changes,
            started=store.next_batch_id > 0,
        )
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._cleanup.close()

    def begin_run(self) -> int:
        """Record in the history that a run begins; return its number."""
        return self.store.history.begin_run(
            batch_size=self.plan.batch_size, pipeline=self._description, changed=self._changed
        )

    def end_run(self, run_id: int, state: RunState, *, failure: FailureRecord | None = None, message: str = "") -> None:
        """Record how the run ended. A disk that can't take even that must not hide the error that ended it."""
        history = self.store.history
        try:
            if failure is not None:
                history.add_failure(failure)
            history.end_run(run_id, state, failure.message if failure else message, retries=self.emit.retries)
        except CheckpointError as error:
            self.emit(Warned(f"how run {run_id} ended could not be recorded: {error}"))

    def open_source(self, position: Position) -> SourceSize | None:
        """Open the source at `position`; return its size if it is known.

        Raises:
            SourceError: the source can't be opened.
        """
        fetcher = self.plan.batch_fetcher
        if not isinstance(fetcher, SeekableFetcher):
            return None
        self._at_the_end(fetcher.close, "the source could not be closed")
        with raised_as(partial(FetchFailed, position.next_batch_id)):
            fetcher.open(position)
            return fetcher.size()

    def set_up_steps(self, states: Mapping[str, Json], batch_id: int) -> None:
        """Set the steps up for a start at `batch_id`, and restore those with a memory from `states`.

        What the steps produce from now on and nobody commits is discarded at the end.

        Raises:
            StepSetupFailed: a step raised.
        """
        self._cleanup.callback(self.store.discard_uncommitted)
        for step in self.plan.steps:
            self._at_the_end(step.teardown, f"step '{step.name}' could not be torn down")
            with raised_as(partial(StepSetupFailed, step.name, batch_id)):
                step.setup()
                if isinstance(step, StatefulBatchStep):
                    step.restore(json_copy(states.get(step.name)))

    def open_sinks(self) -> Deliveries:
        """Open the sinks and bring each of them to the frontier. Raises what `Deliveries.catch_up` raises."""
        deliveries = Deliveries(self.plan.sinks, self.store, stop=self.stop, emit=self.emit)
        self._cleanup.callback(deliveries.close)
        deliveries.catch_up()
        return deliveries

    def recipe(
        self, position: Position, *, run_id: int, pinned: pl.Schema | None, batch_size: int | None = None
    ) -> Recipe:
        """Return what is done with the batches from `position` on. `pinned` are the columns of the results if known."""
        before = self.store.batches(position.next_batch_id - 1, position.next_batch_id - 1)
        return Recipe(
            steps=self.plan.steps,
            fetcher=self.plan.batch_fetcher,
            batch_size=batch_size or self.plan.batch_size,
            position=position,
            retry=self.plan.retry,
            quarantine=self.plan.on_error,
            states=(before[0].states or {}) if before else {},
            pinned=pinned,
            target=self.target(run_id),
        )

    def target(self, run_id: int) -> PartTarget:
        """Return where the parts of a run go."""
        store = self.store
        return PartTarget(
            layout=store.layout,
            compression=self.plan.part_compression,
            run_id=run_id,
            epoch=store.epoch,
            run_key=f"{store.key}-{store.epoch}",
            checkpoint=json.dumps({"key": store.key, "pipeline": self._description}),
        )

    def _at_the_end(self, function: Callable[[], None], failed: str) -> None:
        """Call `function` at the end of the session; an error there is a warning, it doesn't change how a run ended."""

        def close() -> None:
            try:
                function()
            except Exception as error:  # noqa: BLE001 (emitted)
                self.emit(Warned(f"{failed}: {describe(error)}"))

        self._cleanup.callback(close)


class _RetryCount:
    """A listener that hands events on to `emit`, and counts the retries among them."""

    def __init__(self, emit: Listener) -> None:
        self._emit = emit
        self._lock = Lock()
        self.retries = 0

    def __call__(self, event: Event) -> None:
        """Hand the event on. Safe from any thread."""
        if isinstance(event, AttemptFailed):
            with self._lock:
                self.retries += 1
        self._emit(event)
