"""A replay reaches the sinks too."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import duckdb
import pytest

from engine import BatchPipeline, DuckDBSink, Quarantine, SqlSink
from engine.events import SinkDelivered
from engine.testing import EventLog, NumberSource, PickyStep


@pytest.fixture(params=["sqlite", "duckdb"])
def sink_and_rows(request, tmp_path):
    path = tmp_path / f"target.{request.param}"
    sqlite = request.param == "sqlite"

    def rows():
        with closing((sqlite3 if sqlite else duckdb).connect(str(path))) as connection:
            return connection.execute("SELECT id, next FROM target ORDER BY id").fetchall()

    return SqlSink(f"sqlite:///{path}", "target") if sqlite else DuckDBSink(path, "target"), rows


def test_replayed_rows_are_in_the_sink_once(tmp_path, sink_and_rows):
    sink, rows = sink_and_rows
    step = PickyStep("a", {3, 15, 16})
    log = EventLog()
    run = BatchPipeline(
        [step],
        NumberSource(30),
        10,
        tmp_path / "ck",
        sinks=[sink],
        listeners=[log],
        on_error=Quarantine(max_rows=None, max_fraction=None),
    )
    run.run()
    assert [row[0] for row in rows()] == [n for n in range(30) if n not in {3, 15, 16}]
    step.bad = {16}
    run.quarantine.replay()
    assert [row[0] for row in rows()] == [n for n in range(30) if n != 16]
    assert log.of(SinkDelivered)[-1].last_batch_id == 2
    step.bad = set()
    run.quarantine.replay()
    assert rows() == [(n, n + 1) for n in range(30)]
    run.run()
    assert rows() == [(n, n + 1) for n in range(30)]
