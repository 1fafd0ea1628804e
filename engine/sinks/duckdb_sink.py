"""Results in a table of a DuckDB file, exactly once. The file belongs to the user and may have other tables.

The engine's rules for its own DuckDB file apply here too (docs/decisions/0002): the file is created under another name,
and the engine never compacts it, because a kill during a compaction can destroy it. The next program that opens the
file compacts it.
"""

from __future__ import annotations

import glob
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from engine.errors import SinkNotUsable, UsageError
from engine.policy import RetryPolicy
from engine.sinks.base import Sink, filled_by_another
from engine.storage import durable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine.sinks.base import Delivery

# The ledger's `token` is the attempt's id. The name is older than that word: no migration reaches these tables.
# Names can't be parameters: {table} and {column} are replaced by quoted names.
_STATEMENTS = {
    "tables": "SELECT table_name FROM duckdb_tables() WHERE NOT internal",
    "make_ledger": """CREATE TABLE IF NOT EXISTS batchpipe_deliveries (
        target VARCHAR NOT NULL, batch_id BIGINT NOT NULL, checkpoint_key VARCHAR NOT NULL, token VARCHAR NOT NULL)""",
    "owners": "SELECT DISTINCT checkpoint_key FROM batchpipe_deliveries WHERE target = ?",
    "greatest": "SELECT max(batch_id) FROM batchpipe_deliveries WHERE target = ?",
    "attempt_ids": "SELECT batch_id, token FROM batchpipe_deliveries WHERE target = ? AND batch_id BETWEEN ? AND ?",
    "make_table": """CREATE TABLE IF NOT EXISTS {table} AS
        SELECT *, 0::BIGINT AS {column} FROM read_parquet(?, hive_partitioning = false) LIMIT 0""",
    "insert": """INSERT INTO {table} BY NAME
        SELECT *, ?::BIGINT AS {column} FROM read_parquet(?, hive_partitioning = false)""",
    "insert_ledger": "INSERT INTO batchpipe_deliveries VALUES (?, ?, ?, ?)",
    "delete": """DELETE FROM {table} WHERE {column} IN
        (SELECT batch_id FROM batchpipe_deliveries WHERE target = ? AND batch_id BETWEEN ? AND ?)""",
    "delete_ledger": "DELETE FROM batchpipe_deliveries WHERE target = ? AND batch_id BETWEEN ? AND ?",
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

    retry = RetryPolicy()  # a file has no connection that could be lost

    def __init__(self, path: str | Path, table: str = "results", *, batch_column: str = "batch_id") -> None:
        if not table or not isinstance(table, str):
            raise UsageError(f"table must be a name, not {table!r}")
        self._path = Path(path)
        self._table = table
        self._batch_column = batch_column
        names = {"table": _quoted(table), "column": _quoted(batch_column)}
        self._statements = {name: text.format(**names) for name, text in _STATEMENTS.items()}
        self._connection: duckdb.DuckDBPyConnection | None = None

    @property
    def name(self) -> str:
        """Return the table and the file."""
        return f"{self._table} in {self._path}"

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
        self._query("make_ledger")
        owners = self._query("owners", self._table)
        if owners and owners != [(checkpoint_key,)]:
            raise filled_by_another(self.name)

    def next_batch_id(self) -> int:
        """Return the id after the last batch in the ledger."""
        ((greatest,),) = self._query("greatest", self._table)
        return 0 if greatest is None else int(greatest) + 1

    def attempt_ids(self, first_batch_id: int, last_batch_id: int) -> Mapping[int, str]:
        """Return the batches of this range that the ledger has."""
        return dict(self._query("attempt_ids", self._table, first_batch_id, last_batch_id))

    def put(self, deliveries: Sequence[Delivery]) -> None:
        """Insert the rows directly from the parts and write the ledger, in one transaction."""
        held = self.attempt_ids(deliveries[0].batch_id, deliveries[-1].batch_id)
        with self._transaction():
            self._make_table(deliveries[0].part)
            for one in deliveries:
                if held.get(one.batch_id) == one.attempt_id:
                    continue
                if one.batch_id in held:
                    self._delete(one.batch_id, one.batch_id)
                self._query("insert", one.batch_id, _escaped(one.part))
                self._query("insert_ledger", self._table, one.batch_id, self._key, one.attempt_id)

    def drop_from(self, batch_id: int) -> None:
        """Delete the rows and their entries in the ledger, in one transaction."""
        with self._transaction():
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
        if self._table in self._tables():
            self._query("delete", self._table, first_batch_id, last_batch_id)
        self._query("delete_ledger", self._table, first_batch_id, last_batch_id)

    def _tables(self) -> set[str]:
        return {row[0] for row in self._query("tables")}

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
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.BinderException, OSError) as error:
            text = " ".join(str(error).split())
            raise SinkNotUsable(self.name, f"{self._path} can't be used: {text}") from error

    def _query(self, name: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connected().execute(self._statements[name], list(values)).fetchall()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _escaped(path: Path) -> str:
    return glob.escape(str(path))  # DuckDB reads every path as a glob
