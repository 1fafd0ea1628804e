"""SQLite declares types and stores whatever it is given: what fits has its dtype, what does not is told by column."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sql_sources import fetch_all, read

from engine import SqlFetcher
from engine.errors import UsageError
from engine.sql.database import QueryFailed

DECLARED = {
    "INTEGER": (pl.Int64(), ["-9223372036854775808", "9223372036854775807"], [-(2**63), 2**63 - 1]),
    "SMALLINT": (pl.Int64(), ["100000"], [100000]),
    "BIGINT": (pl.Int64(), ["1"], [1]),
    "REAL": (pl.Float64(), ["0.1", "3", "9e999"], [0.1, 3.0, float("inf")]),
    "DOUBLE PRECISION": (pl.Float64(), ["1e-300"], [1e-300]),
    "NUMERIC": (pl.Float64(), ["1.5", "2"], [1.5, 2.0]),
    "DECIMAL(10,2)": (
        pl.Decimal(10, 2),
        ["1.1", "2", "-99999999.99"],
        [Decimal("1.10"), Decimal(2), Decimal("-99999999.99")],
    ),
    "BOOLEAN": (pl.Boolean(), ["0", "1"], [False, True]),
    "TEXT": (pl.String(), ["''", "'it''s %s :x'", "'😀\n'", "'NULL'"], ["", "it's %s :x", "😀\n", "NULL"]),
    "VARCHAR(3)": (pl.String(), ["'abcdef'", "5"], ["abcdef", "5"]),
    "DATE": (pl.Date(), ["'0001-01-01'", "'9999-12-31'"], [date.min, date.max]),
    "TIME": (pl.Time(), ["'00:00:00'", "'23:59:59.999999'"], [time.min, time.max]),
    "DATETIME": (
        pl.Datetime("us"),
        ["'2024-01-01 12:00:00.000001'", "'2024-01-01T12:00:00'", "'0001-01-01 00:00:00'"],
        [datetime(2024, 1, 1, 12, 0, 0, 1), datetime(2024, 1, 1, 12), datetime(1, 1, 1)],
    ),
    "BLOB": (pl.Binary(), ["x'00ff'", "x''"], [b"\x00\xff", b""]),
    "JSON": (pl.String(), ["'{\"a\": 1}'"], ['{"a": 1}']),
}
NAMES = [f"c{number}" for number in range(len(DECLARED))]
HEIGHT = 1 + max(len(written) for _, written, _ in DECLARED.values())


def padded(items, filler):
    return [*items, *[filler] * (HEIGHT - len(items))]


WANTED = pl.DataFrame(
    {"id": pl.Series(range(HEIGHT), dtype=pl.Int64)}
    | {
        name: pl.Series(padded(want, None), dtype=dtype)
        for name, (dtype, _, want) in zip(NAMES, DECLARED.values(), strict=True)
    }
)


@pytest.fixture
def declared(sqlite):
    columns = [padded(written, "NULL") for _, written, _ in DECLARED.values()]
    sqlite.execute(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(map(' '.join, zip(NAMES, DECLARED, strict=True)))})",
        "CREATE VIEW v AS SELECT * FROM t",
        *(f"INSERT INTO t VALUES ({n}, {', '.join(row)})" for n, row in enumerate(zip(*columns, strict=True))),
    )
    return sqlite


@pytest.mark.parametrize(
    "what", [{"table": "t"}, {"table": "v", "key": "id"}, {"query": "SELECT * FROM t", "key": "id"}]
)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_every_declared_type_has_its_dtype_and_its_values(declared, path, what, size):
    batches, _ = fetch_all(SqlFetcher(declared.sources()[path], **what), size)
    assert all(batch.data.schema == WANTED.schema for batch in batches)
    assert_frame_equal(pl.concat([batch.data for batch in batches]), WANTED)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("INTEGER", "'abc'"),
        ("INTEGER", "1.5"),
        ("INTEGER", "x'00'"),
        ("REAL", "'abc'"),
        ("NUMERIC", "9007199254740993"),
        ("DECIMAL(10,2)", "1.234"),
        ("BOOLEAN", "2"),
        ("BOOLEAN", "'maybe'"),
        ("TEXT", "x'ff'"),
        ("DATE", "'01.02.2024'"),
        ("DATE", "20240101"),
        ("DATE", "''"),
        ("DATETIME", "1704067200"),
        ("DATETIME", "'2024-01-01 25:00:00'"),
        ("TIME", "'24:00:00'"),
    ],
)
@pytest.mark.parametrize("others", [[], [0], [3000]])
def test_a_value_that_does_not_fit_is_told_by_column(sqlite, path, declared, value, others):
    fitting = {"INTEGER": "1", "REAL": "1", "NUMERIC": "1", "DECIMAL(10,2)": "1", "BOOLEAN": "1", "TEXT": "'a'"} | {
        "DATE": "'2024-01-01'",
        "DATETIME": "'2024-01-01 00:00:00'",
        "TIME": "'10:00:00'",
    }
    sqlite.execute(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared})",
        f"INSERT INTO t VALUES (1000, {value})",
        *(f"INSERT INTO t VALUES ({n}, {fitting[declared]})" for n in others),
    )
    with pytest.raises(QueryFailed, match="column 'v'"):
        fetch_all(SqlFetcher(sqlite.sources()[path], "t"))


def test_a_query_must_tell_the_types_of_its_expressions(sqlite, path):
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, '2')")
    query = "SELECT id, v + 1 AS more FROM t"
    with pytest.raises(UsageError, match="doesn't say which type these columns have: more") as caught:
        fetch_all(SqlFetcher(sqlite.sources()[path], query=query, key="id"))
    assert caught.value.hint.startswith("Give their dtypes with dtypes={'more': pl.Int64}")
    told = SqlFetcher(sqlite.sources()[path], query=query, key="id", dtypes={"more": pl.Int64})
    assert read(told).rows() == [(1, 3)]


def test_a_time_with_a_zone_can_be_given(sqlite, path):
    sqlite.execute(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v DATETIME)", "INSERT INTO t VALUES (1, '2024-01-01 12:00:00')"
    )
    frame = read(SqlFetcher(sqlite.sources()[path], "t", dtypes={"v": pl.Datetime("us", "UTC")}))
    assert frame["v"].to_list() == [datetime(2024, 1, 1, 12, tzinfo=UTC)]


def test_more_rows_than_are_fetched_at_once_keep_their_dtypes(sqlite, path):
    sqlite.execute(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL, w TEXT)",
        "WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 24999) "
        "INSERT INTO t SELECT i, CASE WHEN i > 20000 THEN i / 2.0 END, CASE WHEN i > 15000 THEN 'x' END FROM n",
    )
    (batch,), _ = fetch_all(SqlFetcher(sqlite.sources()[path], "t"), 50_000)
    assert batch.data.schema == {"id": pl.Int64, "v": pl.Float64, "w": pl.String}
    assert batch.data["v"].sum() == sum(i / 2 for i in range(20001, 25000))
    assert batch.data["w"].count() == 9999
