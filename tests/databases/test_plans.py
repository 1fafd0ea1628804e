"""Batches that are planned in one place and read in another: the same ones as those that are read in order."""

from __future__ import annotations

import json
import pickle

import pytest
from polars.testing import assert_frame_equal
from sql_sources import behind, fetch_all

from engine import SqlFetcher
from engine.sources.base import Position
from engine.sql.database import QueryFailed


@pytest.fixture(params=[pytest.param("postgres", marks=pytest.mark.needs("postgres")), "sqlite"])
def hundred(request):
    tables = request.getfixturevalue("tables" if request.param == "postgres" else "sqlite")
    tables.execute("CREATE TABLE t (a integer NOT NULL, b text NOT NULL, v integer, PRIMARY KEY (a, b))")
    tables.execute(*(f"INSERT INTO t VALUES ({i % 7}, 'it''s {i} %', {i})" for i in range(100)))
    return tables


def plans_of(fetcher, size, position=None):
    position = position or Position()
    fetcher.open(position)
    plans = []
    while (plan := fetcher.plan(position.next_batch_id + len(plans), size)) is not None:
        plans.append(json.loads(json.dumps(plan)))
    fetcher.close()
    return plans


@pytest.mark.parametrize("size", [1, 7, 10, 99, 100, 101])
def test_what_is_planned_is_what_would_be_read(hundred, size):
    in_order, cursors = fetch_all(SqlFetcher(hundred.url, "t"), size)
    plans = plans_of(SqlFetcher(hundred.url, "t"), size)
    worker = pickle.loads(pickle.dumps(SqlFetcher(hundred.url, "t")))
    worker.open(Position())
    for batch, cursor, plan in reversed(list(zip(in_order, cursors, plans, strict=True))):
        planned = worker.fetch_planned(batch.batch_id, plan)
        assert (planned.batch_id, planned.start_row, planned.end_row) == (
            batch.batch_id,
            batch.start_row,
            batch.end_row,
        )
        assert_frame_equal(planned.data, batch.data)
        assert worker.cursor_after(planned) == cursor
    worker.close()


def test_a_run_goes_on_with_other_plans_where_one_was_committed(hundred):
    plans = plans_of(SqlFetcher(hundred.url, "t"), 30)
    first = SqlFetcher(hundred.url, "t")
    first.open(Position())
    batch = first.fetch_planned(0, plans[0])
    position = behind(batch, first.cursor_after(batch))
    first.close()
    rest = plans_of(SqlFetcher(hundred.url, "t"), 50, position)
    assert [plan["start_row"] for plan in rest] == [30, 80]
    assert rest[0]["after"] == plans[0]["last"]


@pytest.mark.parametrize(
    "change", ["DELETE FROM t WHERE a = 0 AND v < 40", "INSERT INTO t VALUES (0, 'it''s', -1)"], ids=["fewer", "more"]
)
def test_a_range_with_other_rows_than_planned_is_refused(hundred, change):
    plans = plans_of(SqlFetcher(hundred.url, "t"), 10)
    hundred.execute(change)
    worker = SqlFetcher(hundred.url, "t")
    worker.open(Position())
    with pytest.raises(QueryFailed, match="batch 0 was planned with 10 rows"):
        worker.fetch_planned(0, plans[0])
    worker.close()


def test_a_query_without_a_declared_key_is_planned_too(hundred):
    fetcher = SqlFetcher(hundred.url, query="SELECT v, a FROM t WHERE v <> 50", key="v")
    plans = plans_of(fetcher, 33)
    fetcher.open(Position())
    found = [value for number, plan in enumerate(plans) for value in fetcher.fetch_planned(number, plan).data["v"]]
    fetcher.close()
    assert found == [number for number in range(100) if number != 50]


def test_an_engine_cannot_be_sent_and_says_so(hundred):
    with pytest.raises(TypeError, match="give the URL of the database instead"):
        pickle.dumps(SqlFetcher(hundred.engine, "t"))


def test_what_was_open_is_sent_as_it_was_made(hundred):
    fetcher = SqlFetcher(hundred.url, "t")
    fetcher.open(Position())
    fetcher(0, 10)
    copy = pickle.loads(pickle.dumps(fetcher))
    fetcher.close()
    assert len(fetch_all(copy, 50)[0]) == 2
