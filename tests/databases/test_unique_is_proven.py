"""A key is believed to be unique only if an index proves it for the rows that a SELECT returns."""

from __future__ import annotations

import contextlib

import psycopg
import pytest
from sql_sources import fetch_all, values

from engine import SqlFetcher
from engine.errors import SourceContractBroken, UsageError

NO_PROOF = {
    "an index that was left invalid": [
        "CREATE TABLE t (k int NOT NULL)",
        "INSERT INTO t SELECT n / 2 FROM generate_series(0, 9) n",
        "CREATE UNIQUE INDEX CONCURRENTLY u ON t (k)",  # fails, and leaves the index
    ],
    "a partial index": [
        "CREATE TABLE t (k int NOT NULL)",
        "CREATE UNIQUE INDEX u ON t (k) WHERE k > 5",
    ],
    "an index over an expression": [
        "CREATE TABLE t (k int NOT NULL)",
        "CREATE UNIQUE INDEX u ON t ((k + 1))",
    ],
    "an index that only includes the column": [
        "CREATE TABLE t (k int NOT NULL, a int)",
        "CREATE UNIQUE INDEX u ON t (a) INCLUDE (k)",
    ],
    "an index with another collation": [
        'CREATE TABLE t (k text COLLATE "POSIX" NOT NULL)',
        'CREATE UNIQUE INDEX u ON t (k COLLATE "C")',
    ],
    "an index of a partitioned table that one partition lacks": [
        "CREATE TABLE t (k int NOT NULL) PARTITION BY RANGE (k)",
        "CREATE TABLE part PARTITION OF t FOR VALUES FROM (0) TO (100)",
        "CREATE UNIQUE INDEX u ON ONLY t (k)",
    ],
}


@pytest.mark.parametrize("why", list(NO_PROOF))
def test_a_key_without_proof_is_refused(tables, path, why):
    for statement in NO_PROOF[why]:
        with contextlib.suppress(psycopg.errors.UniqueViolation):
            tables.execute(statement)
    with pytest.raises(UsageError, match="not proven unique") as caught:
        fetch_all(SqlFetcher(tables.sources()[path], "t", key="k"))
    assert "Add such an index" in caught.value.hint


def test_rows_of_child_tables_are_no_secret_to_the_check_of_pages(tables, path):
    tables.execute(
        "CREATE TABLE t (k int PRIMARY KEY)",
        "CREATE TABLE child () INHERITS (t)",
        "INSERT INTO t VALUES (1), (2)",
        "INSERT INTO child VALUES (3)",
    )
    fetcher = SqlFetcher(tables.sources()[path], "t", key="k")
    assert values(fetcher, "k", 1) == [1, 2, 3]
    tables.execute("INSERT INTO child VALUES (2)")
    with pytest.raises(SourceContractBroken, match="not unique"):
        fetch_all(SqlFetcher(tables.sources()[path], "t", key="k"), 2)


@pytest.mark.parametrize(("declared", "index"), [("NOCASE", "BINARY"), ("BINARY", "NOCASE"), ("RTRIM", "BINARY")])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_sqlite_pages_have_the_order_in_which_the_key_is_unique(sqlite, path, declared, index, size):
    words = ["a", "B", "c", "D"] if index == "NOCASE" else ["a", "A", "b", "B", "b ", "a "]
    sqlite.execute(
        f"CREATE TABLE t (k TEXT COLLATE {declared} NOT NULL)",
        f"CREATE UNIQUE INDEX u ON t (k COLLATE {index})",
        "INSERT INTO t VALUES " + ", ".join(f"('{word}')" for word in words),
    )
    found = values(SqlFetcher(sqlite.sources()[path], "t", key="k"), "k", size)
    assert sorted(found) == sorted(words)
