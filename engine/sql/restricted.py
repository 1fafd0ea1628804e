"""A user's query in DuckDB that may only read: one SELECT, over what it is given.

A query is a text from somewhere: a shell's history, a colleague's mail. It must not write files, read other files, load
extensions or change settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb

CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "python_enable_replacements": False,  # else the name of a Python variable is a table
    "temp_directory": "",
}
"""How to connect to a database for queries of users. `restrict` does the rest."""


def restrict(connection: duckdb.DuckDBPyConnection, readable: Collection[str] = ()) -> None:
    """Close the connection off from files, network and settings, for good; it can read only the files `readable`."""
    if readable:
        connection.execute("SET allowed_paths = $readable", {"readable": list(readable)})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def require_one_select(connection: duckdb.DuckDBPyConnection, query: str, *, prefix: str = "") -> None:
    """Check the query without running it; `prefix` begins the message of an error.

    Raises:
        UsageError: it has a syntax error, or isn't a single SELECT.
    """
    import duckdb

    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise UsageError(f"{prefix}the query has a mistake: {error}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError(
            f"{prefix}the query must be a single SELECT",
            hint="It can read, but not write, attach, install or set anything. Use WITH for intermediate results.",
        )
