from __future__ import annotations

import sqlite3

import polars as pl

from engine import Batch, BatchPipeline, FrameFetcher
from engine.events import Warned
from engine.sources import advice


def sql_batch_fetcher(batch_id, batch_size):
    offset = batch_id * batch_size
    connection = sqlite3.connect("numbers.sqlite")
    data = pl.read_database(f"SELECT id FROM numbers ORDER BY id LIMIT {batch_size} OFFSET {offset}", connection)
    connection.close()
    if data.height == 0:
        return None
    return Batch(batch_id=batch_id, start_row=offset, end_row=offset + len(data) - 1, data=data)


def test_a_fetcher_that_pages_by_offset_works_as_written_and_is_told_of_the_better_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    connection = sqlite3.connect("numbers.sqlite")
    connection.execute("CREATE TABLE numbers (id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(25)])
    connection.commit()
    connection.close()
    pipeline = BatchPipeline([], sql_batch_fetcher, 10, "checkpoint")
    said = []
    pipeline.add_listener(lambda event: said.append(event.message) if isinstance(event, Warned) else None)
    pipeline.run()
    assert pipeline.collect_results()["id"].to_list() == list(range(25))
    (warning,) = said
    assert warning.startswith("sql_batch_fetcher pages with LIMIT and OFFSET")
    assert "SqlFetcher(url, table)" in warning


def test_other_fetchers_are_left_in_peace():
    def offset_by_hand(batch_id, batch_size):
        """Knows no OFFSET but in prose about offsetting."""
        return batch_id * batch_size or None

    offset_by_hand.__doc__ = None
    assert advice.warnings_for(FrameFetcher(pl.DataFrame({"x": [1]}))) == []
    assert advice.warnings_for(lambda batch_id, batch_size: None) == []


def test_inner_functions_are_looked_at_too():
    def fetch(batch_id, batch_size):
        def query():
            return "select * from t limit 5 offset 10"

        return query()

    assert len(advice.warnings_for(fetch)) == 1


def test_a_function_over_an_iterator_is_told_that_it_cannot_be_read_again(tmp_path):
    frames = iter([1, 2])
    [sentence] = advice.warnings_for(lambda batch_id, batch_size: next(frames, None))
    assert "uses the iterator frames, which can be read only once" in sentence
    with (tmp_path / "x").open("wb") as file:
        assert advice.warnings_for(lambda batch_id, batch_size: file.tell()) == []
