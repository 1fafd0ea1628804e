"""The contract of a step: what the engine calls and in which order, and what the step promises."""

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

    The engine calls `setup` once before the first batch of a run, `process` once for each batch, and `teardown` once
    at the end of the run, also after a failure. It calls `process` again when it retries a batch or resumes a run,
    and with parts of a batch when it looks for bad rows. If `concurrent` is false, `process` gets one batch at a
    time, in batch order except for those parts, but not always in the same thread.

    Side effects of a step happen *at least* once: if the process dies between the step and the commit, the next run
    calls the step again. `batch.key` is the same in both calls, so it can be used as an idempotency key.
    """

    name: str
    """Unique in the pipeline; the engine identifies a step by its name, never by its position."""

    version: str = "1"
    """Change it when the step computes something else: a resume then asks, and doesn't mix results."""

    row_wise: bool = True
    """True if the result of each row depends on that row alone, so that the engine can find single bad rows."""

    concurrent: bool = False
    """True if `process` may run for several batches at once, in several threads and in any order."""

    retry: RetryPolicy | None = None
    """When to try again; None uses the policy of the pipeline."""

    on_error: OnError | None = None
    """What to do with rows that this step can't process; None uses the setting of the pipeline."""

    timeout_seconds: float | None = None
    """How long `process` may take for one batch; None for no limit. See `StepTimedOut`.

    With a limit, each call of `process` runs in a thread of its own. A call that can't be interrupted is abandoned: it
    finishes the C function that it is in, and then runs no further Python instruction.
    """

    def __init__(self, name: str) -> None:
        if not name or not isinstance(name, str):
            raise UsageError(f"a step's name must be a non-empty text, not {name!r}")
        self.name = name

    @abstractmethod
    def process(self, batch: Batch) -> Batch:
        """Return the batch with new data: `batch.with_data(frame)`. Don't change its id and rows.

        The frame needs at least one column; it may have no rows. Raise an error to stop the run at this batch.
        """

    # Optional hooks: an empty body is the right default, so they are not abstract.

    def setup(self) -> None:  # noqa: B027
        """Open what `process` needs: connections, models, files."""

    def teardown(self) -> None:  # noqa: B027
        """Close what `setup` opened."""

    def settings(self) -> Mapping[str, Json]:
        """Return what the results depend on besides the name and the version, as JSON values.

        A resume with other settings is refused until the user says what to do.
        """
        return {}


class LazyBatchStep(BatchStep):
    """A step that is a Polars expression over the frame. The engine fuses adjacent ones into one plan.

    `lazy` must not read the data (no `collect`), and its result must be equal to that of `process`.
    """

    concurrent = True

    @abstractmethod
    def lazy(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the plan that computes the columns and rows of this step from `frame`."""

    def process(self, batch: Batch) -> Batch:
        """Run the plan for this batch alone."""
        return batch.with_data(self.lazy(batch.data.lazy()).collect())


class StatefulBatchStep(BatchStep):
    """A step that remembers something from one batch to the next, such as a running total.

    It always processes one batch at a time, in order. After each batch the engine commits its `snapshot` together
    with the frontier. Before the first batch of a run, after `setup`, it calls `restore` with the snapshot at the
    frontier, or with None if nothing is committed; then the step must take its initial state. It also calls
    `restore` before it tries a batch again, since the failed attempt may have changed the state. A snapshot is kept
    for every batch, so that a rewind can restore it: keep snapshots small.
    """

    concurrent = False
    row_wise = False

    @abstractmethod
    def snapshot(self) -> Json:
        """Return the state after the batch that was processed last, as JSON values."""

    @abstractmethod
    def restore(self, state: Json) -> None:
        """Take the state that `snapshot` returned, or the initial state if it is None."""
