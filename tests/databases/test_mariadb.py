"""MariaDB: all column types as columns and as keys, and what a sink writes, whatever the settings of the server are."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import inf

import polars as pl
import pytest
from sql_sources import values

from engine import BatchPipeline, FrameFetcher, SqlFetcher, SqlSink
from engine.errors import SinkFailed, SinkNotUsable, UsageError

MOMENT = datetime(2024, 2, 29, 23, 59, 59, 999_999)

# Type, values in ascending order as SQL, as they are read; whether the type can be a key.
TYPES = [
    ("TINYINT", "-128, 127", [-128, 127], True),
    ("SMALLINT UNSIGNED", "0, 65535", [0, 65535], True),
    ("MEDIUMINT", "-8388608, 8388607", [-8388608, 8388607], True),
    ("INT UNSIGNED", "0, 4294967295", [0, 4294967295], True),
    ("BIGINT", "-9223372036854775808, 9223372036854775807", [-(2**63), 2**63 - 1], True),
    ("BIGINT UNSIGNED", "0, 18446744073709551615", [0, 2**64 - 1], True),
    ("DECIMAL(38,10)", "-0.0000000001, 1234567890123456789012345678.0123456789",
     [Decimal("-0.0000000001"), Decimal("1234567890123456789012345678.0123456789")], True),
    ("BOOLEAN", "0, 1", [0, 1], True),
    ("DATE", "'1000-01-01', '9999-12-31'", [date(1000, 1, 1), date(9999, 12, 31)], True),
    ("DATETIME(6)", "'1000-01-01', '2024-02-29 23:59:59.999999'", [datetime(1000, 1, 1), MOMENT], True),
    ("TIMESTAMP(6)", "'1970-01-01 00:00:01', '2024-02-29 23:59:59.999999'",
     [datetime(1970, 1, 1, 0, 0, 1), MOMENT], True),
    ("CHAR(5) CHARACTER SET latin1", "'café', 'z'", ["café", "z"], True),
    ("VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_german2_ci", "'a', 'Ö', 'P'", ["a", "Ö", "P"], True),
    ("VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "'A', 'a', 'é'", ["A", "a", "é"], True),
    ("VARBINARY(9)", "x'', x'00ff', x'27'", [b"", b"\x00\xff", b"'"], True),
    ("BINARY(2)", "x'00ff', x'2700'", [b"\x00\xff", b"'\x00"], True),
    ("FLOAT", "-1e-30, 0.1, 16777216", [-1.0000000031710769e-30, 0.10000000149011612, 16777216.0], False),
    ("DOUBLE", "1e-12, 1.23456789012345e-8, 1e308", [1e-12, 1.23456789012345e-8, 1e308], False),
    ("BIT(8)", "1, 200", [1, 200], False),
    ("BIT(64)", "1, 18446744073709551615", [1, 2**64 - 1], False),
    ("TIME(6)", "'-838:59:59', '00:00:00.5', '25:30:00'",
     ["-838:59:59.000000", "00:00:00.500000", "25:30:00.000000"], False),
    ("YEAR", "1901, 2155", ["1901", "2155"], False),
    ("ENUM('b','a')", "'b', 'a'", ["b", "a"], False),
    ("SET('b','a')", "'b', 'a'", ["b", "a"], False),
    ("UUID", "'0b8b8e57-1b0f-4c39-9e5a-0d6b0a4f6f1e'", ["0b8b8e57-1b0f-4c39-9e5a-0d6b0a4f6f1e"], False),
    ("INET6", "'::1', 'fe80::1'", ["::1", "fe80::1"], False),
]  # fmt: skip
TEXTS = ["TEXT", "LONGTEXT", "JSON", "BLOB"]


@pytest.fixture(scope="module")
def url(mariadb):
    return mariadb.new_database()


@pytest.fixture
def execute(mariadb, url):
    def execute(*statements):
        with mariadb.connect(url.rpartition("/")[2]) as connection, connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'")
            cursor.execute("DROP TABLE IF EXISTS t")
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    return execute


@pytest.mark.parametrize(("declared", "sql", "wanted", "is_key"), TYPES, ids=[one[0] for one in TYPES])
def test_every_type_is_right_or_refused(url, execute, declared, sql, wanted, is_key):  # noqa: PLR0917
    execute(
        f"CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, x {declared} NULL)",
        *(f"INSERT INTO t (x) VALUES ({one.strip()})" for one in [*sql.split(", "), "NULL"]),
    )
    dtypes = {"x": pl.String} if declared in {"UUID", "INET6"} else {}
    found = values(SqlFetcher(url, "t", dtypes=dtypes), "x", 2)
    assert found == [*wanted, None]
    assert [type(one) for one in found] == [type(one) for one in [*wanted, None]]
    execute(
        f"CREATE TABLE t (x {declared} NOT NULL PRIMARY KEY)",
        *(f"INSERT INTO t (x) VALUES ({one.strip()})" for one in sql.split(", ")),
    )
    fetcher = SqlFetcher(url, "t", dtypes=dtypes)
    if is_key:
        assert values(fetcher, "x", 1) == wanted
        return
    with pytest.raises(UsageError, match="the key column 'x' of t has the type") as caught:
        values(fetcher, "x", 1)
    assert "Choose a key of" in caught.value.hint


@pytest.mark.parametrize("declared", TEXTS)
def test_long_values_are_read(url, execute, declared):
    execute(f"CREATE TABLE t (id INT PRIMARY KEY, x {declared})", "INSERT INTO t VALUES (1, '\"é\"'), (2, NULL)")
    found = values(SqlFetcher(url, "t"), "x", 1)
    assert found in ([b'"\xc3\xa9"', None], ['"é"', None])


FRAME = pl.DataFrame(
    {
        "id": [1, 2, 3],
        "at": [MOMENT, datetime(1000, 1, 1), None],
        "clock": [time(0), time(23, 59, 59, 999_999), None],
        "text": ["é☃𝄞" * 30_000, "a\\'%s", None],
        "bytes": [b"\x00\xff" * 50_000, b"", None],
        "f64": [1e-300, 0.1, None],
        "f32": pl.Series([0.1, 16777216.0, None], dtype=pl.Float32),
        "u64": pl.Series([0, 2**64 - 1, None], dtype=pl.UInt64),
        "money": pl.Series([Decimal("-0.01"), Decimal("12345678.90"), None], dtype=pl.Decimal(12, 2)),
        "zoned": pl.Series([datetime(2050, 1, 1, tzinfo=UTC), None, None]).dt.convert_time_zone("Asia/Tokyo"),
    }
)


def run(folder, frame, sink):
    BatchPipeline([], FrameFetcher(frame), 1, folder / "checkpoint", sinks=[sink]).run()


def test_what_a_sink_writes_is_read_back_equal(tmp_path, url, execute):
    execute("DROP TABLE IF EXISTS batchpipe_deliveries")
    run(tmp_path, FRAME, SqlSink(url, "t"))
    rows = execute_only(url, "SELECT id, at, clock, text, bytes, f64, f32, u64, money, zoned FROM t ORDER BY id")
    naive = FRAME.with_columns(pl.col("zoned").dt.convert_time_zone("UTC").dt.replace_time_zone(None))
    wanted = [
        tuple(
            timedelta(hours=v.hour, minutes=v.minute, seconds=v.second, microseconds=v.microsecond)
            if isinstance(v, time)
            else v
            for v in row
        )
        for row in naive.rows()
    ]
    assert [tuple(row) for row in rows] == wanted


def execute_only(url, statement):
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(statement).fetchall()
    engine.dispose()
    return rows


@pytest.mark.parametrize(
    ("declared", "value"), [("SMALLINT", 40_000), ("VARCHAR(3)", "four"), ("TEXT", "x" * 70_000), ("DOUBLE", inf)]
)
def test_a_value_that_does_not_fit_fails_the_batch_loudly(tmp_path, url, execute, declared, value):
    execute(f"CREATE TABLE t (x {declared}, batch_id BIGINT)", "DROP TABLE IF EXISTS batchpipe_deliveries")
    with pytest.raises(SinkFailed):
        run(tmp_path, pl.DataFrame({"x": [value]}), SqlSink(url, "t"))
    assert execute_only(url, "SELECT * FROM t") == []


@pytest.mark.parametrize("declared", ["x DATETIME", "x TIMESTAMP(3) NULL"])
def test_a_column_that_would_round_times_is_refused(tmp_path, url, execute, declared):
    execute(f"CREATE TABLE t ({declared}, batch_id BIGINT)", "DROP TABLE IF EXISTS batchpipe_deliveries")
    with pytest.raises(SinkNotUsable, match="which rounds times"):
        run(tmp_path, pl.DataFrame({"x": [MOMENT]}), SqlSink(url, "t"))


def test_a_table_without_transactions_is_refused(tmp_path, url, execute):
    execute("CREATE TABLE t (x INT, batch_id BIGINT) ENGINE=MyISAM", "DROP TABLE IF EXISTS batchpipe_deliveries")
    with pytest.raises(SinkNotUsable, match="has no transactions") as caught:
        run(tmp_path, pl.DataFrame({"x": [1]}), SqlSink(url, "t"))
    assert "ENGINE=InnoDB" in caught.value.hint


@pytest.mark.parametrize("damage", ["DROP TABLE t", "DELETE FROM t", "DELETE FROM t WHERE id = 2"])
def test_the_target_is_looked_at_and_has_one_owner(tmp_path, mariadb, url, execute, damage):
    execute("DROP TABLE IF EXISTS batchpipe_deliveries")
    run(tmp_path, FRAME, SqlSink(url, "t"))
    with mariadb.connect(url.rpartition("/")[2]) as connection, connection.cursor() as cursor:
        cursor.execute(damage)
    run(tmp_path, FRAME, SqlSink(url, "t"))
    assert execute_only(url, "SELECT id, batch_id FROM t ORDER BY id") == [(1, 0), (2, 1), (3, 2)]
    with pytest.raises(SinkNotUsable, match="filled by another checkpoint"):
        run(tmp_path / "other", FRAME, SqlSink(url, "t"))
