"""What every sink does, on a real PostgreSQL, SQLite and DuckDB."""

from __future__ import annotations

import polars as pl
import pytest

from engine import Batch, BatchPipeline, BatchStep, FrameFetcher
from engine.errors import SinkFailed, SinkNotUsable, StepFailed, UsageError
from engine.events import SinkDelivered

pytestmark = pytest.mark.integration


def pipeline(folder, frame, *sinks, steps=(), batch_size=10):
    return BatchPipeline(steps, FrameFetcher(frame), batch_size, folder / "checkpoint", sinks=sinks)


def test_the_table_holds_the_results_with_the_batch_of_each_row(tmp_path, place, numbers):
    pipeline(tmp_path, numbers, place.sink()).run()
    rows = place.rows("SELECT id, value, batch_id FROM target ORDER BY id")
    assert rows == [(n, n % 7, n // 10) for n in range(95)]


def test_names_are_quoted_whatever_is_in_them(tmp_path, place):
    frame = pl.DataFrame({'a"b': [1, 2], "Sélect %": [3, 4], "x); DROP TABLE y; --": [5, 6], "c:d": [7, 8]})
    table = 'My "table" %s; DROP TABLE x'
    pipeline(tmp_path, frame, place.sink(table), batch_size=1).run()
    quoted = '"' + table.replace('"', '""') + '"'
    assert sorted(place.rows(f"SELECT * FROM {quoted}")) == [(1, 3, 5, 7, 0), (2, 4, 6, 8, 1)]


def test_a_sink_that_is_added_later_gets_what_was_there_before(tmp_path, place, numbers):
    pipeline(tmp_path, numbers).run()
    told = []
    late = pipeline(tmp_path, numbers, place.sink())
    late.add_listener(lambda event: told.append(event) if isinstance(event, SinkDelivered) else None)
    late.run()
    assert place.rows("SELECT count(*), count(DISTINCT id) FROM target") == [(95, 95)]
    assert told[-1].last_batch_id == 9
    assert late.view().sinks[0].frontier == 9


def test_what_is_rewound_is_taken_out_and_delivered_again(tmp_path, place, numbers):
    run = pipeline(tmp_path, numbers, place.sink())
    run.run()
    run.rewind(3)
    other = numbers.with_columns(value=pl.lit(-1, dtype=pl.Int64))
    pipeline(tmp_path, other, place.sink()).run()
    rows = place.rows("SELECT id, value FROM target ORDER BY id")
    assert rows == [(n, n % 7 if n < 40 else -1) for n in range(95)]


def test_a_reset_leaves_nothing_of_the_old_results_after_the_next_run(tmp_path, place, numbers):
    pipeline(tmp_path, numbers, place.sink()).run()
    few = pipeline(tmp_path, numbers[:5], place.sink())
    few.reset_frontier()
    few.run()
    assert place.rows("SELECT id FROM target ORDER BY id") == [(n,) for n in range(5)]


def test_the_last_batch_that_is_done_again_because_its_source_has_grown_is_replaced(tmp_path, place, numbers):
    def fetch(rows):
        def fetcher(batch_id, batch_size):
            data = numbers[:rows].slice(batch_id * batch_size, batch_size)
            start = batch_id * batch_size
            return Batch(batch_id, start, start + data.height - 1, data) if data.height else None

        return fetcher

    for rows in (25, 40):
        BatchPipeline([], fetch(rows), 10, tmp_path / "checkpoint", sinks=[place.sink()]).run()
    assert place.rows("SELECT id FROM target ORDER BY id") == [(n,) for n in range(40)]


def test_a_failing_step_leaves_the_target_at_the_frontier(tmp_path, place, numbers):
    class Fails(BatchStep):
        def process(self, batch):
            if batch.batch_id == 4:
                raise ValueError("a bad row")
            return batch

    with pytest.raises(StepFailed):
        pipeline(tmp_path, numbers, place.sink(), steps=[Fails("fails")]).run()
    assert place.rows("SELECT max(id) FROM target") == [(39,)]


def test_two_checkpoints_cannot_fill_one_table(tmp_path, place, numbers):
    pipeline(tmp_path / "a", numbers, place.sink()).run()
    other = pipeline(tmp_path / "b", numbers, place.sink())
    with pytest.raises(SinkNotUsable, match="filled by another checkpoint"):
        other.run()
    assert other.get_frontier().last_completed_batch_id == -1
    assert place.rows("SELECT count(*) FROM target") == [(95,)]


def test_two_tables_of_one_database_keep_apart(tmp_path, place, numbers):
    pipeline(tmp_path / "a", numbers, place.sink("one")).run()
    second = pipeline(tmp_path / "b", numbers[:30], place.sink("two"))
    second.run()
    second.reset_frontier()
    second.run()
    assert place.rows("SELECT count(*) FROM one") == [(95,)]
    assert place.rows("SELECT count(*) FROM two") == [(30,)]


def test_the_results_column_of_the_same_name_is_no_batch_column(tmp_path, place):
    frame = pl.DataFrame({"batch_id": [1, 2]})
    with pytest.raises(SinkNotUsable) as caught:
        pipeline(tmp_path, frame, place.sink()).run()
    assert "batch_id" in str(caught.value)
    pipeline(tmp_path, frame, place.sink(batch_column="of_batch")).run()
    assert place.rows("SELECT batch_id, of_batch FROM target ORDER BY 1") == [(1, 0), (2, 0)]


def test_a_failed_delivery_is_recorded_under_the_sinks_name_and_made_good_later(tmp_path, place, numbers, monkeypatch):
    sink = place.sink()
    put = type(sink).put

    def breaks(self, deliveries):
        if deliveries[-1].batch_id >= 5:
            raise ValueError("no more room")
        put(self, deliveries)

    monkeypatch.setattr(type(sink), "put", breaks)
    broken = pipeline(tmp_path, numbers, sink)
    with pytest.raises(SinkFailed, match="no more room") as caught:
        broken.run()
    assert "The batch is committed" in caught.value.hint
    (failure,) = broken.failures()
    assert (failure.step, failure.error_type) == (sink.name, "ValueError")
    frontier = broken.get_frontier().last_completed_batch_id
    assert frontier >= caught.value.batch_id
    monkeypatch.undo()
    pipeline(tmp_path, numbers, place.sink()).run()
    assert place.rows("SELECT count(*), count(DISTINCT id) FROM target") == [(95, 95)]


def test_the_same_place_twice_is_refused(tmp_path, place, numbers):
    with pytest.raises(UsageError, match="two sinks write to the same place"):
        pipeline(tmp_path, numbers, place.sink(), place.sink())
    with pytest.raises(UsageError, match="is not a sink"):
        pipeline(tmp_path, numbers, "target")


def test_rows_that_were_in_the_table_before_stay(tmp_path, place, numbers):
    place.execute("CREATE TABLE target (value BIGINT, id BIGINT, batch_id BIGINT)")
    place.execute("INSERT INTO target VALUES (100, -1, NULL)")
    run = pipeline(tmp_path, numbers, place.sink())
    run.run()
    run.reset_frontier()
    run.run()
    assert place.rows("SELECT count(*), min(id) FROM target") == [(96, -1)]
