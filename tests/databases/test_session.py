"""The settings of the server, of the database and of the environment change no value; a pooler may be in between."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from sql_sources import PostgresTables, fetch_all, read, values

from engine import BatchPipeline, FrameFetcher, SqlFetcher, SqlSink

WORDS = ["café", "Grüße", "naïve"]
MOMENTS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1880, 5, 6, 7, 8, 9, 10, tzinfo=UTC),
    datetime(9999, 12, 31, tzinfo=UTC),
]


@pytest.fixture(params=["database", "variable", "role"])
def latin(request, postgres, monkeypatch):
    """A database whose sessions would have the encoding LATIN1."""
    name = "latin_" + request.param
    with postgres.connect() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        encoding = "ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'" if request.param == "database" else ""
        connection.execute(f"CREATE DATABASE {name} {encoding}")
        if request.param == "role":
            connection.execute(f"ALTER DATABASE {name} SET client_encoding = 'LATIN1'")
    tables = PostgresTables(postgres, postgres.url(name))
    tables.execute("SET client_encoding = 'UTF8'")
    if request.param == "variable":
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    yield tables
    tables.close()


def test_texts_go_through_a_session_of_another_encoding(tmp_path, latin, path):
    frame = pl.DataFrame({"id": [0, 1, 2], "word": WORDS})
    BatchPipeline([], FrameFetcher(frame), 2, tmp_path / "c", sinks=[SqlSink(latin.sources()[path], "t")]).run()
    assert latin.column("SELECT word FROM t ORDER BY id") == WORDS
    latin.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
    assert values(SqlFetcher(latin.sources()[path], "t"), "word", 1) == WORDS
    assert values(SqlFetcher(latin.sources()[path], "t", where="word = 'café'"), "word") == WORDS[:1]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Africa/Monrovia"])
def test_moments_before_the_zones_of_today_are_read(tables, path, zone):
    tables.execute(
        f"ALTER DATABASE {tables.name} SET timezone = '{zone}'",
        f"ALTER DATABASE {tables.name} SET datestyle = 'German'",
        "CREATE TABLE t (at timestamptz PRIMARY KEY)",
        "INSERT INTO t VALUES ('0001-01-01Z'), ('1880-05-06 07:08:09.00001Z'), ('9999-12-31Z')",
    )
    frame = read(SqlFetcher(tables.sources()[path], "t"), 1)
    assert frame["at"].to_list() == MOMENTS


def test_a_connection_goes_back_to_the_pool_of_the_user_unchanged(tables):
    tables.execute("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    with tables.engine.connect() as connection:
        connection.exec_driver_sql("SET timezone = 'Asia/Tokyo'")
        connection.commit()
        before = connection.connection.driver_connection.prepare_threshold
    fetch_all(SqlFetcher(tables.engine, "t"))
    with tables.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW timezone").scalar() == "Asia/Tokyo"
        assert connection.connection.driver_connection.prepare_threshold == before


def test_no_statement_gets_a_name_that_a_pooler_would_lose(tmp_path, tables, path):
    prepared = []

    class Watched(SqlSink):
        def put(self, deliveries):
            super().put(deliveries)
            with self._database.connect() as connection:
                names = connection.exec_driver_sql("SELECT name FROM pg_prepared_statements").scalars().all()
                prepared.append(names)

    frame = pl.DataFrame({"id": range(40)})
    BatchPipeline([], FrameFetcher(frame), 2, tmp_path / "c", sinks=[Watched(tables.sources()[path], "t")]).run()
    assert prepared
    assert not any(prepared)


def test_only_the_columns_that_are_read_must_be_readable(tables, path):
    tables.execute(
        "CREATE TABLE t (id int PRIMARY KEY, name text, secret text, place point)",
        "INSERT INTO t VALUES (1, 'a', 'b', '(1,2)'), (2, 'c', 'd', NULL)",
        f"CREATE ROLE reader_{tables.name}",
        f"GRANT SELECT (id, name) ON t TO reader_{tables.name}",
        f"ALTER DATABASE {tables.name} SET role = 'reader_{tables.name}'",
    )
    assert read(SqlFetcher(tables.sources()[path], "t", columns=["name"]), 1).rows() == [("a",), ("c",)]


def test_many_columns_take_a_time_in_proportion(tables, path, monkeypatch):
    names = [f"c{n}" for n in range(1500)]
    tables.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, {', '.join(f'{name} bool' for name in names)})",
        "INSERT INTO t (id) SELECT generate_series(1, 5)",
    )
    looked = []
    whole = pl.DataFrame.schema
    monkeypatch.setattr(pl.DataFrame, "schema", property(lambda frame: (looked.append(1), whole.fget(frame))[1]))
    assert read(SqlFetcher(tables.sources()[path], "t")).shape == (5, 1501)
    assert len(looked) < 50  # each look makes the schema of all columns
