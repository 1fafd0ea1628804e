"""Rows into a table, inside the caller's transaction: COPY where PostgreSQL can be spoken to, else INSERT.

COPY is sent as CSV: PostgreSQL's own input functions read the values, so a text goes into a uuid, jsonb or numeric
column as well as into a text column (docs/decisions/0007 compares it with ADBC's binary form).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator

_COPY_ROWS = 20_000
_INSERT_ROWS = 10_000


def insert(connection: sa.Connection, table: sa.Table, frame: pl.DataFrame) -> None:
    """Add the frame's rows; its columns are found in the table by name."""
    if not frame.height:
        return
    if connection.dialect.driver == "psycopg" and connection.dialect.name == "postgresql":
        _copy(connection, table, frame)
    else:
        _execute_many(connection, table, frame)


def _copy(connection: sa.Connection, table: sa.Table, frame: pl.DataFrame) -> None:
    quote = connection.dialect.identifier_preparer
    columns = ", ".join(quote.quote(name) for name in frame.columns)
    driver: Any = connection.connection.driver_connection
    # In CSV a NULL is an empty field, and an empty text a quoted one. No parameters, so no % is looked at.
    statement = f"COPY {quote.format_table(table)} ({columns}) FROM STDIN (FORMAT csv)".replace("%%", "%")
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in frame.iter_slices(_COPY_ROWS):
            buffer = io.BytesIO()
            _as_text(piece).write_csv(buffer, include_header=False, quote_style="non_numeric")
            copy.write(buffer.getvalue())


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Write what Polars' CSV can't, or writes otherwise than PostgreSQL reads it, as text."""
    return frame.with_columns(
        *(
            ("\\x" + pl.col(name).bin.encode("hex")).alias(name)
            for name, dtype in frame.schema.items()
            if isinstance(dtype, pl.Binary)
        ),
        *(
            pl.col(name).dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00")
            for name, dtype in frame.schema.items()
            if isinstance(dtype, pl.Datetime) and dtype.time_zone
        ),
    )


def _execute_many(connection: sa.Connection, table: sa.Table, frame: pl.DataFrame) -> None:
    if connection.dialect.name == "sqlite":
        # Values as SQLite stores them: its types are affinities, and the driver knows neither dates nor decimals.
        target = sa.table(table.name, *(sa.column(name) for name in frame.columns), schema=table.schema)
        statement, frame = target.insert(), _for_sqlite(frame)
    else:
        statement = table.insert()
    for rows in _rows(frame):
        connection.execute(statement, rows)


def _rows(frame: pl.DataFrame) -> Iterator[list[dict[str, Any]]]:
    for piece in frame.iter_slices(_INSERT_ROWS):
        yield piece.to_dicts()


def _for_sqlite(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(_sqlite_value(name, dtype) for name, dtype in frame.schema.items())


def _sqlite_value(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        column = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
        return column.dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
    if isinstance(dtype, pl.Date):
        return column.dt.strftime("%Y-%m-%d")
    if isinstance(dtype, pl.Time):
        return column.dt.strftime("%H:%M:%S%.6f")
    return column.cast(pl.String) if isinstance(dtype, pl.Decimal) else column
