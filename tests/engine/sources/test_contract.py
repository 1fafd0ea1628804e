"""What every fetcher must do, whatever it reads. A new fetcher joins by one more entry in `SOURCES`,
and in `CONCURRENT` if it is."""

from __future__ import annotations

import gzip
import json
import pickle
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import CsvFetcher, FrameFetcher, GeneratorFetcher, IpcFetcher, ParquetFetcher, SqlFetcher
from engine.errors import SourceChanged
from engine.sources.base import Position
from engine.sources.text import blocks

pytestmark = pytest.mark.integration

ROWS = pl.DataFrame(
    {
        "id": list(range(23)),
        "name": [None if n == 5 else f"name\n{n}" if n % 4 == 0 else f'n"{n}"' for n in range(23)],
        "price": [None if n % 7 == 3 else n / 2 for n in range(23)],
        "day": [date(2024, 1, 1 + n) for n in range(23)],
    }
)
SIZES = [1, 3, 7, 10, 1000]


def parquet_in_one_row_group(folder):
    ROWS.write_parquet(folder / "rows.parquet")
    return ParquetFetcher(folder / "rows.parquet")


def parquet_in_row_groups_of_four(folder):
    ROWS.write_parquet(folder / "rows.parquet", row_group_size=4)
    return ParquetFetcher(folder / "rows.parquet")


def parquet_folder_with_an_empty_file(folder):
    ROWS[:9].write_parquet(folder / "a.parquet", row_group_size=3)
    ROWS[:0].write_parquet(folder / "b.parquet")
    ROWS[9:10].write_parquet(folder / "c.parquet")
    ROWS[10:].write_parquet(folder / "d.parquet", row_group_size=5)
    return ParquetFetcher(folder)


def ipc_folder_with_an_empty_file(folder):
    ROWS[:9].write_ipc(folder / "a.arrow", record_batch_size=4)
    ROWS[:0].write_ipc(folder / "b.feather")
    ROWS[9:].write_ipc(folder / "c.ipc", compression="zstd")
    return IpcFetcher(folder)


def rows_in_frames():
    yield ROWS[:9]
    yield ROWS[:0]
    yield ROWS[9:].lazy()


def generator_function(folder):
    return GeneratorFetcher(rows_in_frames)


def csv_file(folder):
    ROWS.write_csv(folder / "rows.csv")
    return CsvFetcher(folder / "rows.csv", try_parse_dates=True)


def csv_in_many_blocks(folder):
    return csv_file(folder)


def csv_folder_in_many_blocks(folder):
    ROWS[:9].write_csv(folder / "a.csv")
    ROWS[:0].write_csv(folder / "b.csv")
    ROWS[9:10].write_csv(folder / "c.csv")
    (folder / "d.csv").touch()
    ROWS[10:].write_csv(folder / "e.csv")
    return CsvFetcher(folder, schema_overrides={"day": pl.Date})


def csv_without_header_compressed(folder):
    text = ROWS.write_csv(include_header=False, separator=";", line_terminator="\r\n")
    (folder / "rows.csv.gz").write_bytes(gzip.compress(text.encode()))
    return CsvFetcher(
        str(folder / "*.gz"), has_header=False, column_names=ROWS.columns, separator=";", try_parse_dates=True
    )


def data_frame(folder):
    return FrameFetcher(ROWS)


def lazy_frame(folder):
    ROWS.write_parquet(folder / "rows.parquet", row_group_size=4)
    return FrameFetcher(pl.scan_parquet(folder / "rows.parquet").with_columns(pl.col("id").alias("id")))


def sqlite_table(folder):
    connection = sqlite3.connect(folder / "rows.db")
    with closing(connection), connection:
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT, price REAL, day DATE)")
        rows = ROWS.with_columns(pl.col("day").cast(pl.String)).rows()
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", rows)
    return SqlFetcher(f"sqlite:///{folder / 'rows.db'}", "rows")


CONCURRENT = [
    parquet_in_one_row_group,
    parquet_in_row_groups_of_four,
    parquet_folder_with_an_empty_file,
    ipc_folder_with_an_empty_file,
    data_frame,
    lazy_frame,
]
SOURCES = [
    *CONCURRENT,
    generator_function,
    csv_file,
    csv_in_many_blocks,
    csv_folder_in_many_blocks,
    csv_without_header_compressed,
    sqlite_table,
]


@pytest.fixture(params=SOURCES, ids=lambda source: source.__name__)
def fetcher(request, tmp_path, monkeypatch):
    if request.param in (csv_in_many_blocks, csv_folder_in_many_blocks):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 50)
    fetcher = request.param(tmp_path)
    yield fetcher
    fetcher.close()


def fetch_all(fetcher, size, position=None):
    """Open, fetch one batch after the other, close; return the batches and each one's cursor, through JSON."""
    position = position or Position()
    fetcher.open(position)
    batches, cursors = [], []
    while (batch := fetcher(position.next_batch_id + len(batches), size)) is not None:
        batches.append(batch)
        cursors.append(json.loads(json.dumps(fetcher.cursor_after(batch))))
    fetcher.close()
    return batches, cursors


def joined(batches):
    return pl.concat([batch.data for batch in batches]) if batches else ROWS[:0]


@pytest.mark.parametrize("size", SIZES)
def test_the_batches_hold_every_row_once_and_in_order(fetcher, size):
    batches, _ = fetch_all(fetcher, size)
    assert_frame_equal(joined(batches), ROWS)


@pytest.mark.parametrize("size", SIZES)
def test_ids_are_dense_and_rows_contiguous_and_only_the_last_batch_is_short(fetcher, size):
    batches, _ = fetch_all(fetcher, size)
    assert [batch.batch_id for batch in batches] == list(range(len(batches)))
    assert [batch.start_row for batch in batches] == list(range(0, 23, size))
    assert [batch.end_row for batch in batches] == [min(start + size, 23) - 1 for start in range(0, 23, size)]
    assert [batch.data.height for batch in batches] == [batch.size for batch in batches]


@pytest.mark.parametrize("size", SIZES)
def test_all_batches_have_the_same_columns_and_dtypes(fetcher, size):
    batches, _ = fetch_all(fetcher, size)
    assert {tuple(batch.data.schema.items()) for batch in batches} == {tuple(ROWS.schema.items())}


def test_after_the_end_every_fetch_returns_none(fetcher):
    fetcher.open(Position())
    assert fetcher(0, 23).size == 23
    assert [fetcher(batch_id, 23) for batch_id in (1, 2, 2, 7)] == [None, None, None, None]
    fetcher.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("next_size", [4, 7])
def test_every_cursor_leads_to_exactly_the_remaining_rows(fetcher, size, next_size):
    batches, cursors = fetch_all(fetcher, size)
    for batch, cursor in zip(batches, cursors, strict=True):
        position = Position(batch.batch_id + 1, batch.end_row + 1, cursor)
        rest, _ = fetch_all(fetcher, next_size, position)
        assert [(b.batch_id, b.start_row) for b in rest[:1]] == [
            (batch.batch_id + 1, batch.end_row + 1) for _ in rest[:1]
        ]
        assert_frame_equal(joined(rest), ROWS[batch.end_row + 1 :])


def test_a_resume_of_a_resume_gives_the_remaining_rows(fetcher):
    position = Position()
    for start_row in range(0, 23, 2):
        fetcher.open(position)
        batch = fetcher(position.next_batch_id, 2)
        assert_frame_equal(batch.data, ROWS[start_row : start_row + 2])
        position = Position(batch.batch_id + 1, batch.end_row + 1, fetcher.cursor_after(batch))
        fetcher.close()


def test_a_position_without_a_cursor_is_found_by_its_row(fetcher):
    for next_row in range(1, 24):
        rest, _ = fetch_all(fetcher, 5, Position(1, next_row, None))
        assert_frame_equal(joined(rest), ROWS[next_row:])


# A generator function is called by the first fetch: looking at a pipeline must not run it up to the frontier.
CHECKED_WHEN_OPENED = [source for source in SOURCES if source is not generator_function]


@pytest.mark.parametrize("fetcher", CHECKED_WHEN_OPENED, indirect=True, ids=lambda source: source.__name__)
def test_a_source_that_ends_before_the_position_has_changed(fetcher):
    with pytest.raises(SourceChanged):
        fetcher.open(Position(6, 24, {"next_row": 24}))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fetcher", CONCURRENT, indirect=True, ids=lambda source: source.__name__)
def test_four_threads_get_what_one_gets(fetcher, size):
    assert fetcher.concurrent
    position = Position(2, 4, {"next_row": 4})
    alone, _ = fetch_all(fetcher, size, position)
    batch_ids = sorted(range(2, 2 + len(alone) + 3), key=lambda batch_id: batch_id * 7 % 5)
    fetcher.open(position)
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(batch_ids, pool.map(lambda batch_id: fetcher(batch_id, size), batch_ids), strict=True))
    fetcher.close()
    together = [found[batch_id] for batch_id in sorted(batch_ids)]
    assert together[len(alone) :] == [None, None, None]
    for one, other in zip(alone, together, strict=False):
        assert (one.batch_id, one.start_row, one.end_row) == (other.batch_id, other.start_row, other.end_row)
        assert_frame_equal(one.data, other.data)


def test_batches_may_be_fetched_by_another_thread_each(fetcher):
    fetcher.open(Position())
    batches = []
    for batch_id in range(4):
        thread = threading.Thread(target=lambda batch_id=batch_id: batches.append(fetcher(batch_id, 6)))
        thread.start()
        thread.join()
    fetcher.close()
    assert_frame_equal(joined(batches), ROWS)


def test_identity_is_json_and_the_same_before_and_after_a_run(fetcher):
    before = json.dumps(fetcher.identity())
    fetch_all(fetcher, 10)
    assert json.dumps(fetcher.identity()) == before


def test_an_exact_size_is_the_number_of_rows(fetcher):
    fetcher.open(Position(1, 10, {"next_row": 10}))
    size = fetcher.size()
    assert size is None or not size.exact or size.rows == 23
    fetcher.close()


def test_closing_in_the_middle_leaves_no_thread_behind(fetcher):
    before = threading.active_count()
    fetcher.open(Position())
    fetcher(0, 3)
    fetcher.close()
    assert threading.active_count() == before


def test_it_can_be_closed_when_it_was_never_opened_and_opened_afterwards(fetcher):
    fetcher.close()
    batches, _ = fetch_all(fetcher, 10)
    assert_frame_equal(joined(batches), ROWS)


def test_one_that_was_open_can_be_sent_to_another_process(fetcher):
    fetch_all(fetcher, 7)
    copy = pickle.loads(pickle.dumps(fetcher))
    batches, _ = fetch_all(copy, 10)
    assert_frame_equal(joined(batches), ROWS)
