"""All statements that are needed to read a table: which rows, in which order, between which keys.

This module knows the table and its key; it must not know how far a run is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from engine.errors import SourceChanged, SourceContractBroken, UsageError
from engine.sql import keyset

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.sql.column import Column
    from engine.sql.relation import Relation

Key = tuple[Any, ...]
"""The values of a key, as the database returned them."""


@dataclass(frozen=True, slots=True)
class KeysetQuery:
    """The rows of `relation` for which `where` is true, in the order of `key`.

    `proven` is True if the database guarantees that the key is unique; otherwise each page is checked.
    """

    relation: Relation
    key: tuple[Column, ...]
    where: str | sa.ColumnElement[bool] | None
    kind: str
    proven: bool

    @property
    def key_names(self) -> list[str]:
        """Return the names of the columns of the key, in its order."""
        return [column.name for column in self.key]

    @property
    def wanted(self) -> Mapping[str, Column]:
        """Return the columns to select: those of the batches, and those of the key."""
        return {**self.relation.columns, **{column.name: column for column in self.key}}

    def page(self, after: Key | None, bound: Key | None, limit: int) -> sa.Select[Any]:
        """Return the statement for at most `limit` rows after the key `after`, up to and including `bound`."""
        wanted = list(self.wanted.values())
        selected = [column.wire(self.kind) if self.proven else column.element for column in wanted]
        statement = self._within(sa.select(*selected).select_from(self.relation.source), after, bound)
        statement = statement.order_by(*self._elements()).limit(limit)
        return statement if self.proven else keyset.flag_shared_keys(statement, self.key, wanted, self.kind)

    def rows(self, after: Key | None, bound: Key | None) -> sa.Select[Any]:
        """Return a statement that selects 1 for each row between the keys."""
        return self._within(self._ones(), after, bound)

    def refuse_shared_keys(self, batch_id: int, wire: pl.DataFrame) -> None:
        """Raise `SourceContractBroken` if rows of a page have the same key, unless the key is proven unique."""
        if self.proven:
            return
        shared = wire[keyset.SHARED].to_list()
        if 1 in shared:
            key = wire.select(self.key_names).row(shared.index(1))
            raise SourceContractBroken(
                batch_id,
                f"its key ({', '.join(self.key_names)}) is not unique: several rows have {key}, "
                "and a page that ends between them would lose some. Choose a key that is unique",
            )

    # --- queries --------------------------------------------------------------------------------------

    def refuse_nulls(self, connection: sa.Connection) -> None:
        """Raise UsageError if a key is NULL; columns that are declared NOT NULL aren't searched."""
        doubtful = [column for column in self.key if column.nullable]
        if not doubtful:
            return
        statement = self._ones().where(sa.or_(*(column.element.is_(None) for column in doubtful)))
        if connection.execute(self._filtered(statement)).first() is not None:
            names = ", ".join(column.name for column in doubtful)
            raise UsageError(
                f"{self.relation.name} has rows whose key ({names}) is NULL, and they would never be read",
                hint="Choose another key, or exclude those rows with where=….",
            )

    def has_rows(self, connection: sa.Connection, after: Key, bound: Key) -> bool:
        """Return whether there is any row between the keys."""
        return connection.execute(self.rows(after, bound).limit(1)).first() is not None

    def greatest_key(self, connection: sa.Connection) -> Key | None:
        """Return the greatest key of the table, without regard to `where`; None if the table is empty."""
        # If NULL sorts last it would be found; rows with NULL are excluded by the user's `where`.
        statement = self._keys().where(*(column.element.is_not(None) for column in self.key if column.nullable))
        row = connection.execute(statement.order_by(*self._downwards()).limit(1)).first()
        return tuple(row) if row is not None else None

    def key_of_row(self, connection: sa.Connection, row: int) -> Key:
        """Return the key of the row with this number, from 0. Raises `SourceChanged` if there are fewer rows."""
        ordered = self._filtered(self._keys()).order_by(*self._elements())
        found = connection.execute(ordered.offset(row).limit(1)).first()
        if found is None:
            raise SourceChanged(f"{row + 1:,} rows are committed, but {self.relation.name} has fewer now")
        return tuple(found)

    def key_ahead(
        self, connection: sa.Connection, after: Key | None, bound: Key | None, rows: int
    ) -> tuple[Key | None, bool]:
        """Return the key `rows` rows after `after`, or the last key if there are fewer; and whether there are fewer.

        The key is None if there is no row.
        """
        within = self._within(self._keys(), after, bound)
        found = connection.execute(within.order_by(*self._elements()).offset(rows - 1).limit(1)).first()
        if found is not None:
            return tuple(found), False
        last = connection.execute(within.order_by(*self._downwards()).limit(1)).first()
        return (None if last is None else tuple(last)), True

    # --- pieces ---------------------------------------------------------------------------------------

    def _within(self, statement: sa.Select[Any], after: Key | None, bound: Key | None) -> sa.Select[Any]:
        if after is not None:
            statement = statement.where(keyset.rows_after(self.key, after, self.kind))
        if bound is not None:
            statement = statement.where(keyset.rows_up_to(self.key, bound, self.kind))
        return self._filtered(statement)

    def _filtered(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        if self.where is None:
            return statement
        condition = sa.literal_column(f"({self.where}\n)") if isinstance(self.where, str) else self.where
        return statement.where(condition)

    def _keys(self) -> sa.Select[Any]:
        return sa.select(*(column.wire(self.kind) for column in self.key)).select_from(self.relation.source)

    def _ones(self) -> sa.Select[Any]:
        return sa.select(sa.literal_column("1")).select_from(self.relation.source)

    def _elements(self) -> list[sa.ColumnElement[Any]]:
        return [column.element for column in self.key]

    def _downwards(self) -> list[sa.ColumnElement[Any]]:
        return [column.element.desc() for column in self.key]
