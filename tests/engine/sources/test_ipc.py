from __future__ import annotations

import os
import random
from contextlib import suppress
from itertools import count

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import BatchPipeline, IpcFetcher
from engine.errors import SourceChanged, SourceError
from engine.sources.base import Position
from engine.sources.ipc_footer import record_batches


def frame(start, stop):
    return pl.DataFrame({"n": range(start, stop), "text": [f"row {n}" * 20 for n in range(start, stop)]}).with_columns(
        pl.when(pl.col("n") % 3 == 0).then("n").alias("gaps"), pl.concat_list("n", "n").alias("list")
    )


def rows(source, batch_size=7, position=None, **options):
    fetcher = IpcFetcher(source, **options)
    fetcher.open(position or Position())
    ids = count(fetcher.position.next_batch_id)
    return [batch.data for batch in iter(lambda: fetcher(next(ids), batch_size), None)]


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
@pytest.mark.parametrize("record_batch", [1, 10, 40, 500])
def test_rows_and_sizes_of_record_batches_are_read_from_the_footer(tmp_path, compression, record_batch):
    whole = frame(0, 100)
    whole.write_ipc(tmp_path / "n.arrow", compression=compression, record_batch_size=record_batch)
    found = record_batches(tmp_path / "n.arrow")
    assert [size for size, _ in found] == [min(record_batch, 100 - start) for start in range(0, 100, record_batch)]
    assert whole.estimated_size() <= sum(taken for _, taken in found) <= 2 * whole.estimated_size() + 1_000 * len(found)
    assert_frame_equal(pl.concat(rows(tmp_path / "n.arrow")), whole)


@pytest.mark.parametrize("next_row", [0, 1, 39, 40, 99, 100])
@pytest.mark.parametrize("batch_bytes", [None, 1, 5_000])
def test_a_resume_continues_at_its_row_with_any_bound(tmp_path, next_row, batch_bytes):
    for number, suffix in enumerate(["arrow", "feather", "ipc"]):
        frame(40 * number, 40 * number + 40).write_ipc(tmp_path / f"{number}.{suffix}", record_batch_size=15)
    expected = frame(next_row, 120)
    found = rows(tmp_path, position=Position(3, next_row, None, batch_bytes))
    assert_frame_equal(pl.concat(found), expected)


def test_columns_and_hive_folders_are_those_of_parquet(tmp_path):
    for year in (2024, 2025):
        (tmp_path / f"year={year}").mkdir()
        frame(0, 2).write_ipc(tmp_path / f"year={year}" / "x.feather")
    assert pl.concat(rows(tmp_path, columns=["year", "n"])).rows() == [(2024, 0), (2024, 1), (2025, 0), (2025, 1)]


def test_a_file_that_was_replaced_between_two_runs_is_noticed(tmp_path):
    frame(0, 20).write_ipc(tmp_path / "n.arrow")
    fetcher = IpcFetcher(tmp_path / "n.arrow")
    fetcher.open(Position())
    cursor = fetcher.cursor_after(fetcher(0, 5))
    frame(100, 120).write_ipc(tmp_path / "n.arrow")
    with pytest.raises(SourceChanged, match="isn't the file any more"):
        IpcFetcher(tmp_path / "n.arrow").open(Position(1, 5, cursor))


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"n,text\n1,a\n" * 10, b"ARROW1" + bytes(100) + b"ARROW1"])
def test_a_file_that_is_not_arrow_is_named(tmp_path, content):
    (tmp_path / "n.arrow").write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot read .*n\.arrow as Arrow IPC"):
        BatchPipeline([], IpcFetcher(tmp_path / "n.arrow"), 5, tmp_path / "checkpoint").run()


def test_the_stream_format_is_refused(tmp_path):
    frame(0, 5).write_ipc_stream(tmp_path / "n.arrow")
    with pytest.raises(SourceError, match=r"n\.arrow as Arrow IPC"):
        rows(tmp_path)


def test_whatever_byte_is_wrong_only_a_source_error_is_raised(tmp_path):
    path = tmp_path / "n.arrow"
    frame(0, 300).write_ipc(path, record_batch_size=100, compression="zstd")
    data = path.read_bytes()
    chance = random.Random(int(os.environ.get("DAMAGED_IPC_SEED", "1")))
    for _ in range(int(os.environ.get("DAMAGED_IPC_FILES", "150"))):
        wrong = bytearray(data)
        for _ in range(chance.choice([1, 1, 8])):
            wrong[chance.randrange(len(wrong))] ^= chance.choice([1, 128, 255])
        path.write_bytes(wrong[: chance.choice([len(wrong)] * 4 + [chance.randrange(len(wrong))])])
        with suppress(SourceError):
            rows(path, 50)
