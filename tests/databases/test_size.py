"""How many rows there will be, as far as that is known without reading them."""

from __future__ import annotations

import pytest
from sql_sources import behind, fetch_all

from engine import SqlFetcher
from engine.sources import sql
from engine.sources.base import Position, SourceSize

ROWS = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n"


@pytest.fixture
def thousand(sqlite):
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)", f"INSERT INTO t {ROWS}")
    return sqlite


def size_at(fetcher, position):
    fetcher.open(position)
    try:
        return fetcher.size()
    finally:
        fetcher.close()


def test_sqlite_counts(thousand, path):
    source = thousand.sources()[path]
    assert size_at(SqlFetcher(source, "t"), Position()) == SourceSize(1000, exact=True)
    assert size_at(SqlFetcher(source, "t", where="id % 10 = 0"), Position()) == SourceSize(100, exact=True)
    assert size_at(SqlFetcher(source, "t", until=None), Position()) == SourceSize(1000, exact=False)
    batches, cursors = fetch_all(SqlFetcher(source, "t"), 400)
    for batch, cursor in zip(batches, cursors, strict=True):
        assert size_at(SqlFetcher(source, "t"), behind(batch, cursor)) == SourceSize(1000, exact=True)


def test_a_count_that_takes_long_is_given_up(thousand, path, monkeypatch):
    monkeypatch.setattr(sql, "_COUNT_SECONDS", 0.05)
    query = "SELECT a.id, b.id AS other, c.id AS third FROM t a, t b, t c"
    # It would read the billion rows as well.
    monkeypatch.setattr("engine.sql.keyset_query.KeysetQuery.refuse_nulls", lambda _selection, _connection: None)
    fetcher = SqlFetcher(thousand.sources()[path], query=query, key=["id", "other", "third"], until=None)
    assert size_at(fetcher, Position()) is None


def test_postgres_estimates(shared):
    shared.execute(
        "CREATE TABLE sized AS SELECT generate_series(1, 10000) AS id",
        "ALTER TABLE sized ADD PRIMARY KEY (id)",
        "ANALYZE sized",
    )
    size = size_at(SqlFetcher(shared.url, "sized"), Position())
    assert not size.exact
    assert 9_900 <= size.rows <= 10_100
    batches, cursors = fetch_all(SqlFetcher(shared.url, "sized"), 6000)
    onward = size_at(SqlFetcher(shared.url, "sized"), behind(batches[0], cursors[0]))
    assert 9_900 <= onward.rows <= 10_100


def test_an_empty_table_has_no_rows(shared):
    shared.execute("CREATE TABLE empty (id integer PRIMARY KEY)")
    assert size_at(SqlFetcher(shared.url, "empty"), Position()) == SourceSize(0)
