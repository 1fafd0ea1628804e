"""A table, a view or a query that is read: its columns with their dtypes, and the key that orders its rows."""

from __future__ import annotations

import difflib
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from engine.errors import SourceNotFound, UsageError
from engine.sql.column import Column, column_of
from engine.sql.described import postgresql_types
from engine.sql.mysql_types import KINDS, can_be_key
from engine.sql.uniqueness import Uniqueness, uniqueness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

_ALIAS = "batchpipe_query"


@dataclass(frozen=True, slots=True)
class Relation:
    """Something to select from: the columns that are read, and `nullable` for each column that it has."""

    name: str
    source: sa.FromClause
    columns: Mapping[str, Column]
    nullable: Mapping[str, bool]
    unique: Uniqueness

    @property
    def constrained(self) -> bool:
        """Return False for a view and a query, and for a table with rows that its indexes don't cover."""
        return self.unique.declared

    def column(self, name: str, role: str) -> Column:
        """Return a column by name. Raises UsageError, with the known names, if there is none."""
        if name not in self.columns:
            raise _no_column(self.name, name, role, self.nullable)
        return self.columns[name]


def relation_of_table(
    connection: sa.Connection,
    table: str,
    schema: str | None,
    dtypes: Mapping[str, pl.DataType],
    *,
    wanted: Sequence[str] | None = None,
    key: Sequence[str] | None = None,
) -> Relation:
    """Return a table or view, as the database declares it, with the columns `wanted` and those of its key.

    No other column is selected, so neither its type nor the right to read it matters.

    Raises:
        SourceNotFound: there is no table or view of that name.
        UsageError: there is no such column, or its type isn't known and `dtypes` doesn't name it.
    """
    inspector = sa.inspect(connection)
    schema, table = found_table(inspector, table, schema)
    if not inspector.has_table(table, schema=schema):
        raise SourceNotFound(
            f"there is no table or view '{table}'{f' in schema {schema!r}' if schema else ''}",
            hint=_near(table, _names(inspector, schema)),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # a type that SQLAlchemy doesn't know is read as text
        reflected = inspector.get_columns(table, schema=schema)
        unique = uniqueness(connection, table, schema)
    name = f"{schema}.{table}" if schema else table
    nullable = {one["name"]: bool(one["nullable"]) for one in reflected}
    read = _read(name, nullable, wanted, unique.primary_key if key is None else key)
    types = {one["name"]: one["type"] for one in reflected if one["name"] in read}
    if connection.dialect.name == "postgresql":
        types = dict(postgresql_types(connection, sa.table(table, schema=schema), list(types)))
    source = sa.table(table, *(sa.column(name, declared) for name, declared in types.items()), schema=schema)
    return Relation(name, source, _columns(connection, source, types, nullable, dtypes), nullable, unique)


def found_table(inspector: sa.Inspector, table: str, schema: str | None) -> tuple[str | None, str]:
    """Return the schema and the table that a name means: `a.b` is b in schema a, unless a table is called `a.b`."""
    if schema is None and "." in table and not inspector.has_table(table):
        schema, _, table = table.partition(".")
    return schema, table


def relation_of_query(
    connection: sa.Connection,
    query: str,
    dtypes: Mapping[str, pl.DataType],
    *,
    wanted: Sequence[str] | None = None,
    key: Sequence[str] | None = None,
) -> Relation:
    """Return a SELECT as something to select from; the database describes its columns, and no row is read.

    Raises:
        UsageError: two columns have the same name, or the type of one isn't known and `dtypes` doesn't name it.
    """
    query = query.strip().rstrip(";")
    found = _types_of_query(connection, query)
    names = [name for name, _ in found]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise UsageError(f"the query has two columns called '{twice[0]}'", hint="Rename one of them: … AS name.")
    nullable = dict.fromkeys(names, True)
    read = _read("the query", nullable, wanted, key or ())
    types = {name: declared for name, declared in found if name in read}
    source = _Query(query, *(sa.column(name, declared) for name, declared in types.items()))
    columns = _columns(connection, source, types, nullable, dtypes)
    return Relation("the query", source, columns, nullable, Uniqueness(declared=False))


def _read(
    table: str, known: Mapping[str, bool], wanted: Sequence[str] | None, key: Sequence[str]
) -> Mapping[str, Any] | set[str]:
    """Return the names of the columns to select. Raises UsageError for an unknown one."""
    if wanted is None:
        return known
    for names, role in ((wanted, "columns"), (key, "key")):
        for name in names:
            if name not in known:
                raise _no_column(table, name, role, known)
    return {*wanted, *key}


def _no_column(table: str, name: str, role: str, known: Iterable[str]) -> UsageError:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"It has {', '.join(known)}."
    return UsageError(f"{table} has no column '{name}' ({role})", hint=hint)


def _columns(
    connection: sa.Connection,
    source: sa.FromClause,
    types: Mapping[str, sa.types.TypeEngine[Any]],
    nullable: Mapping[str, bool],
    dtypes: Mapping[str, pl.DataType],
) -> dict[str, Column]:
    for name in dtypes:
        if name not in nullable:
            raise UsageError(
                f"dtypes names '{name}', but there is no such column", hint=f"The columns are {', '.join(nullable)}."
            )
    untyped = [name for name, one in types.items() if isinstance(one, sa.types.NullType) and name not in dtypes]
    if untyped:
        raise UsageError(
            f"the database doesn't say which type these columns have: {', '.join(untyped)}",
            hint=f"Give their dtypes with dtypes={{{untyped[0]!r}: pl.Int64}}, leave them out with columns=[…], or, in "
            "a query for SQLite, write CAST(… AS …).",
        )
    elements = source.c
    return {
        name: column_of(connection, elements[name], declared, dtypes, nullable=nullable[name])
        for name, declared in types.items()
    }


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
        return postgresql_types(connection, _Query(query), None)
    nothing: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(_Query(query)).where(sa.false())
    result = connection.execute(nothing)
    return [(name, sa.types.NullType()) for name in result.keys()]  # noqa: SIM118 (a result is no mapping)


def _names(inspector: sa.Inspector, schema: str | None) -> list[str]:
    if schema is not None and schema not in inspector.get_schema_names():
        return []
    return [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"The tables and views are {', '.join(sorted(names)[:20])}." if names else "There are no tables."


def key_columns(relation: Relation, names: Sequence[str] | None, kind: str) -> tuple[Column, ...]:  # noqa: C901
    """Return the columns of the key: those in `names`, by default the primary key.

    Raises:
        UsageError: there is no such key, it isn't unique, or it may be NULL.
    """
    unique = relation.unique
    candidates = [one for one in unique.sets if not any(relation.nullable[name] for name in one)]
    declared = "; ".join(", ".join(sorted(one)) for one in dict.fromkeys(candidates))
    known = f"Unique and never NULL are: {declared}." if declared else ""
    if names is None:
        if not unique.primary_key:
            what = (
                "has no primary key"
                if relation.constrained
                else "is a view or query, or has child tables, so no primary key covers its rows"
            )
            raise UsageError(
                f"{relation.name} {what}",
                hint=f"Name columns that identify a row: key=[…]. {known}".strip(),
            )
        names = unique.primary_key
    key = tuple(relation.column(name, "key") for name in names)
    if not key:
        raise UsageError("the key names no column", hint=known)
    for column in key:
        if isinstance(column.declared, sa.ARRAY):
            raise UsageError(
                f"the key column '{column.name}' of {relation.name} is an array, which can't be a key here"
            )
        if kind in KINDS:
            _refuse_other_order(relation, column)
    if not relation.constrained:
        return key
    listed = ", ".join(names)
    proof = next((one for one in unique.sets if one <= set(names)), None)
    if proof is None:
        raise UsageError(
            f"the key ({listed}) of {relation.name} is not proven unique: no valid index over all rows says so, and "
            "rows with the same value could be lost",
            hint=known or "Add such an index, or a primary key.",
        )
    # In SQLite a primary key may be NULL unless declared otherwise; `KeysetQuery.refuse_nulls` checks the values.
    quirk = set(names) == set(unique.primary_key)
    for column in key:
        if column.nullable and not quirk:
            raise UsageError(
                f"the key column '{column.name}' of {relation.name} can be NULL, and such rows would never be read",
                hint=known or "Declare it NOT NULL.",
            )
    # The pages need the order in which the key is unique: 'a' and 'A' may be two keys of the index, else equal.
    collations = unique.collations.get(proof, {})
    return tuple(
        replace(one, element=sa.collate(sa.type_coerce(one.element, sa.Text()), collations[one.name]))
        if one.name in collations and not isinstance(one.declared, sa.Integer | sa.Numeric)
        else one
        for one in key
    )


def _refuse_other_order(relation: Relation, column: Column) -> None:
    if not can_be_key(column.declared):
        raise UsageError(
            f"the key column '{column.name}' of {relation.name} has the type {column.declared}, whose order isn't "
            "that of its values as they are read",
            hint="Choose a key of integers, decimals, texts, dates or bytes.",
        )


def with_columns(relation: Relation, names: Sequence[str] | None) -> Relation:
    """Return the relation with only these columns, in this order. Raises UsageError for an unknown one."""
    if names is None:
        return relation
    return replace(relation, columns={name: relation.column(name, "columns") for name in names})
