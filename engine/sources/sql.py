"""Batches of a table or a query of a database, page by page in the order of a key.

Each batch is a statement of its own, so nothing stays open on the server between batches, and a lost connection costs
the fetch of one batch. docs/databases.md says what happens to rows that change during a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.batch import Batch
from engine.errors import SourceChanged, SourceContractBroken, UsageError
from engine.policy import RetryPolicy
from engine.sources.base import Position, SeekableFetcher, SourceSize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    import sqlalchemy as sa

    from engine.sql.keyset_query import KeysetQuery
    from engine.sql.page import SqlPage
    from engine.text.json_values import Json

_COUNT_SECONDS = 0.5
_PATIENCE_SECONDS = 5.0


class SqlFetcher(SeekableFetcher):
    """Fetches a table or view, or the rows of a query, in the order of a key.

    The statements are `SELECT … WHERE key > last ORDER BY key LIMIT batch_size`: every page costs the same as the
    first one, if an index begins with the key. Dtypes come from the declared types: integers, floats, booleans,
    texts, dates, times, timestamps (with a zone: UTC), bytes, NUMERIC(p, s) and arrays of numbers or texts keep
    their types. A type without a Polars dtype (UUID, JSON, intervals, enums, NUMERIC without a precision …) is read
    as text, in the form that the database gives it.

    Args:
        url_or_engine: a URL such as `postgresql://user:password@host/name`, or a SQLAlchemy engine. `route` says how
            rows are read: from PostgreSQL by COPY, if the driver is psycopg; from an SQLite file that a URL names by
            its ADBC driver, if that is installed; else row by row, which takes several times as long.
        table: the table or view to read, as `schema.table` or with `schema=`.
        query: a SELECT to read instead. It runs again for each page, inside `SELECT … FROM (query) …`.
        key: the columns that identify a row and are never NULL; the primary key by default. A view or a query
            declares no key, so there each page is checked for rows with the same key.
        columns: which columns to read; all by default.
        where: a condition in SQL, or of SQLAlchemy; it must hold for the same rows during the whole run.
        until: "start" reads up to the greatest key at the start of the first run; None reads as long as there are
            rows, including new ones.
        dtypes: dtypes by column, instead of those of the declared types.
        schema: the schema of the table.
        writers_seconds: with until="start" on a table of PostgreSQL, how long to wait for transactions that were
            writing to the table when the bound was taken; None doesn't wait, and may miss their rows.

    Raises:
        UsageError: an argument is wrong, or a database driver isn't installed.
    """

    plans = True
    retry = RetryPolicy(transient=(ConnectionError,), max_attempts=10, max_seconds=600)

    def __init__(
        self,
        url_or_engine: str | sa.URL | sa.Engine,
        table: str | None = None,
        *,
        query: str | None = None,
        key: str | Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        where: str | sa.ColumnElement[bool] | None = None,
        until: Literal["start"] | None = "start",
        dtypes: Mapping[str, Any] | None = None,
        schema: str | None = None,
        writers_seconds: float | None = 10.0,
    ) -> None:
        from engine.sql.database import Database

        if (table is None) == (query is None):
            raise UsageError(
                "name either a table or a query",
                hint="Write SqlFetcher(url, 'orders') or SqlFetcher(url, query='SELECT …').",
            )
        if until not in {"start", None}:
            raise UsageError(f"until must be 'start' or None, not {until!r}")
        if isinstance(columns, str):
            raise UsageError(f"columns must be a list of names, not {columns!r}", hint=f"Write columns=[{columns!r}].")
        self._database = Database(url_or_engine)
        self._table = table
        self._schema = schema
        self._query = query
        self._key_names = [key] if isinstance(key, str) else key
        self._column_names = columns
        self._where = where
        self._until_start = until == "start"
        self._dtypes = dict(dtypes or {})
        self._writers_seconds = writers_seconds
        self._reader: Any = None

    def __getstate__(self) -> dict[str, object]:
        """Return the arguments alone, for another process: open connections belong to this one."""
        return {name: value for name, value in vars(self).items() if name in _ARGUMENTS} | {"_reader": None}

    # --- opening --------------------------------------------------------------------------------------

    def open(self, position: Position) -> None:
        """Read the columns and the key of the table, and continue after the cursor.

        Raises:
            SourceNotFound: there is no such table, or no such SQLite file.
            UsageError: there is no usable key, or a column can't be read.
            SourceChanged: the cursor belongs to another key.
            SourceError: transactions that write to the table stay open for longer than `writers_seconds`.
            ConnectionError: the database can't be reached.
        """
        from engine.sql import reading
        from engine.sql.page import ReadAhead

        super().open(position)
        self._next_row = position.next_row
        self._ended = False
        self._noted: tuple[int, Mapping[str, Json]] | None = None
        with self._database.connect() as connection:
            self._keyset = self._selected(connection)
            self._keyset.refuse_nulls(connection)
            self._place(connection, position)
        self._reader = reading.reader_for(self._database)
        self._pages = ReadAhead(self._page)
        self.route = self._reader.route

    def _selected(self, connection: sa.Connection) -> KeysetQuery:
        from engine.sql.keyset_query import KeysetQuery
        from engine.sql.relation import key_columns, relation_of_query, relation_of_table, with_columns

        dtypes = {name: dtype() if isinstance(dtype, type) else dtype for name, dtype in self._dtypes.items()}
        named = {"wanted": self._column_names, "key": self._key_names}
        if self._query is None:
            whole = relation_of_table(connection, str(self._table), self._schema, dtypes, **named)
        else:
            whole = relation_of_query(connection, self._query, dtypes, **named)
        key = key_columns(whole, self._key_names, self._database.kind)
        handed_on = with_columns(whole, self._column_names)
        return KeysetQuery(handed_on, key, self._where, self._database.kind, proven=whole.constrained)

    def _place(self, connection: sa.Connection, position: Position) -> None:
        """Take the last key and the bound from the cursor, or find them; the bound is the last key to read."""
        keyset, cursor = self._keyset, position.cursor
        self._after: tuple[Any, ...] | None = None
        self._bound: tuple[Any, ...] | None = None
        if cursor is None or "key" not in cursor:  # committed from another source: only the number of the row is known
            self._after = keyset.key_of_row(connection, position.next_row - 1) if position.next_row else None
        else:
            if cursor["key"] != keyset.key_names:
                raise SourceChanged(
                    f"the committed rows are in the order of {cursor['key']}, but now the key is {keyset.key_names}"
                )
            self._after, self._bound = _from_json(cursor["after"]), _from_json(cursor["until"])
        if not self._until_start:
            self._bound = None
        elif self._bound is None or self._after is None or not keyset.has_rows(connection, self._after, self._bound):
            self._bound = keyset.greatest_key(connection)  # a bound is kept while rows up to it are still to be read
            self._wait_for_writers(connection)

    def _wait_for_writers(self, connection: sa.Connection) -> None:
        """Wait until no transaction can commit a row below the bound, as far as the database can tell."""
        from engine.sql.writers import wait_for_writers

        source = self._keyset.relation.source
        waits = self._database.kind == "postgresql" and self._query is None and self._bound is not None
        if waits and self._writers_seconds is not None:
            table: Any = source
            wait_for_writers(connection, table.name, table.schema, self._writers_seconds)

    # --- reading --------------------------------------------------------------------------------------

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the rows after the last key; the page after them is read ahead."""
        if self._ended or (self._until_start and self._bound is None):
            return None
        self._batch_size = batch_size
        try:
            return self._fetch(batch_id, batch_size)
        except BaseException:
            self._pages.cancel()  # the next fetch is for this batch again, not for the one after it
            raise

    def _fetch(self, batch_id: int, batch_size: int) -> Batch | None:
        page = self._pages.take(self._after)
        rows = min(page.height, batch_size)
        self._ended = rows < batch_size
        if not rows:
            return None
        after = tuple(page.row(rows - 1).select(self._keyset.key_names).row(0))
        if not self._ended:
            self._pages.begin(after)
        wire = page.frame()
        self._keyset.refuse_shared_keys(batch_id, wire)
        data = self._conformed(wire.head(rows))
        start_row, self._after = self._next_row, after
        self._next_row = start_row + rows
        self._noted = (batch_id, self._cursor())
        return Batch(batch_id, start_row, self._next_row - 1, data)

    def _page(self, after: tuple[Any, ...] | None) -> SqlPage:
        # Without a constraint, one more row shows whether the next row has the same key as the last row of the page.
        limit = self._batch_size if self._keyset.proven else self._batch_size + 1
        dtypes = {name: column.wire_dtype for name, column in self._keyset.wanted.items()}
        page: SqlPage = self._reader.read(self._keyset.page(after, self._bound, limit), limit, dtypes)
        return page

    def _conformed(self, wire: pl.DataFrame) -> pl.DataFrame:
        from engine.sql.database import QueryFailed
        from engine.sql.dtypes import conform

        columns = self._keyset.relation.columns
        try:
            found = wire.schema
            declared = conform(wire, {name: one.wire_dtype or found[name] for name, one in columns.items()})
            return conform(declared, {name: one.dtype for name, one in columns.items()})
        except ValueError as error:
            raise QueryFailed(str(error)) from error

    # --- reading by plan ------------------------------------------------------------------------------

    def plan(self, batch_id: int, batch_size: int) -> Mapping[str, Json] | None:  # noqa: ARG002 (the contract's)
        """Return the last key before the batch and the last key in it, which the database finds in the index alone."""
        if self._ended or (self._until_start and self._bound is None):
            return None
        with self._database.connect() as connection:
            last, self._ended = self._keyset.key_ahead(connection, self._after, self._bound, batch_size)
        if last is None:
            return None
        plan: Mapping[str, Json] = {
            "after": _to_json(self._after),
            "last": _to_json(last),
            "until": _to_json(self._bound),
            "start_row": self._next_row,
            "rows": None if self._ended else batch_size,
            "size": batch_size,
        }
        self._after = last
        self._next_row += batch_size
        return plan

    def fetch_planned(self, batch_id: int, plan: Mapping[str, Json]) -> Batch:
        """Return the rows between the two keys.

        Raises:
            QueryFailed: there are more or fewer than when it was planned.
        """
        from engine.sql.database import QueryFailed

        facts: Any = plan
        self._bound = last = _from_json(facts["last"])
        self._batch_size = int(facts["size"]) + _MORE
        page = self._page(_from_json(facts["after"]))
        if facts["rows"] is not None and page.height != facts["rows"]:
            raise QueryFailed(
                f"batch {batch_id} was planned with {facts['rows']:,} rows, but now it has {page.height:,}: rows "
                "between its keys were added or deleted during the run. Run again: the run continues from the frontier"
            )
        self._after, self._bound = last, _from_json(facts["until"])
        self._noted = (batch_id, self._cursor())
        data = self._conformed(page.frame())
        return Batch(batch_id, int(facts["start_row"]), int(facts["start_row"]) + page.height - 1, data)

    # --- position and size ----------------------------------------------------------------------------

    def _cursor(self) -> Mapping[str, Json]:
        after = _to_json(self._after) or []
        return {"key": self._keyset.key_names, "after": after, "until": _to_json(self._bound)}

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return the last key read, and the bound: `{"key": names, "after": values, "until": values}`."""
        if self._noted is None or self._noted[0] != batch.batch_id:
            raise SourceContractBroken(batch.batch_id, "the engine asked for its cursor after a later fetch")
        return self._noted[1]

    def identity(self) -> Mapping[str, Json]:
        """Return the database, without user and password, and what is read from it."""
        what = self._table if self._query is None else "a query"
        return {
            "kind": "sql",
            "source": f"{what} in {self._database.label}",
            "schema": self._schema,
            "query": self._query,
            "key": list(self._key_names) if self._key_names else None,
            "columns": list(self._column_names) if self._column_names else None,
            "where": None if self._where is None else str(self._where),
            "dtypes": {name: str(dtype) for name, dtype in self._dtypes.items()},
        }

    def size(self) -> SourceSize | None:
        """Return the estimate of PostgreSQL; for other databases a count, or None if it takes over half a second."""
        from engine.sql.sizing import count_rows, estimate_rows

        if self._until_start and self._bound is None:
            return SourceSize(self._next_row)
        statement = self._keyset.rows(self._after, self._bound)
        if self._database.kind == "postgresql":
            rows = estimate_rows(self._database, statement)
            return SourceSize(self._next_row + rows, exact=False)
        known = count_rows(self._database, statement, seconds=_COUNT_SECONDS)
        return None if known is None else SourceSize(self._next_row + known, exact=self._until_start)

    def close(self) -> None:
        """Close the connections."""
        if self._reader is not None:
            self._reader.cancel()
            if self._pages.cancel(_PATIENCE_SECONDS):  # a connection must not be closed while a thread reads from it
                self._reader.close()
        self._database.close()


_ARGUMENTS = {
    "_database", "_table", "_schema", "_query", "_key_names", "_column_names", "_where", "_until_start", "_dtypes",
    "_writers_seconds",
}  # fmt: skip
_MORE = 1_000
"""How many rows more than planned are read, to report the number of rows that others have added."""


def _to_json(key: tuple[Any, ...] | None) -> list[Json] | None:
    from engine.sql.keyset import to_json

    return None if key is None else [to_json(value) for value in key]


def _from_json(values: Any) -> tuple[Any, ...] | None:
    from engine.sql.keyset import from_json

    return None if values is None else tuple(from_json(value) for value in values)
