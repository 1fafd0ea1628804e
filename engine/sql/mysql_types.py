"""The types of MySQL and MariaDB that need care: how they are read without loss, and which can't be keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = frozenset({"mysql", "mariadb"})
"""SQLAlchemy's names for these databases."""

TRANSACTIONAL: Mapping[str, Any] = {"mysql_engine": "InnoDB", "mariadb_engine": "InnoDB"}
"""Arguments for a table to create: the default storage engine of a server may have no transactions."""

_MICROSECONDS = 6

_BYTES = (sa.LargeBinary, sa.BINARY, sa.VARBINARY, mysql.TINYBLOB, mysql.MEDIUMBLOB, mysql.LONGBLOB)
_KEYS = (sa.Integer, sa.Boolean, sa.Date, sa.DateTime, *_BYTES)


def read_type(declared: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Return the type as which a column is read: one whose values no driver rounds or cuts.

    SQLAlchemy would round a DOUBLE to ten decimals. The server writes a FLOAT with six digits, but a DOUBLE of the same
    value with all of them. A BIT is a number. A TIME may have more than 24 hours, so it is read as text.
    """
    if isinstance(declared, sa.Float):
        return sa.Double()
    if isinstance(declared, mysql.BIT):
        return mysql.BIGINT(unsigned=True)
    if isinstance(declared, sa.Time | mysql.SET):
        return mysql.TINYTEXT()
    return declared


def read_element(element: sa.ColumnElement[Any], declared: sa.types.TypeEngine[Any]) -> sa.ColumnElement[Any]:
    """Return the expression to select for a column of this declared type."""
    if isinstance(declared, sa.Float):
        return sa.type_coerce(element + sa.literal_column("0e0"), sa.Double())
    if isinstance(declared, mysql.BIT):
        return sa.cast(element, mysql.INTEGER(unsigned=True))
    if isinstance(declared, sa.Time | mysql.SET):
        return sa.cast(element, sa.CHAR())
    return element


def can_be_key(declared: sa.types.TypeEngine[Any]) -> bool:
    """Return whether a comparison with a value of a column of this type has the order in which the server sorts it.

    It hasn't for FLOAT, whose values are compared as other numbers than are shown; for ENUM and SET, which sort by
    number, and for BIT and TIME, which are read as something else.
    """
    if isinstance(declared, sa.Enum | mysql.SET):
        return False
    return isinstance(declared, (*_KEYS, sa.String)) or (
        isinstance(declared, sa.Numeric) and not isinstance(declared, sa.Float)
    )


def has_transactions(connection: sa.Connection, table: sa.Table) -> bool:
    """Return whether the storage engine of a table has transactions; True for a view."""
    statement = sa.text("""
        SELECT e.transactions FROM information_schema.tables t JOIN information_schema.engines e ON e.engine = t.engine
        WHERE t.table_schema = coalesce(:schema, database()) AND t.table_name = :table
    """)
    return connection.execute(statement, {"schema": table.schema, "table": table.name}).scalar() != "NO"


def rounds_times(declared: sa.types.TypeEngine[Any], dtype: pl.DataType) -> bool:
    """Return whether a column rounds values of this dtype silently: a time type with fewer than six digits does."""
    if not isinstance(declared, sa.DateTime | sa.Time) or not isinstance(dtype, pl.Datetime | pl.Time):
        return False
    return (getattr(declared, "fsp", None) or 0) < _MICROSECONDS
