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


OWNER = -1
"""The batch id of the row in the ledger that names the owner of a target. No batch has this id."""


def folded(name: str) -> str:
    """Return the name of a table as databases compare it that don't distinguish the case of ASCII letters."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def filled_by_another(name: str) -> SinkNotUsable:
    """Return the error for a target whose ledger names another checkpoint; `name` is that of the sink."""
    return SinkNotUsable(
        name,
        f"{name} is filled by another checkpoint",
        hint="Give each checkpoint its own table. To fill this table from the beginning, drop it and delete its rows "
        f"from {LEDGER}.",
    )


def holds_other_rows(name: str, batch_id: int, rows: int, delivered: int | None, batch_column: str) -> SinkNotUsable:
    """Return the error for a target with rows that have the id of a batch, but that the sink didn't write."""
    wrote = "none of them" if delivered is None else f"{delivered:,} of them"
    return SinkNotUsable(
        name,
        f"{name} has {rows:,} rows with {batch_column} = {batch_id}, but according to {LEDGER} this sink wrote {wrote}",
        hint=f"Set {batch_column} of the other rows to NULL to keep them. To fill the table from the beginning, drop "
        f"it. If the rows were delivered, and {LEDGER} was deleted, one of these is necessary too.",
    )


def changed_meanwhile(name: str) -> SinkNotUsable:
    """Return the error for a target that was dropped or renamed after the sink has looked at it."""
    return SinkNotUsable(
        name,
        f"{name} was dropped or renamed during the run",
        hint="Run again: the sink creates the table again, and all batches are delivered to it.",
    )


def kept_other_rows(name: str, batch_id: int, sent: int, kept: int) -> SinkNotUsable:
    """Return the error for a target that has kept another number of rows than were sent; nothing is stored."""
    return SinkNotUsable(
        name,
        f"{name} kept {kept:,} of the {sent:,} rows of batch {batch_id}",
        hint="A trigger, a rule or a view drops, adds or changes rows there. Deliver to a table without it.",
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
        """Prepare to store batches of the checkpoint with this key, and compare the target with the ledger.

        Batches whose rows aren't all in the target are taken out of the ledger, so that they are delivered again. The
        owner of a target is recorded by `put`, in the same transaction as the rows.

        Raises:
            SinkNotUsable: the target belongs to another checkpoint, can't hold results, or has rows with the id of a
                batch that the sink didn't write.
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
            SinkNotUsable: the target can't store them, for example because its table has other columns, or because
                another checkpoint has filled it in the meantime.
        """

    @abstractmethod
    def drop_from(self, batch_id: int) -> None:
        """Delete the batches from this id on, all or none: they aren't results any more."""

    def close(self) -> None:  # noqa: B027
        """Close connections. Called once, also after a failure."""
