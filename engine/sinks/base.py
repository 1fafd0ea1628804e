"""The contract of a sink: a place besides the parts where the results go, exactly once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import SinkNotUsable
from engine.policy import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


LEDGER = "batchpipe_deliveries"
"""The table that a sink of the engine keeps beside its target: which batches the target holds."""


def filled_by_another(name: str) -> SinkNotUsable:
    """Return the error for a target, called `name`, whose ledger names another checkpoint."""
    return SinkNotUsable(
        name,
        f"{name} is filled by another checkpoint",
        hint=f"Give each checkpoint a table of its own; or, to start this table over, drop it and delete its rows from "
        f"{LEDGER}.",
    )


@dataclass(frozen=True, slots=True)
class Delivery:
    """The results of one committed batch: the Parquet file `part`, written by the attempt that `attempt_id` names.

    The file is local, if need be a copy, and is there as long as `put` takes.
    """

    batch_id: int
    attempt_id: str
    part: Path


class Sink(ABC):
    """Follows the committed batches. What it holds can be asked of it, so nothing has to be remembered here.

    Batches are delivered after they are committed, in order. With the rows of a batch a sink keeps the batch's
    id and attempt id in the same transaction; on the next run it is asked for them, gets what it lacks, and drops what
    is no longer among the results: after a crash, a rewind, a reset, or when it is new.

    Call order in a run: `open`, `next_batch_id`, `attempt_ids` and `drop_from` and `put` as needed, `close`. All of it
    from one thread. After an error the same `put` may come again, and must then work with a new connection.
    """

    retry: RetryPolicy = RetryPolicy(transient=(ConnectionError,), max_attempts=10, max_seconds=600)
    """When to try a delivery again."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What to call it on a screen, without secrets; the same in every run."""

    @abstractmethod
    def open(self, checkpoint_key: str) -> None:
        """Get ready to take the batches of the checkpoint with this key.

        Raises:
            SinkNotUsable: the place belongs to something else, or can't hold results.
        """

    @abstractmethod
    def next_batch_id(self) -> int:
        """Return the id after the greatest batch that is held, 0 when there is none."""

    @abstractmethod
    def attempt_ids(self, first_batch_id: int, last_batch_id: int) -> Mapping[int, str]:
        """Return the attempt ids of the batches that are held in this range, both ids inclusive, by id."""

    @abstractmethod
    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Take these batches in, all or none: rows, ids and attempt ids in one transaction.

        A batch that is held from another attempt is replaced; one that is held from the same attempt is left as it is.

        Raises:
            SinkNotUsable: the place can't take them, such as a table with other columns.
        """

    @abstractmethod
    def drop_from(self, batch_id: int) -> None:
        """Take out the batches from this id on, all or none, for they are no longer among the results."""

    def close(self) -> None:  # noqa: B027
        """Let go of connections. Called once, also after a failure."""
