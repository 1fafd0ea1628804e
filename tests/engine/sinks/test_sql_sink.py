"""What only a database server can do to a sink, and a table without a batch column."""

from __future__ import annotations

import threading

import polars as pl
import pytest
from postgres_server import PASSWORD

from engine import BatchPipeline, BatchStep, FrameFetcher, SqlSink
from engine.errors import SinkFailed, SinkNotUsable, UsageError
from engine.events import AttemptFailed, BatchCommitted
from engine.policy import RetryPolicy


def pipeline(folder, frame, sink, steps=()):
    return BatchPipeline(steps, FrameFetcher(frame), 10, folder / "checkpoint", sinks=[sink], workers=1)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_is_stopped_and_started_again_costs_retries_and_no_row(tmp_path, postgres, numbers, mode):
    url = postgres.new_database()
    seen, restarted = [], threading.Event()

    class Waits(BatchStep):
        def process(self, batch):
            if batch.batch_id == 3:
                threading.Thread(target=restart).start()
                restarted.wait(300)
            return batch

    def restart():
        postgres.stop(mode)
        restarted.set()
        retried.wait(300)
        postgres.start()

    retried = threading.Event()

    def listen(event):
        if isinstance(event, AttemptFailed):
            seen.append(event)
            retried.set()

    run = pipeline(tmp_path, numbers, SqlSink(url, "target"), [Waits("waits")])
    run.add_listener(listen)
    try:
        run.run()
    finally:
        retried.set()
    assert seen
    assert seen[0].step == "target in " + run.sinks[0].name.removeprefix("target in ")
    rows = rows_of(postgres, url)
    assert rows == [(n,) for n in range(95)]


def rows_of(postgres, url):
    with postgres.connect(url.rpartition("/")[2]) as connection:
        return connection.execute("SELECT id FROM target ORDER BY id").fetchall()


def test_a_connection_that_is_cut_between_two_deliveries_is_made_anew(tmp_path, postgres, numbers):
    url = postgres.new_database()
    cut = []

    def listen(event):
        if isinstance(event, BatchCommitted) and event.batch_id == 5:
            with postgres.connect() as connection:
                statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                cut.extend(connection.execute(statement, [url.rpartition("/")[2]]).fetchall())

    run = pipeline(tmp_path, numbers, SqlSink(url, "target"))
    run.add_listener(listen)
    run.run()
    assert cut
    assert rows_of(postgres, url) == [(n,) for n in range(95)]


def test_a_server_that_stays_away_fails_the_run_and_says_where(tmp_path, postgres, numbers):
    sink = SqlSink(postgres.url("no such database"), "target")
    sink.retry = RetryPolicy(transient=(ConnectionError,), max_attempts=2, base_seconds=0)
    run = pipeline(tmp_path, numbers, sink)
    with pytest.raises(SinkFailed, match="no such database") as caught:
        run.run()
    (failure,) = run.failures()
    told = "".join([str(caught.value), caught.value.hint, failure.message, failure.traceback, repr(sink), sink.name])
    assert PASSWORD not in told
    assert "p%40ss" not in told


def test_without_a_batch_column_rows_are_only_ever_added(tmp_path, postgres, numbers):
    url = postgres.new_database()
    run = pipeline(tmp_path, numbers, SqlSink(url, "target", batch_column=None))
    run.run()
    run.run()
    assert rows_of(postgres, url) == [(n,) for n in range(95)]
    run.rewind(2)
    with pytest.raises(SinkNotUsable, match="no column that says which rows are theirs"):
        run.run()
    assert rows_of(postgres, url) == [(n,) for n in range(95)]
    with postgres.connect(url.rpartition("/")[2]) as connection:
        connection.execute("TRUNCATE target, batchpipe_deliveries")
    run.run()
    assert rows_of(postgres, url) == [(n,) for n in range(95)]


def test_a_schema_can_be_named(tmp_path, postgres, numbers):
    url = postgres.new_database()
    with postgres.connect(url.rpartition("/")[2]) as connection:
        connection.execute('CREATE SCHEMA "My Schema"')
        pipeline(tmp_path, numbers, SqlSink(url, "target", schema="My Schema")).run()
        assert connection.execute('SELECT count(*) FROM "My Schema".target').fetchall() == [(95,)]
        assert connection.execute(
            'SELECT count(*) FROM "My Schema".batchpipe_deliveries WHERE batch_id >= 0'
        ).fetchall() == [(10,)]


def test_arguments_that_cannot_be_right_are_refused():
    with pytest.raises(UsageError, match="table must be a name"):
        SqlSink("sqlite:///x.sqlite", "")
    with pytest.raises(UsageError, match="the database URL can't be read"):
        SqlSink("not a url", "target")
    with pytest.raises(UsageError, match="of the kind nosuchdb aren't supported"):
        SqlSink("nosuchdb://host/db", "target")


def test_a_text_that_postgresql_cannot_hold_fails_the_batch_with_its_reason(tmp_path, postgres):
    url = postgres.new_database()
    run = pipeline(tmp_path, pl.DataFrame({"id": [1], "text": ["nul \0 byte"]}), SqlSink(url, "target"))
    with pytest.raises(SinkFailed, match="0x00"):
        run.run()


def test_a_dot_means_the_same_as_in_a_source(tmp_path, postgres, numbers):
    url = postgres.new_database()
    with pytest.raises(SinkNotUsable, match="there is no schema 'st'") as caught:
        pipeline(tmp_path, numbers, SqlSink(url, "st.t")).run()
    assert caught.value.hint.startswith('Create it: CREATE SCHEMA "st"')
    with postgres.connect(url.rpartition("/")[2]) as connection:
        connection.execute("CREATE SCHEMA st")
        pipeline(tmp_path, numbers, SqlSink(url, "st.t")).run()
        pipeline(tmp_path, numbers, SqlSink(url, "t", schema="st")).run()
        assert connection.execute("SELECT count(*) FROM st.t").fetchall() == [(95,)]
        connection.execute('CREATE TABLE "a.b" (id bigint, value bigint, batch_id bigint)')
        pipeline(tmp_path / "other", numbers, SqlSink(url, "a.b")).run()
        assert connection.execute('SELECT count(*) FROM "a.b"').fetchall() == [(95,)]


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgres://host/db", "Write postgresql://"),
        ("duckdb:///file.duckdb", "write them to Parquet"),
        ("mysql://host/db", "and write mysql+pymysql://"),
        ("postgresql+psycopg2://host/db", "write postgresql:// or postgresql+psycopg://"),
    ],
)
def test_a_url_without_a_driver_says_what_to_write(url, hint):
    with pytest.raises(UsageError) as caught:
        SqlSink(url, "target")
    assert hint in caught.value.hint
