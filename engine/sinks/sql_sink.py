"""Results in a table of a SQL database, exactly once.

Beside the target table the engine keeps a ledger, `batchpipe_deliveries`, with a row for each batch in the target. Both
change in one transaction, so even after a lost connection the ledger shows whether the target has the batch.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import polars as pl
import sqlalchemy as sa

from engine.errors import SinkNotUsable, UsageError
from engine.sinks import sql_table
from engine.sinks.base import Sink, changed_meanwhile, holds_other_rows, kept_other_rows
from engine.sinks.sql_ledger import SqlLedger
from engine.sql.database import Database
from engine.sql.mysql_types import KINDS, TRANSACTIONAL, has_transactions, rounds_times
from engine.sql.relation import found_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.sinks.base import Delivery

_IDS_AT_A_TIME = 500
"""How many batch ids one DELETE names: databases limit the parameters of a statement."""


class SqlSink(Sink):
    """Also writes the results into `table` of a database.

    If the table doesn't exist, it is created with the columns of the results. If it exists, it needs these columns, in
    any order, and may have other columns with defaults. `batch_column` is an additional column (BIGINT) for the id of
    the batch of a row; it is needed to delete batches that were rewound or processed again. With None there is no such
    column: after a rewind of delivered batches the next run fails until the user has emptied the table.

    Args:
        url_or_engine: a URL such as `postgresql://user:password@host/name`, or a SQLAlchemy engine. Rows are written
            by COPY to PostgreSQL with the driver psycopg, and by multi-row INSERT to other databases.
        table: the name of the table, not quoted. `a.b` is the table b in the schema a, as for `SqlFetcher`, unless a
            table is called `a.b`.
        schema: the schema of the table, which must exist.
        batch_column: the name of the column for the batch id, or None.

    Raises:
        UsageError: an argument is wrong, or a database driver isn't installed.
    """

    def __init__(
        self,
        url_or_engine: str | sa.URL | sa.Engine,
        table: str,
        *,
        schema: str | None = None,
        batch_column: str | None = "batch_id",
    ) -> None:

        if not table or not isinstance(table, str):
            raise UsageError(f"table must be a name, not {table!r}")
        self._database = Database(url_or_engine)
        self._table_name = table
        self._schema = schema
        self._batch_column = batch_column
        self._table: sa.Table | None = None

    @property
    def name(self) -> str:
        """Return the table and the database, without user or password."""
        table = f"{self._schema}.{self._table_name}" if self._schema else self._table_name
        return f"{table} in {self._database.label}"

    def open(self, checkpoint_key: str) -> None:
        """Create the ledger if it doesn't exist, check the owner, and compare the table with the ledger."""
        self._table = None
        self._counted = False
        self._database.make_file()
        with self._database.transaction() as connection:
            self._schema, self._table_name = self._found(connection)
            self._ledger = SqlLedger(self.name, self._table_name, self._schema, checkpoint_key)
            self._ledger.open(connection)
            self._look(connection)

    def _found(self, connection: sa.Connection) -> tuple[str | None, str]:
        inspector = sa.inspect(connection)
        schema, table = found_table(inspector, self._table_name, self._schema)
        if schema is not None and schema not in inspector.get_schema_names():
            raise SinkNotUsable(
                self.name,
                f"there is no schema '{schema}' in {self._database.label}",
                hint=f'Create it: CREATE SCHEMA "{schema}". In table=, the part before the first dot names a schema.',
            )
        return schema, table

    def _look(self, connection: sa.Connection) -> None:
        """Take batches out of the ledger that aren't whole in the table: they are delivered again."""
        if not self._is_there(connection):
            self._ledger.remove(connection)
            return
        table = self._reflected(connection)
        if self._database.kind in KINDS and not has_transactions(connection, table):
            raise SinkNotUsable(
                self.name,
                f"the storage engine of {self.name} has no transactions, so a batch could be stored in part",
                hint=f"Change it: ALTER TABLE {self._table_name} ENGINE=InnoDB.",
            )
        if self._batch_column is None:
            self._look_at_rows(connection, table)
            return
        if self._batch_column not in table.c:
            return  # `put` refuses it
        partial = []
        for one in self._ledger.mismatches(connection, table, self._batch_column):
            if one.rows > (one.delivered or 0):
                raise holds_other_rows(self.name, one.batch_id, one.rows, one.delivered, self._batch_column)
            partial.append(one.batch_id)
        for start in range(0, len(partial), _IDS_AT_A_TIME):
            self._delete(connection, table, self._ledger.batch_id.in_(partial[start : start + _IDS_AT_A_TIME]))

    def _look_at_rows(self, connection: sa.Connection, table: sa.Table) -> None:
        delivered = self._ledger.delivered(connection)
        rows = int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()) if delivered else 0
        if delivered and not rows:
            self._ledger.remove(connection)
        elif rows < delivered:
            raise SinkNotUsable(
                self.name,
                f"{self.name} has {rows:,} rows, but {delivered:,} were delivered to it, and no column says which "
                "rows are missing",
                hint="Empty the table: the next run fills it again. With batch_column='batch_id' this isn't necessary.",
            )

    def next_batch_id(self) -> int:
        """Return the id after the last batch in the ledger."""
        with self._database.connect() as connection:
            return self._ledger.next_batch_id(connection)

    def attempt_ids(self, first_batch_id: int, last_batch_id: int) -> Mapping[int, str]:
        """Return the batches of this range that the ledger has."""
        with self._database.connect() as connection:
            return self._ledger.attempt_ids(connection, first_batch_id, last_batch_id)

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Write the rows, the ledger and, the first time, the owner, in one transaction."""
        with self._database.transaction() as connection:
            self._ledger.claim(connection)
            table = self._target(connection, deliveries[0])
            held = self._ledger.attempt_ids(connection, deliveries[0].batch_id, deliveries[-1].batch_id)
            for one in deliveries:
                if held.get(one.batch_id) == one.attempt_id:
                    continue
                if one.batch_id in held:
                    self._refuse_without_batches(one.batch_id)
                    self._delete(connection, table, self._ledger.batch_id == one.batch_id)
                frame = self._frame(one)
                kept = sql_table.insert_rows(connection, table, frame)
                self._refuse_others(connection, table, one, frame.height, kept)
                self._ledger.add(connection, one, frame.height)
        self._table = table  # not earlier: if the transaction is rolled back, a table that it created is gone
        self._counted = True

    def _refuse_others(
        self, connection: sa.Connection, table: sa.Table, one: Delivery, sent: int, kept: int | None
    ) -> None:
        """Raise SinkNotUsable if the table hasn't kept the rows as they are.

        `kept` is what the driver says. The first batch of a run is counted in the table too: a trigger may change the
        batch of a row, and then no later look at the table would find it.
        """
        if self._batch_column is not None and not self._counted:
            theirs = table.c[self._batch_column] == one.batch_id
            kept = int(connection.execute(sa.select(sa.func.count()).where(theirs)).scalar_one())
        if kept is not None and kept != sent:
            raise kept_other_rows(self.name, one.batch_id, sent, kept)

    def drop_from(self, batch_id: int) -> None:
        """Delete the rows and their entries in the ledger, in one transaction."""
        self._refuse_without_batches(batch_id)
        with self._database.transaction() as connection:
            self._ledger.claim(connection)
            table = self._reflected(connection) if self._is_there(connection) else None
            self._delete(connection, table, self._ledger.batch_id >= batch_id)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _refuse_without_batches(self, batch_id: int) -> None:
        if self._batch_column is None:
            raise SinkNotUsable(
                self.name,
                f"batches from {batch_id} on were rewound or processed again, but {self.name} has no column that says "
                "which rows are theirs",
                hint="Empty the table: the next run fills it again. With batch_column='batch_id' this isn't necessary.",
            )

    def _delete(self, connection: sa.Connection, table: sa.Table | None, which: sa.ColumnElement[bool]) -> None:
        if table is not None and self._batch_column is not None:
            theirs = self._ledger.batch_ids(which)
            connection.execute(table.delete().where(table.c[self._batch_column].in_(theirs)))
        self._ledger.remove(connection, which)

    def _frame(self, delivery: Delivery) -> pl.DataFrame:

        frame = pl.read_parquet(delivery.part, glob=False)
        if self._batch_column is None:
            return frame
        return frame.with_columns(pl.lit(delivery.batch_id, dtype=pl.Int64).alias(self._batch_column))

    # --- the target table -----------------------------------------------------------------------------

    def _target(self, connection: sa.Connection, delivery: Delivery) -> sa.Table:
        """Return the target table, and create it from the schema of the results if necessary; read once per run."""
        if self._table is not None:
            return self._table

        schema = pl.scan_parquet(delivery.part, glob=False).collect_schema()
        if not self._is_there(connection):
            if self._ledger.next_batch_id(connection):  # there was a table when the sink was opened
                raise changed_meanwhile(self.name)
            return self._made(connection, schema)
        table = self._reflected(connection)
        self._check_columns(table, schema)
        return table

    def _is_there(self, connection: sa.Connection) -> bool:
        return sa.inspect(connection).has_table(self._table_name, schema=self._schema)

    def _reflected(self, connection: sa.Connection) -> sa.Table:

        return sa.Table(self._table_name, sa.MetaData(), schema=self._schema, autoload_with=connection)

    def _made(self, connection: sa.Connection, schema: Mapping[str, pl.DataType]) -> sa.Table:

        if self._batch_column in schema:
            raise SinkNotUsable(
                self.name,
                f"the results already have a column '{self._batch_column}'",
                hint="Choose another name for that of the sink: batch_column='…'.",
            )
        columns = []
        for name, dtype in schema.items():
            declared = sql_table.column_type(dtype, self._database.kind)
            if declared is None:
                raise SinkNotUsable(
                    self.name,
                    f"column '{name}' has the dtype {dtype}, for which {self._database.kind} has no type",
                    hint="Convert it in a step: to text, to numbers, or to several columns.",
                )
            columns.append(sa.Column(name, declared))
        if self._batch_column is not None:
            columns.append(sa.Column(self._batch_column, sa.BigInteger))
        table = sa.Table(self._table_name, sa.MetaData(), *columns, schema=self._schema, **TRANSACTIONAL)
        if self._batch_column is not None:
            # Names of indexes are unique in a schema, and a table that was renamed keeps its index.
            sa.Index(f"batchpipe_{uuid.uuid4().hex[:16]}", table.c[self._batch_column])
        table.create(connection)
        return table

    def _check_columns(self, table: sa.Table, schema: Mapping[str, pl.DataType]) -> None:
        coarse = [name for name, dtype in schema.items() if name in table.c and rounds_times(table.c[name].type, dtype)]
        if self._database.kind in KINDS and coarse:
            raise SinkNotUsable(
                self.name,
                f"column '{coarse[0]}' of {self.name} is {table.c[coarse[0]].type}, which rounds times",
                hint="Declare it with 6 digits: DATETIME(6) or TIME(6). Or convert the values to texts in a step.",
            )
        wanted = [*schema, *([self._batch_column] if self._batch_column else [])]
        missing = [name for name in wanted if name not in table.c]
        if missing:
            raise SinkNotUsable(
                self.name,
                f"the table {self.name} has no column {', '.join(missing)}",
                hint="Add it, or name another table. With batch_column=None the sink needs no such column."
                if missing == [self._batch_column]
                else "Add it, or name a table that doesn't exist: the sink creates it with the right columns.",
            )
