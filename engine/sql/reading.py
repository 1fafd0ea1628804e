"""The ways to read a page of rows: COPY from PostgreSQL, Arrow from SQLite's ADBC driver, else rows by SQLAlchemy.

All send a statement of SQLAlchemy Core; `dtypes.conform` makes their frames the same. Which one is taken depends on
what is installed and never changes the rows.
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
    """One way to run a statement. Used by one thread at a time, except for `cancel`."""

    @property
    def route(self) -> str:
        """What to call it on a screen."""

    def read(self, statement: sa.Select[Any], rows: int, dtypes: Mapping[str, pl.DataType | None]) -> SqlPage:
        """Return what the statement gives, at most `rows`; `dtypes` are those of its columns, None for unknown.

        Raises:
            ConnectionLost, QueryFailed: as `Database`. The next call begins with a new connection.
        """

    def cancel(self) -> None:
        """Cut off what another thread is reading, where that can be done."""

    def close(self) -> None:
        """Let go of the connection; nobody may be reading."""


def reader_for(database: Database) -> PageReader:
    """Return the fastest reader for this database that is installed (docs/decisions/0006 has the figures)."""
    if database.kind == "postgresql" and database.engine.dialect.driver == "psycopg":
        return CopyReader(database)
    name = database.url.database
    # An engine's own settings (`connect_args`, a `creator`) can't be handed to another driver.
    is_file = database.kind == "sqlite" and not database.given_engine and name is not None and ":" not in name
    if is_file and name and importlib.util.find_spec("adbc_driver_sqlite") is not None:
        return SqliteReader(database, name)
    return RowReader(database)


class RowReader:
    """Rows through SQLAlchemy, on any driver that it knows."""

    route = "rows (SQLAlchemy)"

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, statement: sa.Select[Any], rows: int, dtypes: Mapping[str, pl.DataType | None]) -> FramePage:  # noqa: ARG002
        """Return the page, made of frames of some thousand rows: Python's objects for all of it would be large."""
        names = [column.name for column in statement.selected_columns]
        schema = {name: dtypes.get(name) for name in names}
        with self._database.connect() as connection, _unreadable_named(dtypes):
            # No cursor on the server's side (`stream_results`): psycopg's warns when the connection under it is lost.
            result = connection.execute(statement)
            parts = [
                _frame([tuple(row) for row in chunk], schema, names) for chunk in result.partitions(_ROWS_AT_A_TIME)
            ]
        if not parts:
            return FramePage(_frame([], schema, names))
        return FramePage(pl.concat(parts, how="vertical_relaxed", rechunk=True))

    def cancel(self) -> None:
        """Rows can't be cut off: drivers differ."""

    def close(self) -> None:
        """The pool is the database's."""


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
    """Return the dtype of SQLite's values where Polars wouldn't find it: integers are floats among floats."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int, float} and all(float(value) == value for value in values if value is not None):
        return pl.Float64()
    if len(kinds) > 1:
        raise QueryFailed(misfit(name, None, ", ".join(sorted(kind.__name__ for kind in kinds))))
    return None


@contextmanager
def _unreadable_named(dtypes: Mapping[str, pl.DataType | None]) -> Iterator[None]:
    """Add the columns that it may be about to a driver's refusal to make Python's date or time of a value."""
    try:
        yield
    except sa.exc.DataError as error:
        names = [name for name, dtype in dtypes.items() if dtype and dtype.is_temporal()]
        if sqlstate(error.orig) or not names:  # with a state it is the server's
            raise
        raise QueryFailed(f"{error.orig}, in column {' or '.join(names)}. {way_out(names[0])}") from error


class SqliteReader:
    """Arrow from SQLite's ADBC driver, which reads the file itself."""

    route = "ADBC"

    def __init__(self, database: Database, path: str) -> None:
        self._database = database
        self._path = path
        self._connection: Any = None

    def read(self, statement: sa.Select[Any], rows: int, dtypes: Mapping[str, pl.DataType | None]) -> FramePage:  # noqa: ARG002
        """Return the page. Values are written into the statement by SQLAlchemy."""
        import adbc_driver_manager

        sql = literal_sql(statement, self._database.engine.dialect)
        try:
            with self._connected().cursor() as cursor:
                # It tells a column's type from the rows of its first batch: let that be the whole page.
                cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(max(rows, 1))})
                cursor.execute(sql)
                return FramePage(cursor.fetch_polars())
        except (adbc_driver_manager.Error, pl.exceptions.ComputeError) as error:
            self.close()
            raise self._translated(error) from error

    def cancel(self) -> None:
        """A page of a file comes soon enough."""

    def close(self) -> None:
        """Close the connection; a broken one says whatever it says."""
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
        # The driver repeats the whole statement, which has values of the data in it.
        words = " ".join(str(error).partition("\nquery:")[0].split()).removeprefix("got external error: ")
        text = f"{self._database.label}: {words}"
        return ConnectionLost(text) if "database is locked" in text else QueryFailed(text)
