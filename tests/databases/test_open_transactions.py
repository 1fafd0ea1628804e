"""Rows of transactions that are open when a run begins: the run waits for them, or says that it can't."""

from __future__ import annotations

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa
from postgres_server import wait_until
from sql_sources import behind, fetch_all, values

from engine import SqlFetcher
from engine.errors import SourceError

SCHEDULES = int(os.environ.get("BATCHPIPE_SCHEDULES", "3"))
IDENTITY = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int"
TABLES = {
    "a table": [f"CREATE TABLE t ({IDENTITY})"],
    "partitions": [
        "CREATE SEQUENCE s",
        "CREATE TABLE t (id bigint DEFAULT nextval('s') PRIMARY KEY, n int) PARTITION BY HASH (id)",
        "CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    ],
}


@pytest.fixture
def connect(tables):
    """Return a function that opens another connection, closed after the test."""
    opened = []

    def connect():
        url = sa.make_url(tables.url)
        parts = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
        opened.append(psycopg.connect(dbname=url.database, autocommit=True, **parts))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


@pytest.mark.parametrize("kind", list(TABLES))
@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
def test_a_run_waits_for_the_rows_of_an_open_transaction(tables, connect, path, kind, ends):
    tables.execute(*TABLES[kind])
    writer = connect()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t (n) VALUES (0)")
    tables.execute("INSERT INTO t (n) SELECT generate_series(1, 5)")
    fetcher = SqlFetcher(tables.sources()[path], "t", writers_seconds=300)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(values, fetcher, "id", 2)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_locks%'"
        wait_until(lambda: tables.column(waits)[0] > 1)
        assert not reading.done()
        writer.execute(ends)
        assert reading.result(300) == ([1, 2, 3, 4, 5, 6] if ends == "COMMIT" else [2, 3, 4, 5, 6])


def test_a_transaction_that_stays_open_is_named_and_the_ways_out_work(tables, connect, path):
    tables.execute(*TABLES["a table"])
    writer = connect()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t (n) VALUES (0)")
    tables.execute("INSERT INTO t (n) VALUES (1)")
    source = tables.sources()[path]
    with pytest.raises(SourceError, match=f"process {writer.info.backend_pid} since") as caught:
        fetch_all(SqlFetcher(source, "t", writers_seconds=0))
    assert "writers_seconds=None" in caught.value.hint
    assert values(SqlFetcher(source, "t", writers_seconds=None), "id") == [2]
    writer.execute("COMMIT")
    assert values(SqlFetcher(source, "t", writers_seconds=0), "id") == [1, 2]


def test_transactions_that_only_read_are_not_waited_for(tables, connect, path):
    tables.execute(*TABLES["a table"], "INSERT INTO t (n) VALUES (1)", "CREATE TABLE other (id int)")
    reader = connect()
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM t FOR UPDATE")
    reader.execute("INSERT INTO other VALUES (1)")
    assert values(SqlFetcher(tables.sources()[path], "t", writers_seconds=0), "id") == [1]


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_runs_beside_random_writers_read_each_row_once(tables, connect, path, seed):
    """Six writers with long transactions, rollbacks and deletes of their own rows; the runs follow each other."""
    tables.execute(*TABLES["a table"], "INSERT INTO t (n) VALUES (0)")
    chance = random.Random(seed)
    writers = {connect(): False for _ in range(6)}
    ended = threading.Event()

    def write():
        for _ in range(400):
            writer = chance.choice(list(writers))
            if not writers[writer]:
                writer.execute("BEGIN")
                writers[writer] = True
            elif chance.random() < 0.3:
                writer.execute(chance.choice(["COMMIT", "COMMIT", "ROLLBACK"]))
                writers[writer] = False
                continue
            statement = "INSERT INTO t (n) SELECT generate_series(1, %s) RETURNING id"
            ids = [row[0] for row in writer.execute(statement, [chance.randint(1, 3)])]
            if chance.random() < 0.2:
                writer.execute("DELETE FROM t WHERE id = %s", [ids[0]])
        for writer, is_open in writers.items():
            if is_open:
                writer.execute("COMMIT")
        ended.set()

    seen, position = [], None
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        is_last = False
        while not is_last:
            is_last = ended.is_set()
            fetcher = SqlFetcher(tables.sources()[path], "t", writers_seconds=300)
            batches, cursors = fetch_all(fetcher, 50, position)
            seen += [one for batch in batches for one in batch.data["id"]]
            if batches:
                position = behind(batches[-1], cursors[-1])
            assert not writing.done() or writing.exception() is None
    assert seen == tables.column("SELECT id FROM t ORDER BY id")
