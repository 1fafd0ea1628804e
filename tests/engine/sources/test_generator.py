from __future__ import annotations

import functools

import polars as pl
import pytest

from engine import BatchPipeline, FrameFetcher, GeneratorFetcher
from engine.batch import Batch
from engine.errors import FetchFailed, PipelineError, SourceChanged, SourceContractBroken, SourceError, UsageError
from engine.sources.base import Position
from engine.testing import NumberSource, numbers


def frames(heights=(3, 0, 1, 10, 6), wrong=lambda row: None):
    row = 0
    for height in heights:
        wrong(row)
        yield numbers(row, row + height)
        row += height


def results(pipeline):
    return pl.read_parquet(pipeline.checkpoint_dir / "results" / "*.parquet")["id"].to_list()


@pytest.mark.parametrize("batch_size", [1, 4, 7, 50])
def test_a_generator_function_is_a_source_of_batches_of_the_given_size(tmp_path, batch_size):
    pipeline = BatchPipeline([], frames, batch_size, tmp_path)
    pipeline.run()
    assert results(pipeline) == list(range(20))
    assert pipeline.get_frontier().last_completed_batch_id == -(-20 // batch_size) - 1


@pytest.mark.parametrize("row", [0, 3, 4, 14])
def test_a_resume_starts_the_function_again_and_skips_the_committed_rows(tmp_path, row):
    def fails(at):
        if at == row:
            raise ConnectionError("reset by peer")

    with pytest.raises(FetchFailed, match="reset by peer"):
        BatchPipeline([], GeneratorFetcher(lambda: frames(wrong=fails)), 2, tmp_path).run()
    pipeline = BatchPipeline([], GeneratorFetcher(lambda: frames()), 5, tmp_path)  # noqa: PLW0108 (the same name)
    pipeline.run()
    assert results(pipeline) == list(range(20))


def test_a_fetch_that_fails_is_tried_again_from_a_new_start():
    failures = [ConnectionError()]

    def once(row):
        if row == 4 and failures:
            raise failures.pop()

    fetcher = GeneratorFetcher(lambda: frames(wrong=once))
    fetcher.open(Position())
    assert fetcher(0, 2).data["id"].to_list() == [0, 1]
    with pytest.raises(ConnectionError):
        fetcher(1, 5)
    assert fetcher(1, 5).data["id"].to_list() == [2, 3, 4, 5, 6]


def test_frames_of_wide_rows_are_cut_at_the_bound_in_bytes():
    fetcher = GeneratorFetcher(lambda: iter([pl.DataFrame({"text": ["x" * 1_000] * 100})]))
    fetcher.open(Position(batch_bytes=10_500))
    assert [fetcher(batch_id, 50).size for batch_id in range(3)] == [10, 10, 10]


def test_lazy_frames_are_run_one_by_one():
    fetcher = GeneratorFetcher(lambda: iter([numbers(0, 2).lazy(), numbers(2, 3).lazy()]))
    fetcher.open(Position())
    assert fetcher(0, 9).data["id"].to_list() == [0, 1, 2]
    assert fetcher(1, 9) is None


def test_fewer_rows_than_are_committed_are_noticed():
    fetcher = GeneratorFetcher(frames)
    fetcher.open(Position(3, 21, {"next_row": 21}))
    with pytest.raises(SourceChanged, match="21 rows of frames are committed, but now it yields 20"):
        fetcher(3, 5)


def yields(*values):
    return GeneratorFetcher(lambda: iter(values))


@pytest.mark.parametrize(
    ("fetcher", "message"),
    [
        (yields([1, 2]), "yields a list, not a frame"),
        (yields(None), "yields a NoneType, not a frame"),
        (yields(numbers(0, 1), pl.DataFrame({"b": [1]})), "yields frames with different columns"),
        (GeneratorFetcher(lambda: numbers(0, 1)), "returns a DataFrame, not an iterator"),
    ],
)
def test_what_is_no_frame_is_named(tmp_path, fetcher, message):
    with pytest.raises(PipelineError, match=message):
        BatchPipeline([], fetcher, 5, tmp_path).run()


@pytest.mark.parametrize("given", [frames(), iter([numbers(0, 1)]), (f for f in ())])
def test_a_generator_that_was_called_already_is_refused_with_the_reason(tmp_path, given):
    with pytest.raises(UsageError, match="can be read only once") as caught:
        BatchPipeline([], given, 5, tmp_path)
    assert "Pass the generator function itself" in caught.value.hint
    with pytest.raises(UsageError, match="can be read only once"):
        GeneratorFetcher(given)


def test_a_generator_function_with_arguments_needs_them_bound(tmp_path):
    def pages(year):
        yield numbers(0, year)

    with pytest.raises(UsageError, match=r"pages can't be called without arguments: missing .* 'year'"):
        BatchPipeline([], pages, 5, tmp_path)
    pipeline = BatchPipeline([], functools.partial(pages, 3), 5, tmp_path)
    pipeline.run()
    assert results(pipeline) == [0, 1, 2]
    assert pipeline.source.endswith("pages")


def test_an_iterator_behind_a_callable_is_refused_with_the_reason(tmp_path):
    held = iter([numbers(0, 5), numbers(5, 8)])
    with pytest.raises(FetchFailed, match="StopIteration") as caught:
        BatchPipeline([], lambda batch_id, batch_size: next(held), 5, tmp_path).run()
    assert "can be read only once" in caught.value.hint


FRAME = numbers(0, 23)


@pytest.mark.parametrize(
    "fetcher",
    [
        lambda batch_id, size: FRAME.slice(batch_id * size, size),
        lambda batch_id, size: FRAME.lazy().slice(batch_id * size, size),
        lambda batch_id, size: FRAME.slice(batch_id * size, size) if batch_id * size < 23 else None,
    ],
    ids=["DataFrame", "LazyFrame", "None at the end"],
)
@pytest.mark.parametrize("batch_size", [1, 5, 23, 24])
def test_a_callable_may_return_a_frame_instead_of_a_batch(tmp_path, fetcher, batch_size):
    pipeline = BatchPipeline([], fetcher, batch_size, tmp_path)
    pipeline.run()
    assert results(pipeline) == list(range(23))
    assert pipeline.run().total_rows_processed == 23


def test_a_callable_that_returns_frames_is_asked_for_a_short_last_batch_again(tmp_path):
    source = NumberSource(8)

    def fetch(batch_id, batch_size):
        batch = source(batch_id, batch_size)
        return batch and batch.data

    pipeline = BatchPipeline([], fetch, 5, tmp_path)
    pipeline.run()
    source.rows = 12
    pipeline.run()
    assert results(pipeline) == list(range(12))
    source.rows = 4
    with pytest.raises(SourceChanged):
        pipeline.run()


def test_a_frame_that_is_longer_than_the_batch_size_is_refused(tmp_path):
    with pytest.raises(SourceContractBroken, match="a DataFrame with more rows than the batch size"):
        BatchPipeline([], lambda batch_id, batch_size: FRAME, 5, tmp_path).run()


def test_a_short_frame_in_the_middle_is_refused(tmp_path):
    with pytest.raises(SourceError, match="rows"):
        BatchPipeline([], lambda batch_id, batch_size: FRAME.head(3) if batch_id < 2 else None, 5, tmp_path).run()


def test_a_batch_of_no_rows_is_still_a_batch(tmp_path):
    pipeline = BatchPipeline([], lambda i, n: Batch(i, 0, -1, FRAME.clear()) if i < 2 else None, 5, tmp_path)
    assert pipeline.run().last_completed_batch_id == 1


@pytest.mark.parametrize("given", ["x.parquet", ["a"], None])
def test_a_frame_fetcher_of_something_else_names_the_fetcher_to_use(given):
    with pytest.raises(UsageError, match="needs a DataFrame or a LazyFrame"):
        FrameFetcher(given)
    with pytest.raises(UsageError) as caught:
        FrameFetcher("x.parquet")
    assert "ParquetFetcher" in caught.value.hint
