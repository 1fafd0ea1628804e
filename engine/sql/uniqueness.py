"""Which sets of columns are unique in every row that a SELECT from a table returns: proven, not only declared.

An index proves nothing if it is invalid, partial or over expressions, if it compares with other rules than the column
(another collation or operator class), or if the table has rows that it doesn't cover (tables that inherit from it).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Uniqueness:
    """The primary key, and all sets that are unique; `collations` are those in which the columns of SQLite are so.

    `declared` is False for a view, and for a table with rows that no index of it covers: their keys can't be proven.
    """

    declared: bool
    primary_key: tuple[str, ...] = ()
    sets: tuple[frozenset[str], ...] = ()
    collations: Mapping[frozenset[str], Mapping[str, str]] = field(default_factory=dict)


def uniqueness(connection: sa.Connection, table: str, schema: str | None) -> Uniqueness:
    """Return what is unique in this table or view."""
    if connection.dialect.name == "postgresql":
        return _of_postgresql(connection, table, schema)
    inspector = sa.inspect(connection)
    if table not in inspector.get_table_names(schema):
        return Uniqueness(declared=False)
    if connection.dialect.name == "sqlite":
        return _of_sqlite(connection, inspector, table, schema)
    primary = tuple(inspector.get_pk_constraint(table, schema=schema)["constrained_columns"])
    sets = [frozenset(one["column_names"]) for one in inspector.get_unique_constraints(table, schema=schema)]
    for index in inspector.get_indexes(table, schema=schema):
        names = [name for name in index["column_names"] if name is not None]
        if index["unique"] and len(names) == len(index["column_names"]):
            sets.append(frozenset(names))
    return Uniqueness(True, primary, tuple(dict.fromkeys([*([frozenset(primary)] if primary else []), *sets])))


_POSTGRESQL_TABLE = sa.text("""
    SELECT c.oid, c.relkind IN ('r', 'p')
        AND NOT (c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = c.oid))
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = :table AND CASE WHEN CAST(:schema AS text) IS NULL
        THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = CAST(:schema AS text) END
""")

# INCLUDE columns come after the first `indnkeyatts`, and have neither a collation nor an operator class.
_POSTGRESQL_INDEXES = sa.text("""
    SELECT i.indisprimary, pg_catalog.array_agg(CAST(a.attname AS text) ORDER BY k.position)
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree'
    CROSS JOIN LATERAL unnest(CAST(i.indkey AS int2[]), CAST(i.indcollation AS oid[]),
        CAST(i.indclass AS oid[])) WITH ORDINALITY AS k (attnum, collation_id, class_id, position)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    JOIN pg_catalog.pg_opclass o ON o.oid = k.class_id
    WHERE i.indrelid = :oid AND i.indisunique AND i.indisvalid AND i.indislive
        AND i.indpred IS NULL AND i.indexprs IS NULL AND k.position <= i.indnkeyatts
    GROUP BY i.indexrelid, i.indisprimary
    HAVING pg_catalog.bool_and(k.collation_id = a.attcollation AND o.opcdefault)
    ORDER BY NOT i.indisprimary, i.indexrelid
""")


def _of_postgresql(connection: sa.Connection, table: str, schema: str | None) -> Uniqueness:
    found = connection.execute(_POSTGRESQL_TABLE, {"table": table, "schema": schema}).first()
    if found is None or not found[1]:
        return Uniqueness(declared=False)
    indexes = [
        (is_primary, tuple(names)) for is_primary, names in connection.execute(_POSTGRESQL_INDEXES, {"oid": found[0]})
    ]
    primary = next((names for is_primary, names in indexes if is_primary), ())
    return Uniqueness(True, primary, tuple(dict.fromkeys(frozenset(names) for _, names in indexes)))


def _of_sqlite(connection: sa.Connection, inspector: sa.Inspector, table: str, schema: str | None) -> Uniqueness:
    primary = tuple(inspector.get_pk_constraint(table, schema=schema)["constrained_columns"])
    sets: dict[frozenset[str], Mapping[str, str]] = {frozenset(primary): {}} if primary else {}
    within = connection.dialect.identifier_preparer.quote(schema or "main")
    listed = connection.exec_driver_sql(f"PRAGMA {within}.index_list({_quoted(connection, table)})")
    for _, index, is_unique, _, is_partial in listed.fetchall():
        if not is_unique or is_partial:
            continue
        parts = connection.exec_driver_sql(f"PRAGMA {within}.index_xinfo({_quoted(connection, index)})").fetchall()
        keys = {name: collation for _, _, name, _, collation, is_key in parts if is_key}
        if None not in keys:  # an expression has no name
            sets[frozenset(keys)] = keys
    return Uniqueness(True, primary, tuple(sets), sets)


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
