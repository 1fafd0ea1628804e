"""A table, a view or a query that is read: its columns with their dtypes, and the key that orders its rows."""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from engine.errors import SourceNotFound, UsageError
from engine.sql.column import Column, column_of
from engine.sql.described import postgresql_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

_ALIAS = "batchpipe_query"


@dataclass(frozen=True, slots=True)
class Relation:
    """Something to select from. `unique` are the sets of columns that the database declares unique.

    `constrained` is False for a view and a query, which have no declared constraints.
    """

    name: str
    source: sa.FromClause
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...] = ()
    unique: tuple[frozenset[str], ...] = ()
    constrained: bool = False

    def column(self, name: str, role: str) -> Column:
        """Return a column by name. Raises UsageError, with the known names, if there is none."""
        if name not in self.columns:
            near = difflib.get_close_matches(name, list(self.columns), n=1)
            known = f"Did you mean '{near[0]}'?" if near else f"It has {', '.join(self.columns)}."
            raise UsageError(f"{self.name} has no column '{name}' ({role})", hint=known)
        return self.columns[name]


def relation_of_table(
    connection: sa.Connection, table: str, schema: str | None, dtypes: Mapping[str, pl.DataType]
) -> Relation:
    """Return a table or view, as the database declares it.

    Raises:
        SourceNotFound: there is no table or view of that name.
        UsageError: the type of a column isn't known, and `dtypes` doesn't name it.
    """
    inspector = sa.inspect(connection)
    if schema is None and "." in table and not inspector.has_table(table):
        schema, _, table = table.partition(".")
    if not inspector.has_table(table, schema=schema):
        raise SourceNotFound(
            f"there is no table or view '{table}'{f' in schema {schema!r}' if schema else ''}",
            hint=_near(table, _names(inspector, schema)),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # a type that SQLAlchemy doesn't know is read as text
        reflected = inspector.get_columns(table, schema=schema)
    types = {one["name"]: one["type"] for one in reflected}
    if connection.dialect.name == "postgresql":
        types = dict(postgresql_types(connection, sa.table(table, schema=schema)))
    source = sa.table(table, *(sa.column(name, declared) for name, declared in types.items()), schema=schema)
    nullable = {one["name"]: bool(one["nullable"]) for one in reflected}
    columns = {
        name: column_of(connection, source.c[name], declared, dtypes, nullable=nullable[name])
        for name, declared in types.items()
    }
    _check_dtypes(dtypes, columns)
    primary = tuple(inspector.get_pk_constraint(table, schema=schema)["constrained_columns"])
    unique = [frozenset(one["column_names"]) for one in inspector.get_unique_constraints(table, schema=schema)]
    for index in inspector.get_indexes(table, schema=schema):
        names = [name for name in index["column_names"] if name is not None]
        partial = any(key.endswith("_where") for key in index.get("dialect_options", {}))
        if index["unique"] and not partial and len(names) == len(index["column_names"]):
            unique.append(frozenset(names))
    if primary:
        unique.insert(0, frozenset(primary))
    name = f"{schema}.{table}" if schema else table
    return Relation(name, source, columns, primary, tuple(unique), table in inspector.get_table_names(schema))


def relation_of_query(connection: sa.Connection, query: str, dtypes: Mapping[str, pl.DataType]) -> Relation:
    """Return a SELECT as something to select from; the database describes its columns, and no row is read.

    Raises:
        UsageError: two columns have the same name, or the type of one isn't known and `dtypes` doesn't name it.
    """
    query = query.strip().rstrip(";")
    types = _types_of_query(connection, query)
    names = [name for name, _ in types]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"the query has two columns called '{twice[0]}'", hint="Rename one of them: … AS name.")
    source = _Query(query, *(sa.column(name, declared) for name, declared in types))
    columns = {name: column_of(connection, source.c[name], declared, dtypes, nullable=True) for name, declared in types}
    _check_dtypes(dtypes, columns)
    return Relation("the query", source, columns)


class _Query(sa.sql.expression.TableClause):
    """A SELECT in place of a table, unchanged: `sa.text` would find parameters in it, such as the :30 of a time."""

    inherit_cache = False

    def __init__(self, query: str, *columns: sa.ColumnClause[Any]) -> None:
        super().__init__(_ALIAS, *columns)
        self.query = query


@compiles(_Query)
def _compile_query(element: _Query, compiler: Any, **options: Any) -> str:
    # The bracket needs a line of its own: the query may end with a comment.
    return f"({compiler.process(sa.literal_column(element.query), **options)}\n) AS {_ALIAS}"


def _types_of_query(connection: sa.Connection, query: str) -> list[tuple[str, sa.types.TypeEngine[Any]]]:
    if connection.dialect.name == "sqlite":
        # In SQLite only a view has declared types; a temporary one can be created for a read-only file as well.
        connection.exec_driver_sql(f"CREATE TEMP VIEW {_ALIAS} AS {query}")
        try:
            reflected = sa.inspect(connection).get_columns(_ALIAS, schema="temp")
        finally:
            connection.exec_driver_sql(f"DROP VIEW temp.{_ALIAS}")
        return [(one["name"], one["type"]) for one in reflected]
    if connection.dialect.name == "postgresql":
        return postgresql_types(connection, _Query(query))
    nothing: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(_Query(query)).where(sa.false())
    result = connection.execute(nothing)
    return [(name, sa.types.NullType()) for name in result.keys()]  # noqa: SIM118 (a result is no mapping)


def _check_dtypes(dtypes: Mapping[str, pl.DataType], columns: Mapping[str, Column]) -> None:
    for name in dtypes:
        if name not in columns:
            raise UsageError(
                f"dtypes names '{name}', but there is no such column", hint=f"The columns are {', '.join(columns)}."
            )


def _names(inspector: sa.Inspector, schema: str | None) -> list[str]:
    if schema is not None and schema not in inspector.get_schema_names():
        return []
    return [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"The tables and views are {', '.join(sorted(names)[:20])}." if names else "There are no tables."


def key_columns(relation: Relation, names: Sequence[str] | None) -> tuple[Column, ...]:
    """Return the columns of the key: those in `names`, by default the primary key.

    Raises:
        UsageError: there is no such key, it isn't unique, or it may be NULL.
    """
    candidates = [one for one in relation.unique if not any(relation.columns[name].nullable for name in one)]
    declared = "; ".join(", ".join(sorted(one)) for one in dict.fromkeys(candidates))
    known = f"Unique and never NULL are: {declared}." if declared else ""
    if names is None:
        if not relation.primary_key:
            what = "has no primary key" if relation.constrained else "is a view or query, which has no primary key"
            raise UsageError(
                f"{relation.name} {what}",
                hint=f"Name columns that identify a row: key=[…]. {known}".strip(),
            )
        names = relation.primary_key
    key = tuple(relation.column(name, "key") for name in names)
    if not key:
        raise UsageError("the key names no column", hint=known)
    for column in key:
        if isinstance(column.declared, sa.ARRAY):
            raise UsageError(
                f"the key column '{column.name}' of {relation.name} is an array, which can't be a key here"
            )
    if not relation.constrained:
        return key
    listed = ", ".join(names)
    if not any(one <= set(names) for one in relation.unique):
        raise UsageError(
            f"the key ({listed}) of {relation.name} is not declared unique, so rows with the same value could be lost",
            hint=known or "Add a unique index over it, or a primary key.",
        )
    # In SQLite a primary key may be NULL unless declared otherwise; `KeysetQuery.refuse_nulls` checks the values.
    quirk = set(names) == set(relation.primary_key)
    for column in key:
        if column.nullable and not quirk:
            raise UsageError(
                f"the key column '{column.name}' of {relation.name} can be NULL, and such rows would never be read",
                hint=known or "Declare it NOT NULL.",
            )
    return key


def with_columns(relation: Relation, names: Sequence[str] | None) -> Relation:
    """Return the relation with only these columns, in this order. Raises UsageError for an unknown one."""
    if names is None:
        return relation
    return replace(relation, columns={name: relation.column(name, "columns") for name in names})
