"""Whatever fails, stops, grows or changes between runs: the results are those of one run that nothing happened to."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import BatchPipeline, Frontier, RetryPolicy
from engine.checkpoint.store import CheckpointStore
from engine.errors import PipelineError
from engine.events import BatchCommitted
from engine.steps.base import LazyBatchStep
from engine.testing import FailingStep, NumberSource, RunningTotal, SeekableNumbers, TransientError

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Life:
    """One run: over how many rows, with how many workers, and what happens to it (at a batch, None for nothing)."""

    grows_by: int
    batch_size: int
    workers: int
    source_fails_at: int | None
    step_fails_at: int | None
    retried_at: int | None
    stops_at: int | None
    stops_now: bool
    rewinds_by: int


maybe_batch = st.none() | st.integers(0, 12)
lives = st.builds(
    Life,
    grows_by=st.integers(0, 25),
    batch_size=st.integers(1, 12),
    workers=st.integers(1, 4),
    source_fails_at=maybe_batch,
    step_fails_at=maybe_batch,
    retried_at=maybe_batch,
    stops_at=maybe_batch,
    stops_now=st.booleans(),
    rewinds_by=st.sampled_from([0, 0, 0, 1, 3]),
)


class NoThrees(LazyBatchStep):
    """Drops every third row."""

    def lazy(self, frame):
        return frame.filter(pl.col("id") % 3 != 0)


class FailingSeekable(SeekableNumbers):
    def __init__(self, rows, *, concurrent, fails_at):
        super().__init__(rows, concurrent=concurrent)
        self.fails_at = fails_at

    def __call__(self, batch_id, batch_size):
        if batch_id == self.fails_at:
            raise ConnectionError("gone")
        return super().__call__(batch_id, batch_size)


def build(folder, kind, rows, life):
    if kind == "plain":
        errors = {} if life.source_fails_at is None else {life.source_fails_at: [ConnectionError("gone")] * 99}
        source = NumberSource(rows, errors=errors)
    else:
        source = FailingSeekable(rows, concurrent=kind == "concurrent", fails_at=life.source_fails_at)
    step_errors = {}
    if life.retried_at is not None:
        step_errors[life.retried_at] = [TransientError()]
    if life.step_fails_at is not None:
        step_errors[life.step_fails_at] = ValueError("a bad row")
    run = BatchPipeline(
        [RunningTotal("sum"), FailingStep("flaky", step_errors, concurrent=life.workers % 2 == 0), NoThrees("drop")],
        source,
        life.batch_size,
        folder,
        workers=life.workers,
        retry=RetryPolicy(transient=(TransientError,), base_seconds=0),
    )

    def stop(event):
        if isinstance(event, BatchCommitted) and event.batch_id == life.stops_at:
            run.request_stop(now=life.stops_now)

    run.add_listener(stop)
    return run


def reference(rows):
    ids = pl.Series("id", range(rows), dtype=pl.Int64)
    return pl.DataFrame({"id": ids, "total": ids.cum_sum()}).filter(pl.col("id") % 3 != 0)


def check(run, folder, rows):
    """Return the frontier after looking at everything that tells of it."""
    with CheckpointStore(folder) as store:
        frontier = store.frontier(["sum", "flaky", "drop"])
        manifests = store.batches(0, 10_000)
    assert Frontier.load(folder / "frontier.json") == frontier
    assert [manifest.batch_id for manifest in manifests] == list(range(frontier.next_batch_id))
    row = 0
    for manifest in manifests:
        assert manifest.start_row == row
        row = manifest.end_row + 1
    assert row == frontier.next_row == frontier.total_rows_processed <= rows
    assert not [path.name for path in folder.rglob("*") if ".tmp" in path.name]
    if frontier.next_batch_id:
        assert run.collect_results().rows() == reference(row).rows()
    return frontier


def live(kind, story):
    with tempfile.TemporaryDirectory() as name:
        folder, rows = Path(name) / "ck", 0
        size = story[0].batch_size
        for life in story:
            rows += life.grows_by
            chosen = life if kind != "plain" else Life(**{**vars(life), "batch_size": size})
            run = build(folder, kind, rows, chosen)
            try:
                run.run()
            except PipelineError as error:
                assert "gone" in str(error) or "a bad row" in str(error)  # noqa: PT017 (it needn't fail)
            frontier = check(run, folder, rows)
            if life.rewinds_by:
                run.rewind(max(frontier.last_completed_batch_id - life.rewinds_by, -1))
                check(run, folder, rows)
        calm = Life(0, size, 2, None, None, None, None, stops_now=False, rewinds_by=0)
        run = build(folder, kind, rows, calm)
        assert run.run().total_rows_processed == rows
        check(run, folder, rows)


@pytest.mark.parametrize("kind", ["plain", "seekable", "concurrent"])
@settings(max_examples=8, deadline=None, derandomize=True)
@given(story=st.lists(lives, min_size=1, max_size=4))
def test_every_row_is_in_the_results_once_and_in_order(kind, story):
    live(kind, story)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["plain", "seekable", "concurrent"])
@settings(max_examples=200, deadline=None)
@given(story=st.lists(lives, min_size=1, max_size=8))
def test_every_row_is_in_the_results_once_and_in_order_whatever_happens(kind, story):
    live(kind, story)
