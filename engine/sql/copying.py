"""Pages from PostgreSQL by COPY in CSV format, parsed by Polars: no value becomes a Python object.

In this format NULL is an empty field and an empty text is a quoted one; Polars distinguishes them. Floats and
timestamps are written so that reading them gives the same value.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa

from engine.sql.database import ConnectionLost, QueryFailed, is_transient_state, literal_sql, sqlstate
from engine.sql.dtypes import conform, first_line, misfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.sql.database import Database
    from engine.sql.libpq_copy import Copied

# Polars reads these dtypes in a CSV file as PostgreSQL writes them; values of other dtypes are read as text first.
_DIRECT = (pl.Int16, pl.Int32, pl.Int64, pl.Float32, pl.Float64, pl.Decimal, pl.String, pl.Date)


class CopyReader:
    """Reads through the connections of the SQLAlchemy engine, whose driver must be psycopg."""

    route = "COPY"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._driver: Any = None

    def read(self, statement: sa.Select[Any], rows: int, dtypes: Mapping[str, pl.DataType | None]) -> CsvPage:  # noqa: ARG002
        """Return the page. SQLAlchemy writes the values into the statement, because COPY has no parameters."""
        import psycopg

        from engine.sql.libpq_copy import copy_out

        columns = {name: dtypes.get(name) or pl.Int32() for name in statement.selected_columns.keys()}  # noqa: SIM118
        sql = literal_sql(_arrays_as_json(statement, columns), self._database.engine.dialect)
        with self._database.connect() as connection:
            self._driver = connection.connection.driver_connection
            try:
                copied = copy_out(self._driver, f"COPY ({sql}) TO STDOUT (FORMAT csv)")
            except psycopg.Error as error:
                raise self._translated(error, connection) from error
            finally:
                self._driver = None
        return CsvPage(copied, columns)

    def close(self) -> None:
        """Do nothing: the connections belong to the `Database`."""

    def cancel(self) -> None:
        """Ask the server to cancel the statement that is being read."""
        driver = self._driver
        if driver is not None:
            with suppress(Exception):
                driver.cancel_safe(timeout=2.0)

    def _translated(self, error: Any, connection: sa.Connection) -> Exception:
        text = f"{self._database.label}: {' '.join(str(error).split())}"
        driver: Any = connection.connection.driver_connection
        if is_transient_state(sqlstate(error)) or driver.broken:
            connection.invalidate()
            return ConnectionLost(text)
        return QueryFailed(text)


class CsvPage:
    """A page as CSV text."""

    def __init__(self, copied: Copied, columns: Mapping[str, pl.DataType]) -> None:
        self._copied = copied
        self._columns = columns
        self.height = copied.height

    def row(self, number: int) -> pl.DataFrame:
        """Return one row."""
        return self._parsed(self._copied.row(number))

    def frame(self) -> pl.DataFrame:
        """Return all rows."""
        if not self.height:
            return pl.DataFrame(schema=dict(self._columns))
        frame = self._parsed(self._copied.text)
        if frame.height != self.height:
            raise QueryFailed(f"{self.height:,} rows arrived, but only {frame.height:,} could be read")
        return frame

    def _parsed(self, text: bytes | bytearray) -> pl.DataFrame:
        schema = {name: dtype if isinstance(dtype, _DIRECT) else pl.String() for name, dtype in self._columns.items()}
        try:
            frame = pl.read_csv(bytes(text), has_header=False, schema=schema)
        except pl.exceptions.ComputeError:
            # A value doesn't fit: read as text, the columns can be converted one by one, to name the one that fails.
            frame = pl.read_csv(bytes(text), has_header=False, schema=dict.fromkeys(schema, pl.String()))
        if frame.schema == self._columns:
            return frame
        try:
            return conform(_from_text(frame, self._columns), self._columns)
        except ValueError as error:
            raise QueryFailed(str(error)) from error


def _arrays_as_json(statement: sa.Select[Any], columns: Mapping[str, pl.DataType]) -> sa.Select[Any]:
    """Return the statement with arrays as JSON, because there is no parser for the array format of PostgreSQL."""
    if not any(isinstance(dtype, pl.List) for dtype in columns.values()):
        return statement
    selected = statement.selected_columns
    return statement.with_only_columns(
        *(
            _as_json(selected[name], dtype).label(name) if isinstance(dtype, pl.List) else selected[name]
            for name, dtype in columns.items()
        ),
        maintain_column_froms=True,
    )


def _as_json(column: sa.ColumnElement[Any], dtype: pl.List) -> sa.ColumnElement[Any]:
    # JSON has no NaN, so floats are texts in it.
    return sa.func.array_to_json(sa.cast(column, sa.ARRAY(sa.Text())) if _has_floats(dtype) else column)


def _has_floats(dtype: pl.List) -> bool:
    return isinstance(dtype.inner, pl.Float32 | pl.Float64)


def _from_text(frame: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return the frame with converted values for the dtypes that PostgreSQL writes in a form of its own."""
    for name, dtype in columns.items():
        if isinstance(dtype, pl.Boolean | pl.Binary | pl.List) or (isinstance(dtype, pl.Datetime) and dtype.time_zone):
            try:
                frame = frame.with_columns(_value(name, dtype))
            except (pl.exceptions.InvalidOperationError, pl.exceptions.ComputeError) as error:
                raise ValueError(misfit(name, dtype, first_line(error))) from error
    return frame


def _value(name: str, dtype: pl.DataType) -> pl.Expr:
    text = pl.col(name)
    if isinstance(dtype, pl.Boolean):
        return text == "t"
    if isinstance(dtype, pl.Binary):
        return text.str.strip_prefix("\\x").str.decode("hex")
    if isinstance(dtype, pl.List):
        return (
            text.str.json_decode(pl.List(pl.String)).cast(dtype) if _has_floats(dtype) else text.str.json_decode(dtype)
        )
    return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us", time_zone="UTC")
