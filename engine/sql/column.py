"""A column that is read: how to select it, and with which dtype its values arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa

from engine.sql.dtypes import plain_dtype, way_out
from engine.sql.mysql_types import KINDS, read_element, read_type

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `element` is used to compare and to order, `dtype` is that of the frames.

    `wire_dtype` is the dtype with which the values arrive: String if the database converts them to text, None if it
    isn't known before.
    """

    name: str
    element: sa.ColumnElement[Any]
    declared: sa.types.TypeEngine[Any]
    nullable: bool
    dtype: pl.DataType
    wire_dtype: pl.DataType | None
    as_text: bool

    def wire(self, kind: str) -> sa.ColumnElement[Any]:
        """Return the expression to select."""
        if self.as_text:
            return sa.cast(self.element, sa.CHAR() if kind in KINDS else sa.Text()).label(self.name)
        if kind in KINDS:
            return read_element(self.element, self.declared).label(self.name)
        if kind == "sqlite":  # unconverted values: a date is a text there, for every reader
            return sa.type_coerce(self.element, sa.types.NullType()).label(self.name)
        if kind == "postgresql":
            return _checked(self).label(self.name)
        return self.element.label(self.name)


def _checked(column: Column) -> sa.ColumnElement[Any]:
    """Return an expression that is the column, or fails in the database for values that would arrive changed.

    24:00 would become NULL in Polars, and an array of arrays, which has no type of its own, would arrive flattened.
    The cast can't succeed: its error message, from the database, contains the text.
    """
    element, declared = column.element, column.declared
    if isinstance(declared, sa.ARRAY):
        wrong, what = sa.func.array_ndims(element) > sa.literal_column("1"), "an array of arrays"
    elif isinstance(declared, sa.Time):
        wrong, what = element == sa.literal_column("time '24:00'"), "not a time of day"
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
    """Return a column with the dtype in `dtypes`, else that of its type."""
    kind = connection.dialect.name
    name = str(element.key)
    plain = plain_dtype(read_type(declared) if kind in KINDS else declared, kind)
    wanted = dtypes.get(name)
    if isinstance(declared, sa.types.NullType):
        return Column(name, element, declared, nullable, dtypes[name], None, as_text=False)
    # A date as text must be in the form of the database: that of Polars would depend on the reader.
    text_wanted = isinstance(wanted, pl.String) and not isinstance(plain, pl.String)
    if plain is None or text_wanted:
        return Column(name, element, declared, nullable, wanted or pl.String(), pl.String(), as_text=True)
    # In SQLite each value has a type of its own, independent of the declaration; `conform` converts them later.
    wire_dtype = None if kind == "sqlite" else plain
    return Column(name, element, declared, nullable, wanted or plain, wire_dtype, as_text=False)
