"""Results in a table of a DuckDB file, exactly once. The file belongs to the user and may have other tables.

The engine's rules for its own DuckDB file apply here too (docs/decisions/0002): the file is created under another name,
and the engine never compacts it, because a kill during a compaction can destroy it. The next program that opens the
file compacts it.
"""

from __future__ import annotations

import glob
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import duckdb

from engine.errors import SinkNotUsable, UsageError
from engine.policy import RetryPolicy
from engine.sinks.base import OWNER, Sink, changed_meanwhile, filled_by_another, folded, holds_other_rows
from engine.storage import durable
from engine.storage.working_folder import absolute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from engine.sinks.base import Delivery

# The ledger's `token` is the attempt's id. The name is older than that word: no migration reaches these tables.
# Names can't be parameters: {table} and {column} are replaced by quoted names.
# DuckDB compares names of tables without case; in the file the ledger has them as they were first given.
_STATEMENTS = {
    "tables": "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND schema_name = current_schema()",
    "make_ledger": """CREATE TABLE IF NOT EXISTS batchpipe_deliveries (
        target VARCHAR NOT NULL, batch_id BIGINT NOT NULL, checkpoint_key VARCHAR NOT NULL, token VARCHAR NOT NULL)""",
    "count_too": "ALTER TABLE batchpipe_deliveries ADD COLUMN IF NOT EXISTS row_count BIGINT",
    # Two transactions that update one row conflict. A primary key would do too, but DuckDB's recovery has bugs there.
    "make_fence": "CREATE TABLE IF NOT EXISTS batchpipe_fence AS SELECT 0::BIGINT AS transactions",
    "fence": "UPDATE batchpipe_fence SET transactions = transactions + 1",
    "owners": "SELECT DISTINCT checkpoint_key FROM batchpipe_deliveries WHERE lower(target) = lower(?)",
    "has_owner": "SELECT 1 FROM batchpipe_deliveries WHERE lower(target) = lower(?) AND batch_id = -1",
    "greatest": "SELECT max(batch_id) FROM batchpipe_deliveries WHERE lower(target) = lower(?)",
    "attempt_ids": """SELECT batch_id, token FROM batchpipe_deliveries
        WHERE lower(target) = lower(?) AND batch_id BETWEEN ? AND ?""",
    "columns": "SELECT column_name FROM (DESCRIBE {table})",
    "unknown": """SELECT {column}, count(*) FROM {table} WHERE {column} IS NOT NULL AND {column} NOT IN
        (SELECT batch_id FROM batchpipe_deliveries WHERE lower(target) = lower(?)) GROUP BY ALL LIMIT 1""",
    "mismatches": """SELECT batch_id, coalesce(held, 0) AS there, row_count FROM batchpipe_deliveries LEFT JOIN
        (SELECT {column} AS batch, count(*) AS held FROM {table} GROUP BY ALL) ON batch = batch_id
        WHERE lower(target) = lower(?) AND batch_id >= 0 AND there <> coalesce(row_count, held, -1)""",
    "make_table": """CREATE TABLE {table} AS
        SELECT *, 0::BIGINT AS {column} FROM read_parquet(?, hive_partitioning = false) LIMIT 0""",
    "insert": """INSERT INTO {table} BY NAME
        SELECT *, ?::BIGINT AS {column} FROM read_parquet(?, hive_partitioning = false)""",
    "insert_ledger": "INSERT INTO batchpipe_deliveries BY NAME SELECT unnest(?, max_depth := 2)",
    "delete": """DELETE FROM {table} WHERE {column} IN
        (SELECT batch_id FROM batchpipe_deliveries WHERE lower(target) = lower(?) AND batch_id BETWEEN ? AND ?)""",
    "delete_ledger": """DELETE FROM batchpipe_deliveries
        WHERE lower(target) = lower(?) AND batch_id BETWEEN ? AND ?""",
}
_LAST = 2**63 - 1

# DuckDB must not start a checkpoint by itself.
_SETTINGS: dict[str, Any] = {"wal_autocheckpoint": "1TB", "auto_checkpoint_skip_wal_threshold": "1000000000000"}


class DuckDBSink(Sink):
    """Also writes the results into `table` of the DuckDB file `path`; creates both if they don't exist.

    The table has the columns of the results and `batch_column`, the id of the batch of a row. During a run no other
    process can open the file.

    Raises:
        UsageError: an argument is wrong.
    """

    retry = RetryPolicy(transient=(ConnectionError,), max_attempts=10, max_seconds=600)

    def __init__(self, path: str | Path, table: str = "results", *, batch_column: str = "batch_id") -> None:
        if not table or not isinstance(table, str):
            raise UsageError(f"table must be a name, not {table!r}")
        self._name = f"{table} in {path}"  # as it was given: a folder that was moved has the same sink
        self._path = absolute(path)
        self._table = table
        self._batch_column = batch_column
        names = {"table": _quoted(table), "column": _quoted(batch_column)}
        self._statements = {name: text.format(**names) for name, text in _STATEMENTS.items()}
        self._connection: duckdb.DuckDBPyConnection | None = None

    @property
    def name(self) -> str:
        """Return the table and the file."""
        return self._name

    def open(self, checkpoint_key: str) -> None:
        """Open the file, and check that it isn't a catalog and that no other checkpoint fills this table."""
        self._key = checkpoint_key
        with self._translated():
            if not self._path.exists():
                self._make()
            self._connected()
        if {"checkpoint", "frontier", "batches"} <= self._tables():
            raise SinkNotUsable(
                self.name,
                f"{self._path} is the catalog of a checkpoint",
                hint="Name another file for the results.",
            )
        with self._transaction():
            for statement in ("make_ledger", "count_too", "make_fence", "fence"):
                self._query(statement)
            self._refuse_others()
            self._look()

    def _look(self) -> None:
        """Take batches out of the ledger that aren't whole in the table: they are delivered again."""
        if not self._is_there():
            self._query("delete_ledger", self._table, 0, _LAST)
            return
        if folded(self._batch_column) not in {folded(name) for (name,) in self._query("columns")}:
            return  # `put` refuses it
        for batch_id, rows in self._query("unknown", self._table):
            raise holds_other_rows(self.name, batch_id, rows, None, self._batch_column)
        for batch_id, rows, delivered in self._query("mismatches", self._table):
            if rows > (delivered or 0):
                raise holds_other_rows(self.name, batch_id, rows, delivered, self._batch_column)
            self._delete(batch_id, batch_id)

    def _refuse_others(self) -> None:
        if self._query("owners", self._table) not in ([], [(self._key,)]):
            raise filled_by_another(self.name)

    def _claim(self) -> None:
        """Record the checkpoint as the owner. Raises SinkNotUsable if another one is."""
        self._query("fence")
        self._refuse_others()
        if not self._query("has_owner", self._table):
            self._record(OWNER, "owner", None)

    def next_batch_id(self) -> int:
        """Return the id after the last batch in the ledger."""
        ((greatest,),) = self._query("greatest", self._table)
        return 0 if greatest is None else int(greatest) + 1

    def attempt_ids(self, first_batch_id: int, last_batch_id: int) -> Mapping[int, str]:
        """Return the batches of this range that the ledger has."""
        return dict(self._query("attempt_ids", self._table, first_batch_id, last_batch_id))

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Insert the rows directly from the parts, write the ledger and, the first time, the owner, in one transaction.

        DuckDB has no triggers, so the number of inserted rows is what the table keeps.
        """
        with self._transaction():
            self._claim()
            held = self.attempt_ids(deliveries[0].batch_id, deliveries[-1].batch_id)
            if not self._is_there():
                if self.next_batch_id():  # there was a table when the sink was opened
                    raise changed_meanwhile(self.name)
                self._make_table(deliveries[0].part)
            for one in deliveries:
                if held.get(one.batch_id) == one.attempt_id:
                    continue
                if one.batch_id in held:
                    self._delete(one.batch_id, one.batch_id)
                ((rows,),) = self._query("insert", one.batch_id, _escaped(one.part))
                self._record(one.batch_id, one.attempt_id, int(rows))

    def _record(self, batch_id: int, token: str, rows: int | None) -> None:
        row = {"target": self._table, "batch_id": batch_id, "checkpoint_key": self._key, "token": token}
        self._query("insert_ledger", {**row, "row_count": rows})

    def drop_from(self, batch_id: int) -> None:
        """Delete the rows and their entries in the ledger, in one transaction."""
        with self._transaction():
            self._claim()
            self._delete(batch_id, _LAST)

    def close(self) -> None:
        """Close the file. Its log stays beside it; the next program that opens the file merges the log into it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # --- plumbing -------------------------------------------------------------------------------------

    def _make(self) -> None:
        """Create the file under another name first: a kill in the middle of that leaves a file that can't be opened."""
        with durable.whole_file(self._path) as temporary:
            duckdb.connect(str(temporary)).close()

    def _connected(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = duckdb.connect(str(self._path), config=_SETTINGS)
            self._connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        return self._connection

    def _make_table(self, part: Path) -> None:
        try:
            self._query("make_table", _escaped(part))
        except duckdb.Error as error:
            raise SinkNotUsable(
                self.name,
                f"the table can't be created from the results: {error}",
                hint=f"Two columns may have the same name: the sink adds '{self._batch_column}', and SQL doesn't "
                "distinguish lower and upper case. Rename one in a step, or choose another batch_column.",
            ) from error

    def _delete(self, first_batch_id: int, last_batch_id: int) -> None:
        if self._is_there():
            self._query("delete", self._table, first_batch_id, last_batch_id)
        self._query("delete_ledger", self._table, first_batch_id, last_batch_id)

    def _tables(self) -> set[str]:
        return {folded(row[0]) for row in self._query("tables")}

    def _is_there(self) -> bool:
        return folded(self._table) in self._tables()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._translated():
            connection = self._connected()
            connection.begin()
            try:
                yield
            except BaseException:
                with suppress(Exception):  # a broken connection has rolled back by itself
                    connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise DuckDB's errors about the file as errors of this sink."""
        try:
            yield
        except duckdb.TransactionException as error:  # another transaction changed the same target
            raise ConnectionError(" ".join(str(error).split())) from error
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.BinderException, OSError) as error:
            text = " ".join(str(error).split())
            raise SinkNotUsable(self.name, f"{self._path} can't be used: {text}") from error

    def _query(self, name: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connected().execute(self._statements[name], list(values)).fetchall()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _escaped(path: Path) -> str:
    return glob.escape(str(path))  # DuckDB reads every path as a glob
