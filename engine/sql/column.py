"""One column of what is read: how to select it, and as which dtype it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa

from engine.errors import UsageError
from engine.sql.dtypes import plain_dtype, way_out

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `element` to compare and order by, `dtype` in the frames.

    `wire_dtype` is the one that it is read with: String if the database is to make a text of it, None for whatever
    comes.
    """

    name: str
    element: sa.ColumnElement[Any]
    declared: sa.types.TypeEngine[Any]
    nullable: bool
    dtype: pl.DataType
    wire_dtype: pl.DataType | None
    as_text: bool

    def wire(self, kind: str) -> sa.ColumnElement[Any]:
        """Return what to select for it."""
        if self.as_text:
            return sa.cast(self.element, sa.CHAR() if kind == "mysql" else sa.Text()).label(self.name)
        if kind == "sqlite":  # its values as they are: a date is a text there, on every path
            return sa.type_coerce(self.element, sa.types.NullType()).label(self.name)
        if kind == "postgresql":
            return _checked(self).label(self.name)
        return self.element.label(self.name)


def _checked(column: Column) -> sa.ColumnElement[Any]:
    """Return the column, or an error of the database for values that would silently come as others.

    24:00 becomes NULL in Polars, and an array of arrays, which is no type of its own, comes flattened from a
    driver. The cast can't succeed: it says what is wrong by failing.
    """
    element, declared = column.element, column.declared
    if isinstance(declared, sa.ARRAY):
        wrong, what = sa.func.array_ndims(element) > sa.literal_column("1"), "an array of arrays"
    elif isinstance(declared, sa.Time):
        wrong, what = element == sa.literal_column("time '24:00'"), "no time of a day"
    else:
        return element
    text = f" is {what}, in column '{column.name}'. {way_out(column.name)}"
    return sa.case((wrong, sa.cast(sa.cast(element, sa.Text()) + sa.literal(text, sa.Text()), declared)), else_=element)


def column_of(
    connection: sa.Connection,
    element: sa.ColumnElement[Any],
    declared: sa.types.TypeEngine[Any],
    dtypes: Mapping[str, pl.DataType],
    *,
    nullable: bool,
) -> Column:
    """Return a column as its declared type has it, unless `dtypes` names it. Raises UsageError for an unknown type."""
    kind = connection.dialect.name
    name = str(element.key)
    plain = plain_dtype(declared, kind)
    wanted = dtypes.get(name)
    if isinstance(declared, sa.types.NullType):
        if wanted is None:
            raise UsageError(
                f"the database doesn't tell the type of column '{name}'",
                hint=f"Say it with dtypes={{{name!r}: pl.Int64}}, or write CAST(… AS …) in a query.",
            )
        return Column(name, element, declared, nullable, wanted, None, as_text=False)
    # A date as text must be the database's text of it: Polars' own would differ from one path to another.
    text_wanted = isinstance(wanted, pl.String) and not isinstance(plain, pl.String)
    if plain is None or text_wanted:
        return Column(name, element, declared, nullable, wanted or pl.String(), pl.String(), as_text=True)
    # SQLite's values have whatever type they have; what they should be is for `conform` to say.
    wire_dtype = None if kind == "sqlite" else plain
    return Column(name, element, declared, nullable, wanted or plain, wire_dtype, as_text=False)
