"""The ledger of a SQL sink: who owns a target, which batches it has, and how many rows of each.

The ledger is a table in the same database as the target, so both change in one transaction. It is only believed after a
look at the target: a user may drop, empty or rename the table, or fill it with other rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from engine.sinks.base import LEDGER, OWNER, filled_by_another, folded
from engine.sql.database import ConnectionLost
from engine.sql.mysql_types import KINDS, TRANSACTIONAL

if TYPE_CHECKING:
    from engine.sinks.base import Delivery


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A batch of which the target has `rows` rows, but the ledger `delivered`; None if the ledger hasn't the batch."""

    batch_id: int
    rows: int
    delivered: int | None


class SqlLedger:
    """The rows of the ledger for one target; `name` is that of the sink, for errors."""

    def __init__(self, name: str, target: str, schema: str | None, checkpoint_key: str) -> None:
        self._name = name
        self._target = target
        self._key = checkpoint_key
        exactly = mysql.VARCHAR(255, collation="utf8mb4_bin")
        self._table = sa.Table(
            LEDGER,
            sa.MetaData(),
            sa.Column("target", sa.String(255).with_variant(exactly, "mysql", "mariadb"), primary_key=True),
            sa.Column("batch_id", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("checkpoint_key", sa.String(32), nullable=False),
            # The attempt's id. The name is older than that word: no migration reaches other people's databases.
            sa.Column("token", sa.String(64), nullable=False),
            sa.Column("row_count", sa.BigInteger),  # NULL: delivered by a version that didn't count
            schema=schema,
            **TRANSACTIONAL,
        )
        self._mine: sa.ColumnElement[bool] = self._table.c.target == target

    def open(self, connection: sa.Connection) -> None:
        """Create the table if it doesn't exist. Raises SinkNotUsable if another checkpoint owns the target."""
        if not self._exists(connection):
            try:
                self._table.create(connection)
            except sa.exc.DBAPIError:  # another sink may have created it at the same time
                connection.rollback()
                if not self._exists(connection):
                    raise
        known = {one["name"] for one in sa.inspect(connection).get_columns(LEDGER, schema=self._table.schema)}
        if "row_count" not in known:
            quoted = connection.dialect.identifier_preparer.format_table(self._table)
            connection.exec_driver_sql(f"ALTER TABLE {quoted} ADD COLUMN row_count BIGINT")
        if self._folds(connection):
            self._target = folded(self._target)
            self._mine = sa.func.lower(self._table.c.target) == self._target
        self._refuse_others(connection)

    def _exists(self, connection: sa.Connection) -> bool:
        return sa.inspect(connection).has_table(LEDGER, schema=self._table.schema)

    def _folds(self, connection: sa.Connection) -> bool:
        """Return whether names of tables that differ in case only are names of one table."""
        if connection.dialect.name in KINDS:
            return bool(connection.execute(sa.text("SELECT @@lower_case_table_names")).scalar_one())
        return connection.dialect.name == "sqlite"

    def _refuse_others(self, connection: sa.Connection) -> None:
        other: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
            self._mine, self._table.c.checkpoint_key != self._key
        )
        if connection.execute(other.limit(1)).first() is not None:
            raise filled_by_another(self._name)

    # --- what it says ---------------------------------------------------------------------------------

    def next_batch_id(self, connection: sa.Connection) -> int:
        """Return the id after the last batch."""
        greatest = connection.execute(sa.select(sa.func.max(self._table.c.batch_id)).where(self._mine)).scalar()
        return 0 if greatest is None else int(greatest) + 1

    def attempt_ids(self, connection: sa.Connection, first_batch_id: int, last_batch_id: int) -> dict[int, str]:
        """Return the attempt ids of the batches in this range, both ids inclusive."""
        ledger = self._table.c
        within = ledger.batch_id.between(first_batch_id, last_batch_id)
        found = connection.execute(sa.select(ledger.batch_id, ledger.token).where(self._mine, within))
        return {row.batch_id: row.token for row in found}

    def delivered(self, connection: sa.Connection) -> int:
        """Return how many rows of batches it records."""
        rows = sa.select(sa.func.sum(self._table.c.row_count)).where(self._mine)
        return int(connection.execute(rows).scalar() or 0)

    def mismatches(self, connection: sa.Connection, target: sa.FromClause, batch_column: str) -> list[Mismatch]:
        """Return the batches of which the target has another number of rows; of unknown batches only the first."""
        batch = target.c[batch_column]
        counted = sa.select(batch.label("batch_id"), sa.func.count().label("held"))
        held = counted.where(batch.is_not(None)).group_by(batch).subquery("held")
        ledger, rows = self._table.c, sa.func.coalesce(held.c.held, 0)
        known = (
            sa.select(ledger.batch_id, rows, ledger.row_count)
            .select_from(self._table.outerjoin(held, held.c.batch_id == ledger.batch_id))
            .where(self._mine, ledger.batch_id != OWNER, rows != sa.func.coalesce(ledger.row_count, held.c.held, -1))
        )
        mine = sa.and_(ledger.batch_id == held.c.batch_id, self._mine)
        unknown = (
            sa.select(held.c.batch_id, held.c.held)
            .select_from(held.outerjoin(self._table, mine))
            .where(ledger.batch_id.is_(None))
            .limit(1)
        )
        return [
            *(Mismatch(int(one), int(there), None) for one, there in connection.execute(unknown)),
            *(Mismatch(int(one), int(there), int(sent or 0)) for one, there, sent in connection.execute(known)),
        ]

    # --- what changes it, in the transaction of the rows ----------------------------------------------

    def claim(self, connection: sa.Connection) -> None:
        """Record the checkpoint as the owner, unless it is. Raises SinkNotUsable if another one is."""
        ledger = self._table.c
        owner = sa.select(ledger.checkpoint_key).where(self._mine, ledger.batch_id == OWNER)
        found = connection.execute(owner).scalar_one_or_none()
        if found is None:
            self._refuse_others(connection)
            self._insert(connection, OWNER, "owner", None)
        elif found != self._key:
            raise filled_by_another(self._name)

    def add(self, connection: sa.Connection, delivery: Delivery, rows: int) -> None:
        """Record a batch."""
        self._insert(connection, delivery.batch_id, delivery.attempt_id, rows)

    def _insert(self, connection: sa.Connection, batch_id: int, token: str, rows: int | None) -> None:
        row: dict[str, Any] = {"target": self._target, "batch_id": batch_id, "token": token, "row_count": rows}
        try:
            connection.execute(self._table.insert(), {**row, "checkpoint_key": self._key})
        except sa.exc.IntegrityError as error:
            # Another sink was faster, or our own transaction whose COMMIT wasn't answered: look again.
            raise ConnectionLost(f"{self._name} was changed by another transaction at the same time") from error

    def remove(self, connection: sa.Connection, which: sa.ColumnElement[bool] | None = None) -> None:
        """Remove these batches, all by default; the owner stays."""
        connection.execute(self._table.delete().where(*self._batches(which)))

    def batch_ids(self, which: sa.ColumnElement[bool]) -> sa.Select[Any]:
        """Return a SELECT of the ids of these batches."""
        return sa.select(self._table.c.batch_id).where(*self._batches(which))

    def _batches(self, which: sa.ColumnElement[bool] | None) -> list[sa.ColumnElement[bool]]:
        return [self._mine, self._table.c.batch_id != OWNER, *(() if which is None else (which,))]

    @property
    def batch_id(self) -> sa.Column[int]:
        """Return the column for conditions."""
        return self._table.c.batch_id
