"""The table of a database that a sink fills: the types of its columns, and how rows are written.

Rows are written inside the caller's transaction: by COPY if psycopg talks to PostgreSQL, else by INSERT.

COPY sends CSV: PostgreSQL's own input functions read the values, so a text can go into a uuid, jsonb or numeric column
as well as into a text column (docs/decisions/0007 compares it with the binary format of ADBC).
"""

from __future__ import annotations

import io
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from engine.sql.mysql_types import KINDS

_COPY_ROWS = 20_000
_INSERT_ROWS = 10_000

_TYPES: tuple[tuple[type[pl.DataType], sa.types.TypeEngine[Any]], ...] = (
    (pl.Boolean, sa.Boolean()),
    (pl.Int8, sa.SmallInteger()),
    (pl.Int16, sa.SmallInteger()),
    (pl.Int32, sa.Integer()),
    (pl.Int64, sa.BigInteger()),
    (pl.UInt8, sa.SmallInteger()),
    (pl.UInt16, sa.Integer()),
    (pl.UInt32, sa.BigInteger()),
    (pl.UInt64, sa.Numeric(20, 0)),
    (pl.Int128, sa.Numeric(39, 0)),
    (pl.Float32, sa.REAL()),
    (pl.Float64, sa.Double()),
    (pl.String, sa.Text()),
    (pl.Categorical, sa.Text()),
    (pl.Enum, sa.Text()),
    (pl.Null, sa.Text()),
    (pl.Date, sa.Date()),
    (pl.Time, sa.Time()),
    (pl.Binary, sa.LargeBinary()),
)

_LONG_TEXT = mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin")
_MYSQL_TYPES: tuple[tuple[type[pl.DataType], sa.types.TypeEngine[Any]], ...] = (
    (pl.Datetime, mysql.DATETIME(fsp=6)),  # zoned ones in UTC: TIMESTAMP ends in 2038
    (pl.Time, mysql.TIME(fsp=6)),
    (pl.Float32, mysql.DOUBLE()),
    (pl.Float64, mysql.DOUBLE()),
    (pl.String, _LONG_TEXT),
    (pl.Categorical, _LONG_TEXT),
    (pl.Enum, _LONG_TEXT),
    (pl.Binary, mysql.LONGBLOB()),
)


def column_type(dtype: pl.DataType, kind: str) -> sa.types.TypeEngine[Any] | None:
    """Return the type for a dtype in a database of this kind; None if every type would lose information.

    That is so for durations, nested dtypes, and times finer than a microsecond.
    """
    if kind in KINDS:
        found = next((declared for known, declared in _MYSQL_TYPES if isinstance(dtype, known)), None)
        if found is not None and getattr(dtype, "time_unit", "us") != "ns":
            return found
    if isinstance(dtype, pl.Decimal):
        return sa.Numeric(dtype.precision, dtype.scale)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_unit == "ns":
            return None
        return sa.DateTime(timezone=dtype.time_zone is not None)
    if kind == "sqlite" and isinstance(dtype, pl.UInt64 | pl.Int128):
        return None  # its integers have 64 bits with sign, its floats 53
    return next((declared for known, declared in _TYPES if isinstance(dtype, known)), None)


def insert_rows(connection: sa.Connection, table: sa.Table, frame: pl.DataFrame) -> int | None:
    """Add the rows of the frame; its columns are matched with those of the table by name.

    Return how many rows the database has kept, None if the driver doesn't say.
    """
    if not frame.height:
        return 0
    if connection.dialect.driver == "psycopg" and connection.dialect.name == "postgresql":
        return _copy(connection, table, frame)
    return _execute_many(connection, table, frame)


def _copy(connection: sa.Connection, table: sa.Table, frame: pl.DataFrame) -> int:
    quote = connection.dialect.identifier_preparer
    columns = ", ".join(quote.quote(name) for name in frame.columns)
    driver: Any = connection.connection.driver_connection
    # In CSV, NULL is an empty field and an empty text is a quoted one. Without parameters psycopg keeps each %.
    statement = f"COPY {quote.format_table(table)} ({columns}) FROM STDIN (FORMAT csv)".replace("%%", "%")
    with driver.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for piece in frame.iter_slices(_COPY_ROWS):
                buffer = io.BytesIO()
                _as_text(piece).write_csv(buffer, include_header=False, quote_style="non_numeric")
                copy.write(buffer.getvalue())
        return int(cursor.rowcount)


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with text for dtypes that Polars can't write as CSV, or not as PostgreSQL reads them."""
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


def _execute_many(connection: sa.Connection, table: sa.Table, frame: pl.DataFrame) -> int | None:
    if connection.dialect.name == "sqlite":
        # Values as SQLite stores them: its types are affinities, and the driver can't convert dates or decimals.
        target = sa.table(table.name, *(sa.column(name) for name in frame.columns), schema=table.schema)
        statement = target.insert()
        frame = frame.with_columns(_sqlite_value(name, dtype) for name, dtype in frame.schema.items())
    else:
        statement = table.insert()
        if connection.dialect.name in KINDS:
            zoned = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone]
            frame = frame.with_columns(pl.col(zoned).dt.convert_time_zone("UTC").dt.replace_time_zone(None))
    kept = [connection.execute(statement, piece.to_dicts()).rowcount for piece in frame.iter_slices(_INSERT_ROWS)]
    return sum(kept) if min(kept) >= 0 else None


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
