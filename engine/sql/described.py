"""The types of columns, from the description of a result: the same for a table, a view and a query.

PostgreSQL returns the number (OID) of the type of each column (for a domain, that of its base type), and the digits of
a numeric. A type that isn't in the list here has a name in the catalog, which is enough to compare with its values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from engine.sql.dtypes import plain_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

# PostgreSQL's numbers for its types (catalog pg_type).
_OF_OID: dict[int, sa.types.TypeEngine[Any]] = {
    16: sa.Boolean(),
    17: sa.LargeBinary(),
    20: sa.BigInteger(),
    21: sa.SmallInteger(),
    23: sa.Integer(),
    25: sa.Text(),
    700: sa.REAL(),
    701: sa.Double(),
    1000: sa.ARRAY(sa.Boolean()),
    1005: sa.ARRAY(sa.SmallInteger()),
    1007: sa.ARRAY(sa.Integer()),
    1009: sa.ARRAY(sa.Text()),
    1014: sa.ARRAY(sa.Text()),
    1015: sa.ARRAY(sa.Text()),
    1016: sa.ARRAY(sa.BigInteger()),
    1021: sa.ARRAY(sa.REAL()),
    1022: sa.ARRAY(sa.Double()),
    1043: sa.String(),
    1082: sa.Date(),
    1083: sa.Time(),
    1114: sa.TIMESTAMP(),
    1184: sa.TIMESTAMP(timezone=True),
}
_NUMERIC_OID = 1700
_CHAR_OID = 1042


class NamedType(sa.types.UserDefinedType[str]):
    """A type of PostgreSQL of which only the name is known; the catalog returns it quoted."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """Return the name to use in a CAST."""
        return self.name


class PaddedText(sa.CHAR):
    """CHAR(n): its comparisons ignore trailing spaces, so a value must not be sent as TEXT, whose comparisons don't."""

    def bind_expression(self, bindvalue: sa.BindParameter[str]) -> sa.ColumnElement[str]:
        """Return the value as a CHAR of any length."""
        return sa.cast(sa.type_coerce(bindvalue, sa.Text()), NamedType("bpchar"))


def postgresql_types(
    connection: sa.Connection, source: sa.FromClause, names: Sequence[str] | None
) -> list[tuple[str, sa.types.TypeEngine[Any]]]:
    """Return the name and type of these columns, None for all, without reading a row.

    The right to read other columns isn't needed.
    """
    selected: list[sa.ColumnElement[Any]] = (
        [sa.literal_column("*")] if names is None else [sa.column(name) for name in names]
    )
    nothing: sa.Select[Any] = sa.select(*selected).select_from(source).where(sa.false())
    result = connection.execute(nothing)
    described: Sequence[Any] = result.cursor.description if result.cursor else []
    unknown = {one[1] for one in described} - set(_OF_OID)
    type_names = _names(connection, unknown)
    return [(one[0], _type(one, type_names)) for one in described]


def _names(connection: sa.Connection, oids: set[int]) -> dict[int, str]:
    """Return the names of types, as SQL writes them."""
    catalog = sa.table("pg_type", sa.column("oid", sa.BigInteger()), schema="pg_catalog")
    # -1 means any length: without it, bit and character would be those of length 1.
    statement = sa.select(catalog.c.oid, sa.func.format_type(catalog.c.oid, -1)).where(catalog.c.oid.in_(sorted(oids)))
    return {int(oid): name for oid, name in connection.execute(statement)} if oids else {}


def _type(described: Any, names: dict[int, str]) -> sa.types.TypeEngine[Any]:
    """Return the type of a column from the driver's description: (name, oid, …, precision, scale, …)."""
    oid = described[1]
    if oid == _CHAR_OID:
        return PaddedText()
    if oid == _NUMERIC_OID and described[4]:
        number: sa.Numeric[Any] = sa.Numeric(described[4], described[5])
        if plain_dtype(number, "postgresql") is not None:
            return number
    return _OF_OID.get(oid) or NamedType(names[oid])
