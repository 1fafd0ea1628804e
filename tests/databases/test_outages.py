"""The server goes away in the middle of a run and comes back: the run goes on, and every row is there once."""

from __future__ import annotations

import threading

import polars as pl
import pytest
from postgres_server import wait_until
from sql_sources import PostgresTables, values

from engine import BatchPipeline, SqlFetcher
from engine.errors import FetchFailed
from engine.events import AttemptFailed
from engine.policy import RetryPolicy
from engine.sources.base import Position
from engine.sql.database import ConnectionLost
from engine.steps.base import BatchStep
from engine.testing import EventLog

SOON = RetryPolicy(
    transient=(ConnectionError,), base_seconds=0.05, max_wait_seconds=0.2, max_seconds=60, max_attempts=99
)
NUMBERS = ("CREATE TABLE numbers AS SELECT generate_series(1, 100) AS id", "ALTER TABLE numbers ADD PRIMARY KEY (id)")


class Mishap(BatchStep):
    """Does something to the server when it comes to the third batch."""

    def __init__(self, happen):
        super().__init__("mishap")
        self.happen = happen

    def process(self, batch):
        if batch.batch_id == 2:
            self.happen()
        return batch


def pipeline(folder, fetcher, happen, log):
    fetcher.retry = SOON
    return BatchPipeline([Mishap(happen)], fetcher, 10, folder, workers=1, listeners=[log])


def terminate(tables):
    """End every other session; the one that does it stays."""
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    tables.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_stopped_and_started_server_costs_attempts_and_no_row(postgres, tables, tmp_path, path, mode):
    tables.execute(*NUMBERS)
    log = EventLog()

    def restart():
        postgres.stop(mode)

    def start_when_missed(event):
        if isinstance(event, AttemptFailed) and event.attempt == 2:
            postgres.start()

    run = pipeline(tmp_path, SqlFetcher(tables.sources()[path], "numbers"), restart, log)
    run.add_listener(start_when_missed)
    try:
        frontier = run.run()
    finally:
        postgres.stop()
        postgres.start()
    failed = log.of(AttemptFailed)
    assert len(failed) >= 2
    assert all(
        event.step is None and event.error.startswith("ConnectionLost: postgresql://127.0.0.1:") for event in failed
    )
    assert frontier.total_rows_processed == 100
    assert run.collect_results()["id"].to_list() == list(range(1, 101))


def test_a_session_that_is_ended_between_fetches_is_replaced(tables, tmp_path, path):
    tables.execute(*NUMBERS)
    log = EventLog()
    busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"

    def end_idle_sessions():  # one that is just being reset would leave the pool without a failed attempt
        wait_until(lambda: tables.column(f"{busy} AND pid <> pg_backend_pid()") == [0])
        terminate(tables)

    run = pipeline(tmp_path, SqlFetcher(tables.sources()[path], "numbers"), end_idle_sessions, log)
    run.run()
    assert run.collect_results()["id"].to_list() == list(range(1, 101))
    assert [event.attempt for event in log.of(AttemptFailed)] == [1]


def test_a_session_that_is_ended_inside_a_fetch_is_replaced(postgres, tables, path):
    tables.execute(
        *NUMBERS,
        "CREATE FUNCTION slow(n integer) RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT pg_sleep(0.02); SELECT n'",
    )
    fetcher = SqlFetcher(tables.sources()[path], query="SELECT id, slow(id) AS v FROM numbers", key="id", until=None)
    other = PostgresTables(postgres, tables.url)
    fetcher.open(Position())
    outcome = []

    def fetch():
        try:
            fetcher(0, 90)
        except ConnectionLost as error:
            outcome.append(error)

    thread = threading.Thread(target=fetch)
    thread.start()
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%batchpipe_query%'"
    wait_until(lambda: other.column(f"{running} AND pid <> pg_backend_pid()") == [1])
    terminate(other)
    thread.join(60)
    other.close()
    assert len(outcome) == 1
    assert fetcher(0, 90).data["v"].to_list() == list(range(1, 91))
    fetcher.close()


def test_attempts_run_out_and_the_next_run_goes_on(postgres, tables, tmp_path, path):
    tables.execute(*NUMBERS)
    fetcher = SqlFetcher(tables.sources()[path], "numbers")
    run = pipeline(tmp_path, fetcher, lambda: postgres.stop("immediate"), EventLog())
    fetcher.retry = RetryPolicy(transient=(ConnectionError,), base_seconds=0, max_attempts=3)
    try:
        with pytest.raises(FetchFailed, match=r"fetching batch [34] failed after 3 attempts: ConnectionLost"):
            run.run()
    finally:
        postgres.start()
    assert run.get_frontier().last_completed_batch_id in {2, 3}
    run.run()
    assert run.collect_results()["id"].to_list() == list(range(1, 101))


def test_a_statement_that_the_server_refuses_is_not_tried_again(tables, tmp_path, path):
    tables.execute(*NUMBERS)
    log = EventLog()
    fetcher = SqlFetcher(tables.sources()[path], "numbers", where="1 / (id - 35) <> 7")
    run = pipeline(tmp_path, fetcher, lambda: None, log)
    with pytest.raises(FetchFailed, match=r"fetching batch \d failed: QueryFailed: .*division by zero"):
        run.run()
    assert log.of(AttemptFailed) == []


def test_a_table_that_is_dropped_meanwhile_is_a_failed_fetch(tables, tmp_path, path):
    tables.execute(*NUMBERS)
    run = pipeline(
        tmp_path,
        SqlFetcher(tables.sources()[path], "numbers"),
        lambda: tables.execute("DROP TABLE numbers"),
        EventLog(),
    )
    with pytest.raises(FetchFailed, match='relation "numbers" does not exist'):
        run.run()


def test_a_column_that_changes_its_type_meanwhile_does_not_change_the_rows(tables, path):
    tables.execute(*NUMBERS)
    fetcher = SqlFetcher(tables.sources()[path], "numbers")
    fetcher.open(Position())
    fetcher(0, 50)
    tables.execute("ALTER TABLE numbers ALTER id TYPE bigint", "ALTER TABLE numbers ADD more text")
    batch = fetcher(1, 50)
    fetcher.close()
    assert batch.data.schema == {"id": pl.Int32}
    assert batch.data["id"].to_list() == list(range(51, 101))


def test_two_fetchers_of_one_engine_do_not_disturb_each_other(tables):
    tables.execute(*NUMBERS)
    one, two = SqlFetcher(tables.engine, "numbers"), SqlFetcher(tables.engine, "numbers")
    one.open(Position())
    one(0, 60)
    assert values(two, "id", 7) == list(range(1, 101))
    assert one(1, 60).data["id"].to_list() == list(range(61, 101))
    one.close()
