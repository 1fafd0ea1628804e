"""Keys that would lose rows are refused: before anything is read where the database declares it, else at the page."""

from __future__ import annotations

import pytest
from sql_sources import fetch_all, values

from engine import SqlFetcher
from engine.errors import SourceContractBroken, UsageError


def refused(make, match):
    with pytest.raises(UsageError, match=match) as caught:
        fetch_all(make)
    return caught.value.hint


@pytest.fixture
def people(shared):
    shared.execute(
        "DROP TABLE IF EXISTS people CASCADE",
        "CREATE TABLE people (id integer PRIMARY KEY, email text NOT NULL UNIQUE, "
        "town text NOT NULL, nick text UNIQUE)",
        "CREATE UNIQUE INDEX ON people (town) WHERE id > 5",
        "CREATE UNIQUE INDEX ON people (lower(town))",
        "INSERT INTO people VALUES (1, 'a', 'x', NULL), (2, 'b', 'y', 'n')",
        "CREATE TABLE IF NOT EXISTS keyless (a integer NOT NULL, b integer)",
        "CREATE VIEW people_view AS SELECT * FROM people",
    )
    return shared


def test_a_table_without_a_primary_key_needs_a_key(people):
    hint = refused(SqlFetcher(people.url, "keyless"), "keyless has no primary key")
    assert hint == "Name columns that identify a row: key=[…]."


def test_a_view_and_a_query_need_a_key(people):
    refused(SqlFetcher(people.url, "people_view"), "people_view is a view or query")
    refused(SqlFetcher(people.url, query="SELECT 1 AS a"), "the query is a view or query")


def test_a_key_that_is_not_unique_is_refused(people):
    hint = refused(SqlFetcher(people.url, "people", key="town"), r"the key \(town\) of people is not proven unique")
    assert hint == "Unique and never NULL are: id; email."


def test_a_key_that_can_be_null_is_refused(people):
    refused(SqlFetcher(people.url, "people", key="nick"), "'nick' of people can be NULL")


def test_a_unique_column_is_a_key_and_so_is_one_with_more_columns(people, path):
    assert values(SqlFetcher(people.sources()[path], "people", key="email"), "id") == [1, 2]
    assert values(SqlFetcher(people.sources()[path], "people", key=["town", "email"]), "id") == [1, 2]


def test_an_unknown_column_is_told_with_the_one_meant(people):
    hint = refused(SqlFetcher(people.url, "people", key="emial"), r"people has no column 'emial' \(key\)")
    assert hint == "Did you mean 'email'?"
    refused(SqlFetcher(people.url, "people", columns=["id", "zzz"]), r"no column 'zzz' \(columns\)")
    refused(SqlFetcher(people.url, "people", dtypes={"zzz": int}), "dtypes names 'zzz', but there is no such column")
    refused(SqlFetcher(people.url, "people", key=[]), "the key names no column")


def test_null_in_the_key_of_a_view_is_refused_before_anything_is_read(people, path):
    refused(SqlFetcher(people.sources()[path], "people_view", key="nick"), r"rows whose key \(nick\) is NULL")
    rest = SqlFetcher(people.sources()[path], "people_view", key="nick", where="nick IS NOT NULL")
    assert values(rest, "id") == [2]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 1000])
def test_duplicates_in_the_key_of_a_query_are_found_wherever_a_page_ends(shared, path, size):
    query = "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c'), (3, 'd'), (4, 'e')) AS t (k, v)"
    with pytest.raises(SourceContractBroken, match=r"its key \(k\) is not unique: several rows have \(3,\)"):
        fetch_all(SqlFetcher(shared.sources()[path], query=query, key="k"), size)


@pytest.mark.parametrize(
    "rows",
    ["('a'::char(3)), ('a  ')", "(1.0::numeric), (1.00)", "('1 day'::interval), ('24:00:00')"],
)
@pytest.mark.parametrize("size", [1, 2])
def test_what_the_database_takes_for_equal_is_a_duplicate(shared, path, rows, size):
    query = f"SELECT * FROM (VALUES {rows}) AS t (k)"
    with pytest.raises(SourceContractBroken, match="not unique"):
        fetch_all(SqlFetcher(shared.sources()[path], query=query, key="k"), size)


@pytest.mark.parametrize("size", [1, 2])
def test_in_sqlite_the_collation_says_what_a_duplicate_is(sqlite, path, size):
    sqlite.execute(
        "CREATE TABLE t (k TEXT NOT NULL COLLATE NOCASE)",
        "CREATE VIEW v AS SELECT k FROM t",
        "INSERT INTO t VALUES ('a'), ('A')",
    )
    with pytest.raises(SourceContractBroken, match="not unique"):
        fetch_all(SqlFetcher(sqlite.sources()[path], "v", key="k"), size)


def test_a_key_of_two_columns_may_repeat_in_each_of_them(shared, path):
    query = "SELECT a, b, a * 10 + b AS n FROM generate_series(1, 3) a, generate_series(1, 3) b"
    fetcher = SqlFetcher(shared.sources()[path], query=query, key=["a", "b"])
    assert values(fetcher, "n", 2) == [11, 12, 13, 21, 22, 23, 31, 32, 33]


def test_a_primary_key_of_sqlite_may_hold_null_and_then_it_is_none(sqlite, path):
    sqlite.execute("CREATE TABLE t (k TEXT PRIMARY KEY)", "INSERT INTO t VALUES ('a'), (NULL)")
    refused(SqlFetcher(sqlite.sources()[path], "t"), "is NULL, and they would never be read")


def test_arguments_that_contradict_each_other_are_refused():
    for arguments in ({}, {"table": "t", "query": "SELECT 1"}):
        with pytest.raises(UsageError, match="either a table or a query"):
            SqlFetcher("sqlite:///x.db", **arguments)
    with pytest.raises(UsageError, match="until must be 'start' or None, not 'end'"):
        SqlFetcher("sqlite:///x.db", "t", until="end")
    with pytest.raises(UsageError, match="columns must be a list of names"):
        SqlFetcher("sqlite:///x.db", "t", columns="id")


def test_two_columns_of_one_name_are_refused(shared, path):
    query = "SELECT 1 AS a, 2 AS a"
    refused(SqlFetcher(shared.sources()[path], query=query, key="a"), "two columns called 'a'")
