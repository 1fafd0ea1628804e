"""The contract of a sink: another place for the results, besides the parts; each batch gets there exactly once."""

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
"""The table that a sink keeps in the same database as its target table: the batches that the target has."""


def filled_by_another(name: str) -> SinkNotUsable:
    """Return the error for a target whose ledger names another checkpoint; `name` is that of the sink."""
    return SinkNotUsable(
        name,
        f"{name} is filled by another checkpoint",
        hint="Give each checkpoint its own table. To fill this table from the beginning, drop it and delete its rows "
        f"from {LEDGER}.",
    )


@dataclass(frozen=True, slots=True)
class Delivery:
    """The results of one committed batch: the Parquet file `part`, written by the attempt that `attempt_id` names.

    The file is local, a copy if necessary, and exists until `put` returns.
    """

    batch_id: int
    attempt_id: str
    part: Path


class Sink(ABC):
    """A target that follows the committed batches. The engine asks it which batches it has, and records nothing.

    Batches are delivered after their commit, in order. In one transaction a sink stores the rows of a batch, its
    id and its attempt id. The next run compares these ids with the catalog, delivers the missing batches, and drops
    those that aren't results any more: after a crash, a rewind, a reset, or if the sink is new.

    Call order in a run: `open`, `next_batch_id`, `attempt_ids` and `drop_from` and `put` as needed, `close`; all
    from one thread. After an error the engine may call the same `put` again, which must use a new connection then.
    """

    retry: RetryPolicy = RetryPolicy(transient=(ConnectionError,), max_attempts=10, max_seconds=600)
    """When to try a delivery again."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name to show on a screen, without secrets; the same in every run."""

    @abstractmethod
    def open(self, checkpoint_key: str) -> None:
        """Prepare to store batches of the checkpoint with this key.

        Raises:
            SinkNotUsable: the target belongs to another checkpoint, or can't hold results.
        """

    @abstractmethod
    def next_batch_id(self) -> int:
        """Return the id after the last batch in the target, 0 if there is none."""

    @abstractmethod
    def attempt_ids(self, first_batch_id: int, last_batch_id: int) -> Mapping[int, str]:
        """Return the attempt ids of the batches in this range, both ids inclusive, that the target has, by batch id."""

    @abstractmethod
    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Store these batches, all or none: rows, ids and attempt ids in one transaction.

        A batch that the target has from another attempt is replaced; one from the same attempt stays unchanged.

        Raises:
            SinkNotUsable: the target can't store them, for example because its table has other columns.
        """

    @abstractmethod
    def drop_from(self, batch_id: int) -> None:
        """Delete the batches from this id on, all or none: they aren't results any more."""

    def close(self) -> None:  # noqa: B027
        """Close connections. Called once, also after a failure."""
