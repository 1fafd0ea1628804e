"""The settings of a session that decide how values are written: ours, not those of the server, the user or a variable.

They last for one transaction, so a connection goes back to a user's pool, or to a pooler such as pgbouncer, unchanged.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from engine.sql.mysql_types import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_POSTGRESQL = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",  # in other zones early moments have an offset with seconds, which few programs can read
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}


@contextmanager
def settings_of_ours(connection: sa.Connection) -> Iterator[None]:
    """Begin a transaction with these settings; in databases without such settings do nothing."""
    if connection.dialect.name in KINDS:
        with _of_mysql(connection):
            yield
        return
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection
    named = hasattr(driver, "prepare_threshold")
    if named:  # psycopg names statements that it repeats; behind a pooler the next transaction is on another server
        before, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        connection.execute(
            sa.select(*(sa.func.set_config(name, value, sa.true()) for name, value in _POSTGRESQL.items()))
        )
        yield
    finally:
        if named:
            driver.prepare_threshold = before


@contextmanager
def _of_mysql(connection: sa.Connection) -> Iterator[None]:
    """Refuse values that don't fit, and use UTC. These settings last for the session, so they are put back."""
    mode, zone = connection.exec_driver_sql("SELECT @@SESSION.sql_mode, @@SESSION.time_zone").one()
    ours = ",".join(dict.fromkeys([*filter(None, mode.split(",")), "STRICT_ALL_TABLES", "NO_ENGINE_SUBSTITUTION"]))
    change = sa.text("SET SESSION sql_mode = :mode, SESSION time_zone = :zone")
    connection.execute(change, {"mode": ours, "zone": "+00:00"})
    try:
        yield
    finally:
        if not connection.closed and not connection.invalidated:
            with suppress(sa.exc.DBAPIError):  # the connection broke: the pool makes a new one
                connection.rollback()
                connection.execute(change, {"mode": mode, "zone": zone})
                connection.rollback()
