"""The contract of a step: what the engine calls, in which order, and what a step promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.batch import Batch
    from engine.policy import OnError, RetryPolicy
    from engine.text.json_values import Json


class BatchStep(ABC):
    """One step of a pipeline. Subclass it and write `process`; everything else has a default.

    The engine calls `setup` once before the first batch of a run, `process` once for each batch (and
    again when a batch is retried or a run is resumed, and for parts of it while bad rows are looked for),
    `teardown` once at the end of the run, also after a failure. Unless `concurrent` is true, `process` is called for
    one batch at a time, in batch order but for those parts, though not always from the same thread.

    What a step does to the outside world happens *at least* once: a process that dies between the step
    and the commit runs the step again. `batch.key` is the same then, and can serve as an idempotency key.
    """

    name: str
    """Unique in the pipeline; a step is known by its name, never by its position."""

    version: str = "1"
    """Change it when the step computes something else: a resume then asks instead of mixing results."""

    row_wise: bool = True
    """True when each row's result depends on that row alone, so that one bad row can be told apart."""

    concurrent: bool = False
    """True when `process` may run for several batches at once, from several threads, in any order."""

    retry: RetryPolicy | None = None
    """When to try again; None takes the pipeline's own policy."""

    on_error: OnError | None = None
    """What to do with rows that this step can't process; None does as the pipeline says."""

    timeout_seconds: float | None = None
    """How long `process` may take for one batch; None for as long as it takes. See `StepTimedOut`.

    With one, `process` runs in a thread of its own each time. A call that can't be ended is left behind: it goes on
    to the end of what it does in C, and not one instruction of Python further.
    """

    def __init__(self, name: str) -> None:
        if not name or not isinstance(name, str):
            raise UsageError(f"a step's name must be a non-empty text, not {name!r}")
        self.name = name

    @abstractmethod
    def process(self, batch: Batch) -> Batch:
        """Return the batch with new data: `batch.with_data(frame)`; id and rows stay as they are.

        The frame needs at least one column, and may have no rows. Raise to stop the run at this batch.
        """

    # Optional hooks: an empty body is the right default, so they are not abstract.

    def setup(self) -> None:  # noqa: B027
        """Open what `process` needs: connections, models, files."""

    def teardown(self) -> None:  # noqa: B027
        """Close what `setup` opened."""

    def settings(self) -> Mapping[str, Json]:
        """Return what the results depend on besides name and version, as JSON values.

        A resume with other settings is refused until the caller says what to do.
        """
        return {}


class LazyBatchStep(BatchStep):
    """A step that is a Polars expression over the frame. Neighbours are fused into one plan.

    `lazy` must not look at the data (no `collect`), and must give what `process` gives.
    """

    concurrent = True

    @abstractmethod
    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the plan that makes this step's columns and rows out of `frame`."""

    def process(self, batch: Batch) -> Batch:
        """Run the plan for this batch alone."""
        return batch.with_data(self.lazy(batch.data.lazy()).collect())


class StatefulBatchStep(BatchStep):
    """A step that remembers something from batch to batch, such as a running total.

    It always runs one batch at a time, in order. After each batch `snapshot` is committed together with
    the frontier; before the first batch of a run, after `setup`, `restore` gets the snapshot at the frontier,
    or None at the very start (and then must put the step into its first state). So it does before a batch is
    tried again, since the failed attempt may have changed the state. Snapshots are kept for each batch,
    so that a rewind can bring them back: keep them small.
    """

    concurrent = False
    row_wise = False

    @abstractmethod
    def snapshot(self) -> Json:
        """Return the state after the last processed batch, as JSON values."""

    @abstractmethod
    def restore(self, state: Json) -> None:
        """Take on a state that `snapshot` returned, or the first state when it is None."""
