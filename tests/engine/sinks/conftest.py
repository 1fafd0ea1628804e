from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

from engine import DuckDBSink, SqlSink

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Place:
    """A database, with functions to make a sink for it and to read it without the engine."""

    kind: str
    sink: Callable[..., Any]
    rows: Callable[[str], list[tuple[Any, ...]]]
    execute: Callable[[str], None]


@pytest.fixture(params=[pytest.param("postgresql", marks=pytest.mark.needs("postgres")), "sqlite", "duckdb"])
def place(request, tmp_path):
    if request.param == "postgresql":
        return _postgres(request.getfixturevalue("database"))
    path = tmp_path / f"target.{request.param}"
    connect = sqlite3.connect if request.param == "sqlite" else duckdb.connect

    def rows(sql):
        connection = connect(str(path))
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def execute(sql):
        connection = connect(str(path))
        connection.execute(sql)
        connection.commit()
        connection.close()

    if request.param == "sqlite":
        return Place(
            "sqlite", lambda table="target", **more: SqlSink(f"sqlite:///{path}", table, **more), rows, execute
        )
    return Place("duckdb", lambda table="target", **more: DuckDBSink(path, table, **more), rows, execute)


def _postgres(url):
    import psycopg
    import sqlalchemy as sa

    parsed = sa.make_url(url)
    where = {
        "host": parsed.host,
        "port": parsed.port,
        "user": parsed.username,
        "password": parsed.password,
        "dbname": parsed.database,
    }

    def rows(sql):
        with psycopg.connect(**where) as connection:
            return connection.execute(sql).fetchall()

    def execute(sql):
        with psycopg.connect(**where, autocommit=True) as connection:
            connection.execute(sql)

    return Place("postgresql", lambda table="target", **more: SqlSink(url, table, **more), rows, execute)


@pytest.fixture
def numbers():
    return pl.DataFrame({"id": range(95), "value": [n % 7 for n in range(95)]})
