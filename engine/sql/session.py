"""The settings of a session that decide how values are written: ours, not those of the server, the user or a variable.

They last for one transaction, so a connection goes back to a user's pool, or to a pooler such as pgbouncer, unchanged.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

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
