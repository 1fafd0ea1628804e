"""Paging along a key of each kind: the order is the database's, and every cursor leads on, by either path."""

from __future__ import annotations

import pytest
from sql_sources import behind, fetch_all, values

from engine import SqlFetcher
from engine.errors import SourceChanged, UsageError
from engine.sources.base import Position
from engine.sql.database import literal_sql

TEXTS = [
    *(
        "''",
        "'a'",
        "'A'",
        "'b'",
        "'Z'",
        "'ä'",
        "'ab'",
        "'a '",
        "' a'",
        "'it''s'",
        "'a\"b'",
        "E'back\\\\slash'",
        "'a\\'",
    ),
    *("'100%'", "'%s'", "'%(x)s'", "'%%'", "'a:b'", "':name'", "'\\:name'", "E'new\\nline'", "'😀'", "'; --'"),
]
KEYS = {
    "text": TEXTS,
    'text COLLATE "C"': TEXTS[:6],
    "varchar(20)": TEXTS[8:14],
    "char(20)": TEXTS[8:14],
    "uuid": [f"'{digit}0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'" for digit in "a019f"],
    "timestamp": ["'2024-01-01'", "'2024-01-01 00:00:00.000001'", "'0001-01-01'", "'9999-12-31 23:59:59.999999'"],
    "timestamptz": ["'2024-01-01 00:00+05'", "'2024-01-01 00:00:00.000001+00'", "'2024-01-01 00:00+00'"],
    "date": ["'2024-01-01'", "'0001-01-01'", "'9999-12-31'", "'2024-02-29'"],
    "time": ["'00:00'", "'23:59:59.999999'", "'12:00'"],
    "interval": ["'1 day'", "'2 mons'", "'-1 s'", "'1.5s'"],
    "numeric(10,2)": ["1.5", "-2", "0", "99999999.99"],
    "numeric": ["1.5", "1.55", "-2", "0", "10", "9", "123456789012345678901234567890.123456789"],
    "bytea": ["'\\x'", "'\\x00'", "'\\x00ff'", "'\\xff'", "'\\x2527'"],
    "mood": ["'sad'", "'ok'", "'it''s'", "'%'"],
    "boolean": ["true", "false"],
    "smallint": ["-32768", "0", "32767"],
    "bigint": ["-9223372036854775808", "0", "9223372036854775807"],
    "real": ["1.5", "0.1", "0.2", "'-Infinity'", "3.4e38"],
    "double precision": ["0.1", "'-Infinity'", "'Infinity'", "1e-300", "0.30000000000000004"],
    "inet": ["'10.0.0.1'", "'10.0.0.1/8'", "'::1'"],
    "jsonb": ["'{\"a\": 1}'", "'[]'", "'null'"],
    "bit(3)": ["B'101'", "B'001'", "B'111'"],
}
SIZES = [1, 3, 7, 1000]


@pytest.fixture(scope="module")
def keyed(shared):
    shared.execute("CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s', '%')")
    for number, (declared, written) in enumerate(KEYS.items()):
        shared.execute(f"CREATE TABLE k{number} (k {declared} PRIMARY KEY, n integer)")
        for n, value in enumerate(written):
            shared.execute(f"INSERT INTO k{number} VALUES ({value}, {n})")
    return shared


def check(make, whole, paths, resumed_sizes=(1,)):
    """Page with each size, and resume from each cursor; `make(path)` gives a fetcher whose rows have a column n."""
    fetchers = {path: make(path) for path in paths}
    for path, other in (paths, paths[::-1]):
        for size in SIZES:
            batches, cursors = fetch_all(fetchers[path], size)
            assert [value for batch in batches for value in batch.data["n"]] == whole, (path, size)
            for batch, cursor in zip(batches, cursors, strict=True) if size in resumed_sizes else ():
                rest = values(fetchers[other], "n", 5, behind(batch, cursor))
                assert rest == whole[batch.end_row + 1 :], (path, other, cursor)


@pytest.mark.parametrize("declared", KEYS)
def test_a_page_begins_behind_the_last_key(keyed, declared):
    table = f"k{list(KEYS).index(declared)}"
    whole = keyed.column(f"SELECT n FROM {table} ORDER BY k")
    check(lambda path: SqlFetcher(keyed.sources()[path], table, columns=["n"]), whole, ("url", "engine"))


@pytest.mark.parametrize("declared", ["char(20)", "numeric", "mood", "real"])
def test_the_key_of_a_query_pages_like_that_of_a_table(keyed, declared):
    table = f"k{list(KEYS).index(declared)}"
    whole = keyed.column(f"SELECT n FROM {table} ORDER BY k")
    query = f"SELECT n, k FROM {table} -- with a comment; and :words"
    check(lambda path: SqlFetcher(keyed.sources()[path], query=query, key="k"), whole, ("url", "engine"))


def test_a_key_of_several_columns_pages_in_their_order(shared):
    shared.execute(
        "CREATE TABLE several (a text, b numeric, c date, n integer, PRIMARY KEY (c, a, b))",
        "INSERT INTO several SELECT chr(97 + a), b / 2.0, date '2024-01-01' + c, a * 100 + b * 10 + c "
        "FROM generate_series(0, 2) a, generate_series(0, 2) b, generate_series(0, 1) c",
    )
    whole = shared.column("SELECT n FROM several ORDER BY c, a, b")
    check(lambda path: SqlFetcher(shared.sources()[path], "several"), whole, ("url", "engine"), (7,))
    other_order = shared.column("SELECT n FROM several ORDER BY b, c, a")
    assert values(SqlFetcher(shared.url, "several", key=["b", "c", "a"]), "n", 4) == other_order


def test_a_page_of_a_large_table_is_a_range_of_the_index(shared):
    shared.execute(
        "CREATE TABLE large AS SELECT i % 1000 AS a, i AS b FROM generate_series(0, 99999) i",
        "ALTER TABLE large ADD PRIMARY KEY (a, b)",
        "ANALYZE large",
    )
    fetcher = SqlFetcher(shared.url, "large", until=None)
    fetcher.open(Position())
    fetcher(0, 50_000)
    sql = literal_sql(fetcher._keyset.page(fetcher._after, None, 10), fetcher._database.engine.dialect)
    fetcher.close()
    plan = "\n".join(shared.column(f"EXPLAIN {sql}"))
    assert "Index Cond" in plan
    assert "Sort" not in plan


SQLITE_KEYS = {
    "TEXT": [
        "''",
        "'a'",
        "'A'",
        "'b'",
        "'ä'",
        "'it''s'",
        "'a\"b'",
        "'a\\b'",
        "'100%'",
        "'%s'",
        "':name'",
        "'😀'",
        "'10'",
        "'9'",
    ],
    "TEXT COLLATE NOCASE": ["'a'", "'B'", "'c'", "'D'", "'Ä'", "'ä'"],
    "BLOB": ["x''", "x'00'", "x'00ff'", "x'ff'", "x'27'"],
    "REAL": ["0.1", "0.2", "-1e300", "1e-300", "9e999", "3"],
    "INTEGER": ["-9223372036854775808", "9223372036854775807", "0", "-1", "10", "9"],
    "BIGINT": ["5", "1", "3"],
    "DATE": ["'2024-01-01'", "'0001-01-01'", "'9999-12-31'"],
    "TIMESTAMP": ["'2024-01-01 00:00:00'", "'2024-01-01 00:00:00.5'", "'2023-12-31 23:59:59'"],
    "DECIMAL(10,2)": ["1.5", "10", "9", "-2.25"],
    "BOOLEAN": ["0", "1"],
}


@pytest.mark.parametrize("declared", SQLITE_KEYS)
def test_sqlite_pages_along_a_key(sqlite, declared):
    sqlite.execute(
        f"CREATE TABLE t (k {declared} NOT NULL PRIMARY KEY, n INTEGER)",
        *(f"INSERT INTO t VALUES ({value}, {n})" for n, value in enumerate(SQLITE_KEYS[declared])),
    )
    whole = sqlite.column("SELECT n FROM t ORDER BY k")
    check(lambda path: SqlFetcher(sqlite.sources()[path], "t"), whole, ("url", "engine"), SIZES)
    query = "SELECT * FROM t"
    check(lambda path: SqlFetcher(sqlite.sources()[path], query=query, key="k"), whole, ("url", "engine"))


def test_a_cursor_of_another_key_is_refused(sqlite):
    sqlite.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER NOT NULL UNIQUE)", "INSERT INTO t VALUES (1, 2)")
    batches, cursors = fetch_all(SqlFetcher(sqlite.url, "t"))
    with pytest.raises(SourceChanged, match=r"in the order of \['a'\], but now the key is \['b'\]"):
        fetch_all(SqlFetcher(sqlite.url, "t", key="b"), 1, behind(batches[0], cursors[0]))


def test_an_array_is_no_key(shared):
    shared.execute("CREATE TABLE arrays (k integer[] PRIMARY KEY)")
    with pytest.raises(UsageError, match="'k' of arrays is an array"):
        fetch_all(SqlFetcher(shared.url, "arrays"))
