"""Each type of PostgreSQL: which dtype it has, and that its values arrive, the same on both paths."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sql_sources import fetch_all, read

from engine import SqlFetcher
from engine.sql.database import QueryFailed

EVERY_TYPE = {
    "smallint": (pl.Int16(), ["-32768", "32767"], [-32768, 32767]),
    "integer": (pl.Int32(), ["-2147483648", "2147483647"], [-(2**31), 2**31 - 1]),
    "bigint": (pl.Int64(), ["-9223372036854775808", "9223372036854775807"], [-(2**63), 2**63 - 1]),
    "real": (pl.Float32(), ["1.5", "'-Infinity'"], [1.5, float("-inf")]),
    "double precision": (pl.Float64(), ["0.1", "'Infinity'"], [0.1, float("inf")]),
    "boolean": (pl.Boolean(), ["true", "false"], [True, False]),
    "text": (pl.String(), ["''", "E'a\\nb\\\\x00'", "'😀 é'", "'NULL'"], ["", "a\nb\\x00", "😀 é", "NULL"]),
    "varchar(9)": (pl.String(), ["'%s :x'"], ["%s :x"]),
    "char(4)": (pl.String(), ["'ab'", "''"], ["ab  ", "    "]),
    "bpchar": (pl.String(), ["'ab '"], ["ab "]),
    "name": (pl.String(), ["'ab'"], ["ab"]),
    "date": (pl.Date(), ["'0001-01-01'", "'9999-12-31'"], [date.min, date.max]),
    "time": (pl.Time(), ["'00:00'", "'23:59:59.999999'"], [time.min, time.max]),
    "timetz": (pl.String(), ["'12:00+05'"], ["12:00:00+05"]),
    "timestamp": (
        pl.Datetime("us"),
        ["'0001-01-01'", "'9999-12-31 23:59:59.999999'", "'2024-02-29 12:00:00.000001'"],
        [datetime(1, 1, 1), datetime.max, datetime(2024, 2, 29, 12, 0, 0, 1)],
    ),
    "timestamptz": (
        pl.Datetime("us", "UTC"),
        ["'2024-01-01 12:00+05'", "'0001-01-02 00:00+00'"],
        [datetime(2024, 1, 1, 7, tzinfo=UTC), datetime(1, 1, 2, tzinfo=UTC)],
    ),
    "numeric": (pl.String(), ["1.50", f"{'1' * 50}.5", "'NaN'"], ["1.50", f"{'1' * 50}.5", "NaN"]),
    "numeric(10,2)": (pl.Decimal(10, 2), ["1.5", "-99999999.99"], [Decimal("1.50"), Decimal("-99999999.99")]),
    "numeric(38,10)": (pl.Decimal(38, 10), [f"-{'9' * 28}.{'9' * 10}"], [Decimal(f"-{'9' * 28}.{'9' * 10}")]),
    "numeric(39,1)": (pl.String(), ["1.5"], ["1.5"]),
    "numeric(5,-2)": (pl.String(), ["12345"], ["12300"]),
    "numeric(3,5)": (pl.String(), ["0.00123"], ["0.00123"]),
    "uuid": (
        pl.String(),
        ["'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
        ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    ),
    "bytea": (pl.Binary(), ["'\\x00ff27'", "''"], [b"\x00\xff'", b""]),
    "json": (pl.String(), ["'{\"a\":  1}'", "'null'"], ['{"a":  1}', "null"]),
    "jsonb": (pl.String(), ['\'{"b":1, "a":null}\'', "'[]'"], ['{"a": null, "b": 1}', "[]"]),
    "interval": (pl.String(), ["'1 year 2 days 03:04:05.6'"], ["1 year 2 days 03:04:05.6"]),
    "integer[]": (pl.List(pl.Int32()), ["'{1,NULL,3}'", "'{}'"], [[1, None, 3], []]),
    "text[]": (pl.List(pl.String()), ["'{a,NULL,\"b,c\"}'"], [["a", None, "b,c"]]),
    "char(3)[]": (pl.List(pl.String()), ["'{a}'"], [["a  "]]),
    "numeric(4,1)[]": (pl.String(), ["'{1.5,NULL}'"], ["{1.5,NULL}"]),
    "mood": (pl.String(), ["'sad'", "'it''s %'"], ["sad", "it's %"]),
    "mood[]": (pl.String(), ["'{sad}'"], ["{sad}"]),
    "positive": (pl.Int32(), ["1"], [1]),
    "price": (pl.Decimal(6, 2), ["1.25"], [Decimal("1.25")]),
    "pair": (pl.String(), ["(1, 'x')"], ["(1,x)"]),
    "inet": (pl.String(), ["'10.0.0.1'"], ["10.0.0.1/32"]),
    "macaddr": (pl.String(), ["'08:00:2b:01:02:03'"], ["08:00:2b:01:02:03"]),
    "money": (pl.String(), ["-1234.5"], ["-$1,234.50"]),
    "bit(3)": (pl.String(), ["B'101'"], ["101"]),
    "int4range": (pl.String(), ["'[1,5)'"], ["[1,5)"]),
    "tsvector": (pl.String(), ["'a b'"], ["'a' 'b'"]),
    "point": (pl.String(), ["'(1,2)'"], ["(1,2)"]),
}
WITH_NULL = {name: (dtype, [*written, "NULL"], [*want, None]) for name, (dtype, written, want) in EVERY_TYPE.items()}
NAMES = [f"c{number}" for number in range(len(WITH_NULL))]
HEIGHT = max(len(written) for _, written, _ in WITH_NULL.values())


def padded(items, filler):
    return [*items, *[filler] * (HEIGHT - len(items))]


@pytest.fixture(scope="module")
def every_type(shared):
    shared.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'it''s %')",
        "CREATE DOMAIN positive AS integer CHECK (value > 0)",
        "CREATE DOMAIN price AS numeric(6,2)",
        "CREATE TYPE pair AS (a integer, b text)",
        f"CREATE TABLE every (id integer PRIMARY KEY, {', '.join(map(' '.join, zip(NAMES, WITH_NULL, strict=True)))})",
        "CREATE VIEW every_view AS SELECT * FROM every",
    )
    columns = [padded(written, "NULL") for _, written, _ in WITH_NULL.values()]
    for number, row in enumerate(zip(*columns, strict=True)):
        shared.execute(f"INSERT INTO every VALUES ({number}, {', '.join(row)})")
    shared.execute(
        "CREATE TABLE nothing (LIKE every INCLUDING ALL)",
        "INSERT INTO nothing (id) SELECT * FROM generate_series(1, 3)",
    )
    return shared


WHAT = {
    "table": {"table": "every"},
    "view": {"table": "every_view", "key": "id"},
    "query": {"query": "SELECT * FROM every;", "key": "id"},
}
WANTED = pl.DataFrame(
    {"id": pl.Series(range(HEIGHT), dtype=pl.Int32)}
    | {
        name: pl.Series(padded(want, None), dtype=dtype)
        for name, (dtype, _, want) in zip(NAMES, WITH_NULL.values(), strict=True)
    }
)


@pytest.mark.parametrize("what", WHAT)
def test_every_type_has_its_dtype_and_its_values(every_type, path, what):
    assert_frame_equal(read(SqlFetcher(every_type.sources()[path], **WHAT[what])), WANTED)


@pytest.mark.parametrize("what", WHAT)
def test_batches_of_one_row_have_the_dtypes_of_the_whole(every_type, path, what):
    batches, _ = fetch_all(SqlFetcher(every_type.sources()[path], **WHAT[what]), 1)
    assert all(batch.data.schema == WANTED.schema for batch in batches)
    assert_frame_equal(pl.concat([batch.data for batch in batches]), WANTED)


def test_rows_of_nothing_but_null_have_the_same_dtypes(every_type, path):
    frame = read(SqlFetcher(every_type.sources()[path], "nothing"), 2)
    assert frame.schema == WANTED.schema
    assert frame.null_count().row(0) == (0, *[3] * len(NAMES))


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("date", "'infinity'"),
        ("date", "'-infinity'"),
        ("date", "'10000-01-01'"),
        ("date", "'0044-03-15 BC'"),
        ("timestamp", "'infinity'"),
        ("timestamp", "'-infinity'"),
        ("timestamp", "'10000-01-01'"),
        ("timestamptz", "'infinity'"),
        ("time", "'24:00'"),
        ("numeric(10,2)", "'NaN'"),
        ("integer[]", "'{{1,2},{3,4}}'"),
        ("text[]", "'{{a},{b}}'"),
    ],
)
def test_a_value_that_no_dtype_holds_is_refused_and_can_be_read_as_text(shared, path, declared, written):
    shared.execute(
        "DROP TABLE IF EXISTS odd",
        f"CREATE TABLE odd AS SELECT 1 AS id, {written}::{declared} AS due",
        "ALTER TABLE odd ADD PRIMARY KEY (id)",
    )
    with pytest.raises(QueryFailed, match="due") as caught:
        read(SqlFetcher(shared.sources()[path], "odd"))
    assert "Read it as text (dtypes={'due': pl.String}), or leave it out (columns=…)" in str(caught.value)
    as_text = read(SqlFetcher(shared.sources()[path], "odd", dtypes={"due": pl.String}))
    assert as_text["due"].to_list() == shared.column("SELECT due::text FROM odd")
    assert read(SqlFetcher(shared.sources()[path], "odd", columns=["id"])).columns == ["id"]


@pytest.mark.parametrize(
    ("declared", "written", "dtype", "value"),
    [
        ("integer", "7", pl.Int64, 7),
        ("integer", "7", pl.String, "7"),
        ("numeric", "1.25", pl.Float64, 1.25),
        ("numeric", "1.25", pl.Decimal(10, 3), Decimal("1.250")),
        ("numeric(5,2)", "1.25", pl.Float64, 1.25),
        ("numeric(5,2)", "2", pl.Int64, 2),
        ("timestamptz", "'2024-01-01 12:00+00'", pl.Datetime("ms", "UTC"), datetime(2024, 1, 1, 12, tzinfo=UTC)),
        ("text", "'a'", pl.Categorical, "a"),
        ("text", "'12'", pl.Int8, 12),
    ],
)
def test_dtypes_may_be_given(shared, path, declared, written, dtype, value):  # noqa: PLR0917
    shared.execute(
        "DROP TABLE IF EXISTS given",
        f"CREATE TABLE given AS SELECT 1 AS id, {written}::{declared} AS v",
        "ALTER TABLE given ADD PRIMARY KEY (id)",
    )
    frame = read(SqlFetcher(shared.sources()[path], "given", dtypes={"v": dtype}))
    assert frame.schema["v"] == dtype
    assert frame["v"].to_list() == [value]


def test_a_value_beyond_a_given_dtype_is_refused_by_column(shared, path):
    shared.execute(
        "DROP TABLE IF EXISTS wide",
        "CREATE TABLE wide AS SELECT 1 AS id, 1000 AS v",
        "ALTER TABLE wide ADD PRIMARY KEY (id)",
    )
    with pytest.raises(QueryFailed, match="column 'v' is declared as Int8"):
        read(SqlFetcher(shared.sources()[path], "wide", dtypes={"v": pl.Int8}))


def test_what_way_it_reads_is_told(shared):
    shared.execute("CREATE TABLE told (id integer PRIMARY KEY)")
    routes = {}
    for name, source in shared.sources().items():
        fetcher = SqlFetcher(source, "told")
        fetch_all(fetcher)
        routes[name] = fetcher.route
    assert routes == {"url": "COPY", "engine": "rows (SQLAlchemy)"}
