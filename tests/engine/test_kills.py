"""Killed at any point of the protocol, and run again: the results are those of a run that never was.

A kill is a photograph (see conftest): the folder as it was at that instant. Every one is opened, looked at and
run to the end. Kills of real processes at real moments have a harness of their own.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import duckdb
import polars as pl
import pytest

from engine import BatchPipeline, Frontier
from engine.checkpoint.store import CheckpointStore
from engine.errors import StepFailed
from engine.testing import FailingStep, InlineExecutor, NumberSource, RunningTotal

pytestmark = pytest.mark.integration


def pipeline(folder, *, rows, failing=None, window=1):
    steps = [RunningTotal("sum"), FailingStep("a", {failing: ValueError()} if failing is not None else {})]
    return BatchPipeline(steps, NumberSource(rows), 10, folder, executor=InlineExecutor(window))


def totals(rows):
    return pl.Series(range(rows)).cum_sum().to_list()


def rows_in(parts):
    return [total for part in parts for total in pl.read_parquet(part)["total"].to_list()]


def finals(folder):
    return sorted(path.name for path in (folder / "results").glob("*.parquet")) if (folder / "results").exists() else []


def next_by_the_catalog(folder):
    """Return the first batch that isn't committed by the catalog's own word, read from a copy, before it is opened."""
    guarded = folder / "checkpoint.guard"
    place = guarded if guarded.exists() else folder
    if not (place / "checkpoint.duckdb").exists():
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("checkpoint.duckdb", "checkpoint.duckdb.wal"):
            if (place / name).exists():
                shutil.copyfile(place / name, Path(scratch) / name)
        with duckdb.connect(Path(scratch) / "checkpoint.duckdb") as catalog:
            return catalog.sql("SELECT next_batch_id FROM frontier").fetchall()[0][0]


def check(photograph, *, rows, never_ahead=True):
    """Look at the photograph as the next process and as an onlooker would, then run it to the end."""
    published = finals(photograph)
    mirror = photograph / "frontier.json"
    mirrored = Frontier.load(mirror).next_batch_id if mirror.exists() else 0
    assert mirrored <= len(published), "the mirror tells of parts that are not there"
    if never_ahead:
        assert len(published) <= next_by_the_catalog(photograph), "a part has its name before it is committed"
    with CheckpointStore(photograph) as store:
        committed = [store.layout.part(batch_id) for batch_id in range(store.next_batch_id)]
        assert [path.name for path in committed] == finals(photograph)
        assert mirrored <= store.next_batch_id, "the mirror is ahead of the catalog"
        assert rows_in(committed) == totals(store.next_row)
    assert pipeline(photograph, rows=rows).run().total_rows_processed == rows
    assert rows_in(sorted((photograph / "results").glob("*.parquet"))) == totals(rows)
    assert not [path.name for path in photograph.rglob("*") if ".tmp" in path.name]


@pytest.mark.parametrize("window", [1, 3], ids=["one batch a commit", "two batches a commit"])
def test_killed_anywhere_in_a_first_run(tmp_path, photographs, monkeypatch, window):
    taken = photographs(tmp_path / "ck")
    pipeline(tmp_path / "ck", rows=15, window=window).run()
    monkeypatch.undo()
    assert len(taken) > 15
    for photograph in taken:
        check(photograph, rows=15)


def test_killed_anywhere_in_a_run_that_fails(tmp_path, photographs, monkeypatch):
    pipeline(tmp_path / "ck", rows=10).run()
    run = pipeline(tmp_path / "ck", rows=30, failing=2)
    taken = photographs(tmp_path / "ck")
    with pytest.raises(StepFailed):
        run.run()
    monkeypatch.undo()
    for photograph in taken:
        check(photograph, rows=30)


def test_killed_anywhere_while_a_short_batch_is_done_again(tmp_path, photographs, monkeypatch):
    pipeline(tmp_path / "ck", rows=15).run()
    run = pipeline(tmp_path / "ck", rows=18)
    taken = photographs(tmp_path / "ck")
    run.run()
    monkeypatch.undo()
    for photograph in taken:
        check(photograph, rows=18)


def test_killed_anywhere_in_a_rewind(tmp_path, photographs, monkeypatch):
    run = pipeline(tmp_path / "ck", rows=25)
    run.run()
    taken = photographs(tmp_path / "ck")
    run.rewind(0)
    monkeypatch.undo()
    for photograph in taken:
        check(photograph, rows=25, never_ahead=False)


def test_killed_anywhere_in_a_fresh_run(tmp_path, photographs, monkeypatch):
    run = pipeline(tmp_path / "ck", rows=15)
    run.run()
    taken = photographs(tmp_path / "ck")
    run.run(resume=False)
    monkeypatch.undo()
    for photograph in taken:
        check(photograph, rows=15, never_ahead=False)
