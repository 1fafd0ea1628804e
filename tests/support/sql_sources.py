"""Databases for the tests, and whole reads of a fetcher over them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import polars as pl
import sqlalchemy as sa

from engine.sources.base import Position


class PostgresTables:
    """A database of the server. It runs SQL without changes; fetchers read it by `url` or by `engine`."""

    def __init__(self, server, url):
        self.url = url
        self.name = sa.make_url(url).database
        self.engine = sa.create_engine(url)
        self.engine.dialect.driver = "another one"  # so that rows are read through SQLAlchemy, as with other drivers
        self.connection = server.connect(self.name)

    def execute(self, *statements):
        for statement in statements:
            cursor = self.connection.execute(statement)
        return cursor

    def column(self, query):
        return [row[0] for row in self.execute(query).fetchall()]

    def sources(self):
        return {"url": self.url, "engine": self.engine}

    def close(self):
        self.connection.close()
        self.engine.dispose()


class SqliteTables:
    """The same for an SQLite file."""

    def __init__(self, path):
        self.path = path
        self.url = f"sqlite:///{path}"
        self.engine = sa.create_engine(self.url)
        self.execute()

    def execute(self, *statements):
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS there_is_a_file (id INTEGER)")
            for statement in statements:
                connection.execute(statement)

    def column(self, query):
        with closing(sqlite3.connect(self.path)) as connection:
            return [row[0] for row in connection.execute(query).fetchall()]

    def sources(self):
        return {"url": self.url, "engine": self.engine}

    def close(self):
        self.engine.dispose()


def fetch_all(fetcher, size=1000, position=None):
    """Open, fetch to the end, close; return the batches, and the cursors after a conversion to JSON and back."""
    position = position or Position()
    batches, cursors = [], []
    try:
        fetcher.open(position)
        while (batch := fetcher(position.next_batch_id + len(batches), size)) is not None:
            batches.append(batch)
            cursors.append(json.loads(json.dumps(fetcher.cursor_after(batch), allow_nan=False)))
    finally:
        fetcher.close()
    return batches, cursors


def read(fetcher, size=1000, position=None):
    """Return all rows in one frame."""
    batches, _ = fetch_all(fetcher, size, position)
    return pl.concat([batch.data for batch in batches]) if batches else None


def values(fetcher, column, size=1000, position=None):
    """Return the values of one column; an empty list if there are no rows."""
    batches, _ = fetch_all(fetcher, size, position)
    return [value for batch in batches for value in batch.data[column]]


def behind(batch, cursor):
    """Return the position at which a run continues after a committed batch."""
    return Position(batch.batch_id + 1, batch.end_row + 1, cursor)
