"""The wait for transactions that are writing to a table, so that no row turns up later below a bound.

A key such as an identity is taken from its sequence before the row is committed. If the bound is the greatest key that
can be seen, a transaction that is still open may hold a smaller one. PostgreSQL locks a table for each transaction that
writes to it, before that transaction takes a key. So after all transactions have ended that hold such a lock when the
bound is known, every row up to the bound can be seen, provided that keys are handed out in ascending order.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from engine.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PAUSE_SECONDS = 0.05

# Prepared transactions have no pid.
_WRITERS = sa.text("""
    WITH RECURSIVE family (oid) AS (
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = :table AND CASE WHEN CAST(:schema AS text) IS NULL
            THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = CAST(:schema AS text) END
        UNION
        SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid
    )
    SELECT DISTINCT l.virtualtransaction, l.pid, CAST(a.xact_start AS text)
    FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'relation' AND l.granted AND l.relation IN (SELECT oid FROM family)
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
""")


def wait_for_writers(connection: sa.Connection, table: str, schema: str | None, seconds: float) -> None:
    """Return when all transactions have ended that are writing to this table or its partitions now.

    Raises:
        SourceError: they haven't after `seconds`.
    """
    end = time.monotonic() + seconds
    first = writing = _writers(connection, table, schema)
    while waited_for := [one for one in first if one[0] in {now[0] for now in writing}]:
        if time.monotonic() >= end:
            raise _still_open(table, waited_for, seconds)
        time.sleep(_PAUSE_SECONDS)
        writing = _writers(connection, table, schema)


def _writers(connection: sa.Connection, table: str, schema: str | None) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    return connection.execute(_WRITERS, {"table": table, "schema": schema}).fetchall()


def _still_open(table: str, writers: Sequence[sa.Row[*tuple[Any, ...]]], seconds: float) -> SourceError:
    known = ", ".join(
        f"process {one[1]} since {one[2]}" if one[1] else f"prepared transaction {one[0]}" for one in writers
    )
    return SourceError(
        f"{len(writers)} transactions that are writing to {table} were still open after {seconds:g} s ({known}): their "
        "rows may have keys below those that can be read now, and no run would read them",
        hint="Run again when they have ended, or wait longer with writers_seconds=…. If rows always get ascending keys "
        "in the order of their commits, or may be missed, write writers_seconds=None.",
    )
