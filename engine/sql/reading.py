"""The ways to read a page of rows: COPY from PostgreSQL, Arrow from the ADBC driver of SQLite, else SQLAlchemy.

All of them run a statement of SQLAlchemy Core, and `dtypes.conform` makes their frames equal. Which one is used depends
on what is installed; the rows are always the same.
"""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
import sqlalchemy as sa

from engine.sql.copying import CopyReader
from engine.sql.database import ConnectionLost, QueryFailed, literal_sql, sqlstate
from engine.sql.dtypes import first_line, misfit, way_out
from engine.sql.page import FramePage, SqlPage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engine.sql.database import Database

_ROWS_AT_A_TIME = 10_000


class PageReader(Protocol):
    """A way to run a statement. Only one thread at a time may use it, except for `cancel`."""

    @property
    def route(self) -> str:
        """The name to show on a screen."""

    def read(self, statement: sa.Select[Any], rows: int, dtypes: Mapping[str, pl.DataType | None]) -> SqlPage:
        """Return the rows of the statement, at most `rows`; `dtypes` are those of its columns, None if unknown.

        Raises:
            ConnectionLost, QueryFailed: see `Database`. The next call uses a new connection.
        """

    def cancel(self) -> None:
        """Interrupt a read in another thread, if the driver can do that."""

    def close(self) -> None:
        """Close the connection. No thread may be reading."""


def reader_for(database: Database) -> PageReader:
    """Return the fastest reader for this database that is installed (docs/decisions/0006 has the figures)."""
    if database.kind == "postgresql" and database.engine.dialect.driver == "psycopg":
        return CopyReader(database)
    name = database.url.database
    # The settings of a user's engine (`connect_args`, a `creator`) can't be passed to another driver.
    is_file = database.kind == "sqlite" and not database.given_engine and name is not None and ":" not in name
    if is_file and name and importlib.util.find_spec("adbc_driver_sqlite") is not None:
        return SqliteReader(database, name)
    return RowReader(database)


class RowReader:
    """Reads rows through SQLAlchemy, with any driver."""

    route = "rows (SQLAlchemy)"

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, statement: sa.Select[Any], rows: int, dtypes: Mapping[str, pl.DataType | None]) -> FramePage:  # noqa: ARG002
        """Return the page, joined from frames of some thousand rows: Python objects of all rows need much memory."""
        names = [column.name for column in statement.selected_columns]
        schema = {name: dtypes.get(name) for name in names}
        with self._database.connect() as connection, _unreadable_named(dtypes):
            # No server-side cursor (`stream_results`): that of psycopg warns if the connection is lost.
            result = connection.execute(statement)
            parts = [
                _frame([tuple(row) for row in chunk], schema, names) for chunk in result.partitions(_ROWS_AT_A_TIME)
            ]
        if not parts:
            return FramePage(_frame([], schema, names))
        return FramePage(pl.concat(parts, how="vertical_relaxed", rechunk=True))

    def cancel(self) -> None:
        """Do nothing: drivers have no common way to interrupt a read."""

    def close(self) -> None:
        """Do nothing: the pool belongs to the `Database`."""


def _frame(rows: list[tuple[Any, ...]], schema: dict[str, pl.DataType | None], names: list[str]) -> pl.DataFrame:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return pl.DataFrame([_series(name, column, schema[name]) for name, column in zip(names, columns, strict=True)])


def _series(name: str, values: tuple[Any, ...], dtype: pl.DataType | None) -> pl.Series:
    try:
        if isinstance(dtype, pl.Decimal) and any(isinstance(one, Decimal) and not one.is_finite() for one in values):
            raise QueryFailed(misfit(name, dtype, "NaN or infinity"))  # Polars would panic
        return pl.Series(name, list(values), dtype=dtype or _dtype_of(name, values))
    except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        raise QueryFailed(misfit(name, dtype, first_line(error))) from error


def _dtype_of(name: str, values: tuple[Any, ...]) -> pl.DataType | None:
    """Return the dtype of SQLite's values if Polars wouldn't find it: integers and floats together are floats."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int, float} and all(float(value) == value for value in values if value is not None):
        return pl.Float64()
    if len(kinds) > 1:
        raise QueryFailed(misfit(name, None, ", ".join(sorted(kind.__name__ for kind in kinds))))
    return None


@contextmanager
def _unreadable_named(dtypes: Mapping[str, pl.DataType | None]) -> Iterator[None]:
    """Name the possible columns if a driver can't convert a value to a date or time of Python."""
    try:
        yield
    except sa.exc.DataError as error:
        names = [name for name, dtype in dtypes.items() if dtype and dtype.is_temporal()]
        if sqlstate(error.orig) or not names:  # with a state it is an error of the server
            raise
        raise QueryFailed(f"{error.orig}, in column {' or '.join(names)}. {way_out(names[0])}") from error


class SqliteReader:
    """Reads Arrow data through the ADBC driver of SQLite, which opens the file itself."""

    route = "ADBC"

    def __init__(self, database: Database, path: str) -> None:
        self._database = database
        self._path = path
        self._connection: Any = None

    def read(self, statement: sa.Select[Any], rows: int, dtypes: Mapping[str, pl.DataType | None]) -> FramePage:  # noqa: ARG002
        """Return the page. SQLAlchemy writes the values into the statement."""
        import adbc_driver_manager

        sql = literal_sql(statement, self._database.engine.dialect)
        try:
            with self._connected().cursor() as cursor:
                # The driver takes the type of a column from its first batch of rows: make that the whole page.
                cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(max(rows, 1))})
                cursor.execute(sql)
                return FramePage(cursor.fetch_polars())
        except (adbc_driver_manager.Error, pl.exceptions.ComputeError) as error:
            self.close()
            raise self._translated(error) from error

    def cancel(self) -> None:
        """Do nothing: reading a page of a file takes little time."""

    def close(self) -> None:
        """Close the connection; errors of a broken one are ignored."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _connected(self) -> Any:
        if self._connection is None:
            from adbc_driver_sqlite import dbapi

            self._connection = dbapi.connect(self._path, autocommit=True)
        return self._connection

    def _translated(self, error: Exception) -> Exception:
        # The message repeats the whole statement, which contains values from the data.
        words = " ".join(str(error).partition("\nquery:")[0].split()).removeprefix("got external error: ")
        text = f"{self._database.label}: {words}"
        return ConnectionLost(text) if "database is locked" in text else QueryFailed(text)
