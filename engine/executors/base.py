"""The protocol between the batch loop and what does the work: threads of this process, or a cluster.

An executor turns batch ids into manifests of durable parts. It never touches the catalog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from engine.checkpoint.parts.manifest import Manifest
    from engine.events import Listener
    from engine.sources.base import BatchFetcher
    from engine.steps.base import BatchStep
    from engine.worker.recipe import Recipe
    from engine.worker.signals import StopSignal


class Executor(Protocol):
    """Runs batches. Call order: `prepare`, `start`, `submit` for each batch, `shutdown`; all from one thread."""

    workers: int
    """How many batches are worked on at the same time."""

    window: int
    """How many batches may be submitted and not yet committed: the back-pressure."""

    def prepare(self, steps: Sequence[BatchStep], fetcher: BatchFetcher) -> None:
        """Connect to what does the work, so that `workers` and `window` are known.

        Called once before `start`, when the source isn't open and the steps aren't set up: they can still be sent to
        another machine.
        """

    def start(self, recipe: Recipe, *, stop: StopSignal, emit: Listener, on_done: Callable[[], None]) -> None:
        """Get ready to work by the recipe, until `stop` is requested.

        The executor must call `on_done`, from any thread, each time that a submitted batch is done.
        """

    def submit(self, batch_id: int) -> Future[Manifest | None]:
        """Accept a batch; ids come in ascending order without gaps.

        The future's result is the manifest of the batch, whose part is durable under its temporary name, or None
        past the end of the source. It raises what `BatchWork` raises.
        """

    def shutdown(self) -> None:
        """Begin no further batch, cancel those that wait, and return when no batch is in work.

        User code that hangs can't be ended from outside; after some seconds such a thread is abandoned.
        """
