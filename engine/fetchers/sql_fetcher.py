"""Batches of a database's table or query, page by page along a key.

Each batch is one statement of its own, so nothing is held open on the server between batches, and a lost
connection costs one batch's fetch. What happens to rows that change in the meantime is in docs/databases.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.batch import Batch
from engine.errors import SourceChanged, SourceContractBroken, UsageError
from engine.fetcher import Position, SeekableFetcher, SourceSize
from engine.policy import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    import sqlalchemy as sa

    from engine.jsonable import Json
    from engine.sql.column import Column
    from engine.sql.page import Page

_COUNT_SECONDS = 0.5


class SqlFetcher(SeekableFetcher):
    """Fetches a table or view, or the rows of a query, in the order of a key.

    The statements are `SELECT … WHERE key > last ORDER BY key LIMIT batch_size`: no page costs more than the
    first one, if an index leads with the key. Dtypes come from the declared types: integers, floats, booleans,
    texts, dates, times, timestamps (with a zone: UTC), bytes, NUMERIC(p, s) and arrays of numbers or texts keep
    theirs; whatever Polars has no dtype for (UUID, JSON, intervals, enums, NUMERIC without a precision …) comes
    as the database's text.

    Args:
        url_or_engine: a URL such as `postgresql://user:password@host/name`, or a SQLAlchemy engine. `route` tells how
            rows are read: from PostgreSQL by COPY, if the driver is psycopg; from an SQLite file that a URL names by
            its ADBC driver, if that is installed; else row by row, which takes several times as long.
        table: the table or view to read, `schema.table` or with `schema=`.
        query: a SELECT to read instead. It is run again for each page, inside `SELECT … FROM (query) …`.
        key: the columns that tell rows apart and that are never NULL; the primary key by default. For a
            view or a query nothing is declared: there each page is checked.
        columns: which columns to read; all by default.
        where: a condition in SQL, or of SQLAlchemy; it must hold for the same rows throughout the run.
        until: "start" reads up to the greatest key that there is when a run first begins; None goes on as long as
            there are rows, also new ones.
        dtypes: dtypes by column, instead of those of the declared types.
        schema: the schema that the table is in.

    Raises:
        UsageError: arguments that can't be right, or a database driver that isn't installed.
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
    ) -> None:
        from engine.sql.database import Database

        if (table is None) == (query is None):
            raise UsageError("name either a table or a query", hint="SqlFetcher(url, 'orders') or query='SELECT …'.")
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
        self._reader: Any = None

    def __getstate__(self) -> dict[str, object]:
        """Send the arguments alone to another process; what is open stays here."""
        return {name: value for name, value in vars(self).items() if name in _ARGUMENTS} | {"_reader": None}

    # --- opening --------------------------------------------------------------------------------------

    def open(self, position: Position) -> None:
        """Look at the table, and put the fetcher behind the cursor.

        Raises:
            SourceNotFound: no such table, or no such SQLite file.
            UsageError: no usable key, or a column that can't be read.
            SourceChanged: the cursor is one of another key.
            ConnectionError: the database can't be reached.
        """
        from engine.sql import reading, relation
        from engine.sql.page import ReadAhead

        super().open(position)
        with self._database.connect() as connection:
            if self._query is None:
                whole = relation.of_table(connection, str(self._table), self._schema, _instances(self._dtypes))
            else:
                whole = relation.of_query(connection, self._query, _instances(self._dtypes))
            self._key = relation.with_key(whole, self._key_names)
            self._relation = relation.restricted(whole, self._column_names)
            self._proven = whole.constrained
            self._next_row = position.next_row
            self._ended = False
            self._noted: tuple[int, Mapping[str, Json]] | None = None
            self._refuse_nulls(connection)
            self._place(connection, position)
        self._reader = reading.reader_for(self._database)
        self._pages = ReadAhead(self._page)
        self.route = self._reader.route

    def _place(self, connection: sa.Connection, position: Position) -> None:
        """Take up where the cursor stands: the last key read, and the bound that the run before had set itself."""
        from engine.sql import keyset

        self._after: tuple[Any, ...] | None = None
        self._bound: tuple[Any, ...] | None = None
        cursor = position.cursor
        if cursor is None or "key" not in cursor:  # committed from another source: there is only the row's number
            self._after = self._key_of_row(connection, position.next_row - 1) if position.next_row else None
        else:
            recorded = cursor["key"]
            if recorded != [column.name for column in self._key]:
                raise SourceChanged(
                    f"the committed rows are in the order of {recorded}, and the key now is "
                    f"{[column.name for column in self._key]}"
                )
            self._after = _from_json(cursor["after"])
            self._bound = _from_json(cursor["until"]) if cursor["until"] else None
        if not self._until_start:
            self._bound = None
            return
        if self._bound is not None and self._after is not None:
            between = sa_select_one(self._relation.source).where(keyset.beyond(self._key, self._after, self._kind))
            between = between.where(keyset.up_to(self._key, self._bound, self._kind))
            if connection.execute(self._filtered(between)).first() is not None:
                return  # the bound still has rows below it that are to be read
        self._bound = self._greatest_key(connection)

    def _keys(self) -> sa.Select[Any]:
        import sqlalchemy as sa

        return sa.select(*(column.wire(self._kind) for column in self._key)).select_from(self._relation.source)

    def _key_of_row(self, connection: sa.Connection, row: int) -> tuple[Any, ...]:
        ordered = self._filtered(self._keys()).order_by(*(column.element for column in self._key))
        found = connection.execute(ordered.offset(row).limit(1)).first()
        if found is None:
            raise SourceChanged(f"{row + 1:,} rows are committed, and {self._relation.name} has fewer")
        return tuple(found)

    def _greatest_key(self, connection: sa.Connection) -> tuple[Any, ...] | None:
        statement = self._keys()
        # Where NULL is the greatest of all it would be found; a condition of the user's leaves such rows out.
        statement = statement.where(*(column.element.is_not(None) for column in self._key if column.nullable))
        statement = statement.order_by(*(column.element.desc() for column in self._key)).limit(1)
        row = connection.execute(statement).first()
        return tuple(row) if row is not None else None

    def _refuse_nulls(self, connection: sa.Connection) -> None:
        """Look for NULL in the key where its declaration doesn't rule it out."""
        import sqlalchemy as sa

        doubtful = [column for column in self._key if column.nullable]
        if not doubtful:
            return
        statement = sa_select_one(self._relation.source).where(sa.or_(*(one.element.is_(None) for one in doubtful)))
        if connection.execute(self._filtered(statement)).first() is not None:
            names = ", ".join(column.name for column in doubtful)
            raise UsageError(
                f"{self._relation.name} has rows whose key ({names}) is NULL, and they would never be read",
                hint="Choose another key, or leave those rows out with where=….",
            )

    # --- reading --------------------------------------------------------------------------------------

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the rows after the last key; the page behind them is read meanwhile."""
        if self._ended or (self._until_start and self._bound is None):
            return None
        self._batch_size = batch_size
        try:
            return self._fetch(batch_id, batch_size)
        except BaseException:
            self._pages.give_up()  # this batch will be asked for again, not the one behind it
            raise

    def _fetch(self, batch_id: int, batch_size: int) -> Batch | None:
        page = self._pages.take(self._after)
        rows = min(page.height, batch_size)
        self._ended = rows < batch_size
        if not rows:
            return None
        after = tuple(page.row(rows - 1).select(column.name for column in self._key).row(0))
        if not self._ended:
            self._pages.begin(after)
        wire = page.frame()
        if not self._proven:
            self._refuse_duplicates(batch_id, wire)
        data = self._conformed(wire.head(rows))
        start_row, self._after = self._next_row, after
        self._next_row = start_row + rows
        self._noted = (batch_id, self._cursor())
        return Batch(batch_id, start_row, self._next_row - 1, data)

    def _page(self, after: tuple[Any, ...] | None) -> Page:
        # One row more tells whether the page's last key is shared by the next row, where no constraint says so.
        limit = self._batch_size if self._proven else self._batch_size + 1
        dtypes = {name: column.wire_dtype for name, column in self._wanted().items()}
        page: Page = self._reader.read(self._statement(after, limit), limit, dtypes)
        return page

    def _statement(self, after: tuple[Any, ...] | None, limit: int) -> sa.Select[Any]:
        import sqlalchemy as sa

        from engine.sql import keyset

        wanted = list(self._wanted().values())
        selected = [column.wire(self._kind) if self._proven else column.element for column in wanted]
        statement = self._in_range(sa.select(*selected).select_from(self._relation.source), after)
        statement = statement.order_by(*(column.element for column in self._key)).limit(limit)
        return statement if self._proven else keyset.checked(statement, self._key, wanted, self._kind)

    def _in_range(self, statement: sa.Select[Any], after: tuple[Any, ...] | None) -> sa.Select[Any]:
        from engine.sql import keyset

        if after is not None:
            statement = statement.where(keyset.beyond(self._key, after, self._kind))
        if self._bound is not None:
            statement = statement.where(keyset.up_to(self._key, self._bound, self._kind))
        return self._filtered(statement)

    def _filtered(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        import sqlalchemy as sa

        if self._where is None:
            return statement
        condition = sa.literal_column(f"({self._where}\n)") if isinstance(self._where, str) else self._where
        return statement.where(condition)

    def _wanted(self) -> dict[str, Column]:
        """Return the columns to select: those of the frames, and those of the key."""
        return {**self._relation.columns, **{column.name: column for column in self._key}}

    def _conformed(self, wire: pl.DataFrame) -> pl.DataFrame:
        from engine.sql.database import QueryFailed
        from engine.sql.dtypes import conform

        columns = self._relation.columns
        try:
            declared = conform(wire, {name: one.wire_dtype or wire.schema[name] for name, one in columns.items()})
            return conform(declared, {name: one.dtype for name, one in columns.items()})
        except ValueError as error:
            raise QueryFailed(str(error)) from error

    def _refuse_duplicates(self, batch_id: int, wire: pl.DataFrame) -> None:
        from engine.sql.keyset import SHARED

        names = [column.name for column in self._key]
        shared = wire[SHARED].to_list()
        if 1 in shared:
            key = wire.select(names).row(shared.index(1))
            raise SourceContractBroken(
                batch_id,
                f"its key ({', '.join(names)}) is not unique: several rows have {key}, "
                "and a page that ends between them would lose some. Choose a key that tells rows apart",
            )

    # --- reading by plan ------------------------------------------------------------------------------

    def plan(self, batch_id: int, batch_size: int) -> Mapping[str, Json] | None:  # noqa: ARG002 (the contract's)
        """Return the last key before the batch and its own last key, which an index alone can tell."""
        from engine.sql.keyset import to_json

        if self._ended or (self._until_start and self._bound is None):
            return None
        key = [column.element for column in self._key]
        within = self._in_range(self._keys(), self._after)
        with self._database.connect() as connection:
            last = connection.execute(within.order_by(*key).offset(batch_size - 1).limit(1)).first()
            if last is None:  # fewer are left
                self._ended = True
                last = connection.execute(within.order_by(*(one.desc() for one in key)).limit(1)).first()
        if last is None:
            return None
        plan = {
            "after": None if self._after is None else [to_json(value) for value in self._after],
            "last": [to_json(value) for value in last],
            "start_row": self._next_row,
            "rows": None if self._ended else batch_size,
            "size": batch_size,
            "until": None if self._bound is None else [to_json(value) for value in self._bound],
        }
        self._after = tuple(last)
        self._next_row += batch_size
        return plan

    def fetch_planned(self, batch_id: int, plan: Mapping[str, Json]) -> Batch:
        """Return the rows between the two keys.

        Raises:
            QueryFailed: there are more or fewer than when it was planned.
        """
        from engine.sql.database import QueryFailed

        facts: Any = plan
        last = _from_json(facts["last"])
        self._bound = last
        self._batch_size = int(facts["size"]) + _MORE
        page = self._page(None if facts["after"] is None else _from_json(facts["after"]))
        if facts["rows"] is not None and page.height != facts["rows"]:
            raise QueryFailed(
                f"batch {batch_id} was planned with {facts['rows']:,} rows, and {page.height:,} are there now: rows "
                "between its keys were added or deleted meanwhile. Run again: it goes on from the frontier"
            )
        start_row = int(facts["start_row"])
        self._after = last
        self._bound = None if facts["until"] is None else _from_json(facts["until"])
        self._noted = (batch_id, self._cursor())
        data = self._conformed(page.frame())
        return Batch(batch_id, start_row, start_row + page.height - 1, data)

    # --- where it stands ------------------------------------------------------------------------------

    def _cursor(self) -> Mapping[str, Json]:
        from engine.sql.keyset import to_json

        return {
            "key": [column.name for column in self._key],
            "after": [to_json(value) for value in self._after or ()],
            "until": [to_json(value) for value in self._bound] if self._bound is not None else None,
        }

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return the last key read, and the bound: `{"key": names, "after": values, "until": values}`."""
        if self._noted is None or self._noted[0] != batch.batch_id:
            raise SourceContractBroken(batch.batch_id, "its cursor was asked for after a later fetch")
        return self._noted[1]

    def identity(self) -> Mapping[str, Json]:
        """Return the database without user and password, and what is read from it."""
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
        """Return PostgreSQL's estimate; elsewhere a count, unless that takes longer than half a second."""
        from engine.sql.sizing import counted, estimated

        if self._until_start and self._bound is None:
            return SourceSize(self._next_row)
        statement = self._in_range(sa_select_one(self._relation.source), self._after)
        if self._kind == "postgresql":
            rows = estimated(self._database, statement)
            return SourceSize(self._next_row + rows, exact=False)
        known = counted(self._database, statement, seconds=_COUNT_SECONDS)
        return None if known is None else SourceSize(self._next_row + known, exact=self._until_start)

    def close(self) -> None:
        """Close the connections."""
        if self._reader is not None:
            self._reader.close()
            self._pages.give_up()
        self._database.close()

    @property
    def _kind(self) -> str:
        return self._database.kind


_ARGUMENTS = {
    "_database", "_table", "_schema", "_query", "_key_names", "_column_names", "_where", "_until_start", "_dtypes"
}  # fmt: skip
_MORE = 1_000
"""By how many rows a planned batch may turn out larger and be told exactly: others may have added some."""


def sa_select_one(source: sa.FromClause) -> sa.Select[Any]:
    """Return `SELECT 1 FROM source`."""
    import sqlalchemy as sa

    return sa.select(sa.literal_column("1")).select_from(source)


def _instances(dtypes: Mapping[str, Any]) -> dict[str, pl.DataType]:
    """Return the dtypes as instances: people write pl.Int64 for pl.Int64()."""
    return {name: dtype() if isinstance(dtype, type) else dtype for name, dtype in dtypes.items()}


def _from_json(values: Any) -> tuple[Any, ...]:
    from engine.sql.keyset import from_json

    return tuple(from_json(value) for value in values)
