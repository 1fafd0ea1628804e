"""What a run sees of rows that come and go while it reads."""

from __future__ import annotations

import pytest
from sql_sources import behind, fetch_all, values

from engine import SqlFetcher
from engine.sources.base import Position
from engine.sql.page import ReadAhead


@pytest.fixture(autouse=True)
def nothing_read_ahead(request, monkeypatch):
    """Here no page is read before it is asked for, so that a test can tell what was there."""
    if "ahead" not in request.node.name:
        monkeypatch.setattr(ReadAhead, "begin", lambda *_: None)


@pytest.fixture(params=[pytest.param("postgres", marks=pytest.mark.needs("postgres")), "sqlite"])
def ten(request):
    """A table t with the even ids 2 to 20."""
    tables = request.getfixturevalue("shared" if request.param == "postgres" else "sqlite")
    tables.execute("DROP TABLE IF EXISTS t", "CREATE TABLE t (id integer NOT NULL PRIMARY KEY, v integer)")
    tables.execute(*(f"INSERT INTO t VALUES ({i}, 0)" for i in range(2, 21, 2)))
    return tables


class Stepwise:
    """Fetches batches of three, and lets the table change in between."""

    def __init__(self, tables, path, **options):
        self.fetcher = SqlFetcher(tables.sources()[path], "t", **options)
        self.tables = tables
        self.fetcher.open(Position())
        self.batches = []

    def fetch(self):
        self.batches.append(self.fetcher(len(self.batches), 3))
        return None if self.batches[-1] is None else self.batches[-1].data["id"].to_list()

    def rest(self):
        found = []
        while (ids := self.fetch()) is not None:
            found += ids
        self.fetcher.close()
        return found


def test_rows_before_the_last_key_are_not_seen_and_those_behind_it_are(ten, path):
    run = Stepwise(ten, path)
    assert run.fetch() == [2, 4, 6]
    ten.execute("INSERT INTO t VALUES (3, 0), (7, 0)")
    assert run.rest() == [7, 8, 10, 12, 14, 16, 18, 20]


def test_deleted_rows_are_missing_and_no_other(ten, path):
    run = Stepwise(ten, path)
    assert run.fetch() == [2, 4, 6]
    ten.execute("DELETE FROM t WHERE id IN (4, 6, 10)")
    assert run.rest() == [8, 12, 14, 16, 18, 20]


def test_rows_above_the_bound_wait_for_the_next_run(ten, path):
    run = Stepwise(ten, path)
    assert run.fetch() == [2, 4, 6]
    ten.execute("INSERT INTO t VALUES (19, 0), (21, 0), (22, 0)")
    assert run.rest() == [8, 10, 12, 14, 16, 18, 19, 20]


def test_without_a_bound_new_rows_are_read_as_well(ten, path):
    run = Stepwise(ten, path, until=None)
    assert run.fetch() == [2, 4, 6]
    ten.execute("INSERT INTO t VALUES (21, 0), (22, 0)")
    assert run.rest() == [8, 10, 12, 14, 16, 18, 20, 21, 22]


def test_the_row_of_the_bound_may_be_deleted(ten, path):
    run = Stepwise(ten, path)
    assert run.fetch() == [2, 4, 6]
    ten.execute("DELETE FROM t WHERE id = 20", "INSERT INTO t VALUES (30, 0)")
    assert run.rest() == [8, 10, 12, 14, 16, 18]


def test_all_rows_may_be_deleted(ten, path):
    run = Stepwise(ten, path)
    assert run.fetch() == [2, 4, 6]
    ten.execute("DELETE FROM t")
    assert run.rest() == []


def test_after_the_end_it_stays_ended(ten, path):
    run = Stepwise(ten, path, until=None)
    while run.fetch() is not None:
        pass
    ten.execute("INSERT INTO t VALUES (100, 0)")
    assert run.fetcher(5, 3) is None
    run.fetcher.close()


def test_a_resume_keeps_the_bound_as_long_as_there_are_rows_below_it(ten, path):
    batches, cursors = fetch_all(SqlFetcher(ten.sources()[path], "t"), 3)
    ten.execute("INSERT INTO t VALUES (30, 0)")
    resumed = values(SqlFetcher(ten.sources()[path], "t"), "id", 3, behind(batches[0], cursors[0]))
    assert resumed == [8, 10, 12, 14, 16, 18, 20]


def test_a_table_that_grew_after_the_end_is_gone_on_with(ten, path):
    fetcher = SqlFetcher(ten.sources()[path], "t")
    batches, cursors = fetch_all(fetcher, 3)
    end = behind(batches[-1], cursors[-1])
    assert values(fetcher, "id", 3, end) == []
    ten.execute("INSERT INTO t VALUES (30, 0), (31, 0)")
    more, more_cursors = fetch_all(fetcher, 1, end)
    assert [(batch.batch_id, batch.start_row, batch.data["id"].to_list()) for batch in more] == [
        (4, 10, [30]),
        (5, 11, [31]),
    ]
    ten.execute("INSERT INTO t VALUES (40, 0)")
    assert values(fetcher, "id", 3, behind(more[-1], more_cursors[-1])) == [40]


def test_a_bound_row_deleted_between_runs_leads_to_a_new_bound(ten, path):
    batches, cursors = fetch_all(SqlFetcher(ten.sources()[path], "t"), 3)
    ten.execute("DELETE FROM t WHERE id > 6", "INSERT INTO t VALUES (30, 0)")
    assert values(SqlFetcher(ten.sources()[path], "t"), "id", 3, behind(batches[0], cursors[0])) == [30]


def test_an_empty_table_has_no_batch_and_goes_on_once_it_has_rows(ten, path):
    ten.execute("DELETE FROM t")
    for until in ("start", None):
        fetcher = SqlFetcher(ten.sources()[path], "t", until=until)
        assert fetch_all(fetcher) == ([], [])
        ten.execute("INSERT INTO t VALUES (1, 0)")
        assert values(fetcher, "id") == [1]
        ten.execute("DELETE FROM t")


def test_no_more_than_one_page_is_read_ahead(ten, path):
    steps = Stepwise(ten, path)
    assert steps.fetch() == [2, 4, 6]
    steps.fetcher._pages._next[2].join()
    ten.execute("INSERT INTO t VALUES (9, 0)", "INSERT INTO t VALUES (15, 0)")
    assert steps.rest() == [8, 10, 12, 14, 15, 16, 18, 20]
