"""A replay killed at any point: each row is in one place, the results or the quarantine, and no file is left over."""

from __future__ import annotations

import shutil

import polars as pl
import pytest
from line_source import LineSource, lines

from engine import BatchPipeline, Quarantine, RunState
from engine.checkpoint.catalog.catalog import Catalog
from engine.checkpoint.layout import Layout
from engine.checkpoint.recovery.verify import held, verify
from engine.checkpoint.store import CheckpointStore
from engine.testing import InlineExecutor, NumberSource, PickyStep

pytestmark = pytest.mark.integration

ROWS = 12
BAD = {1, 2, 7}
UNLIMITED = Quarantine(max_rows=None, max_fraction=None)


def pipeline(folder, bad=()):
    return BatchPipeline(
        [PickyStep("a", bad)], NumberSource(ROWS), 6, folder, executor=InlineExecutor(), on_error=UNLIMITED
    )


def rows_of(folder):
    """The ids in the results and those in quarantine, after an opening, which leaves nothing lying about."""
    layout = Layout(folder)
    with CheckpointStore(folder) as store:
        named = {
            layout.quarantine_file(one.batch_id, one.attempt_id, number).name
            for one in store.quarantined_batches()
            for number in range(len(one.quarantine))
        }
        parts = [layout.part(batch_id) for batch_id in range(store.next_batch_id)]
        results = [n for part in parts for n in pl.read_parquet(part)["id"].to_list()]
        files = [layout.quarantine / name for name in sorted(named)]
        waiting = [row["id"] for file in files for row in pl.read_parquet(file)["row"].to_list()]
    assert {path.name for path in layout.quarantine.glob("*")} == named, "a file is left over"
    assert not [path.name for path in folder.rglob("*") if ".tmp" in path.name]
    return results, waiting


@pytest.fixture
def killed_anywhere(tmp_path, photographs, monkeypatch):
    """Photographs of a folder while something is done with it."""

    def killed(action):
        taken = photographs(tmp_path / "ck")
        action()
        monkeypatch.undo()
        assert len(taken) > 5
        return taken

    return killed


def test_killed_anywhere_in_a_run_that_takes_rows_out(tmp_path, killed_anywhere):
    for photograph in killed_anywhere(lambda: pipeline(tmp_path / "ck", BAD).run()):
        results, waiting = rows_of(photograph)
        assert sorted(results + waiting) == list(range(len(results) + len(waiting)))
        run = pipeline(photograph, BAD)
        run.run()
        assert rows_of(photograph) == ([n for n in range(ROWS) if n not in BAD], sorted(BAD))
        with held(photograph) as layout:
            assert verify(layout).sound


def test_killed_anywhere_in_a_replay(tmp_path, killed_anywhere):
    pipeline(tmp_path / "ck", BAD).run()
    for photograph in killed_anywhere(pipeline(tmp_path / "ck", {2}).quarantine.replay):
        with held(photograph) as layout:
            assert verify(layout).sound
        results, waiting = rows_of(photograph)
        assert sorted(results + waiting) == list(range(ROWS))
        assert results == sorted(results)
        run = pipeline(photograph)
        run.quarantine.replay()
        assert rows_of(photograph) == (list(range(ROWS)), [])
        run.run()
        assert run.refresh().state is RunState.FINISHED


def of_source(folder, unreadable=(), refused=()):
    source = LineSource(lines(ROWS, unreadable))
    return BatchPipeline([PickyStep("a", refused)], source, 6, folder, executor=InlineExecutor(), on_error=UNLIMITED)


def ids_of_source(run):
    """The ids in the results and the numbers of the rows in quarantine, after an opening."""
    return run.collect_results()["id"].to_list(), [row.source_row for row in run.quarantine.rows()]


@pytest.mark.parametrize("mended", [False, True])
def test_killed_anywhere_while_rows_of_the_source_are_replayed(tmp_path, killed_anywhere, mended):
    file = tmp_path / "bad.parquet"
    of_source(tmp_path / "ck", unreadable={1, 7, 8}, refused={2, 9}).run()
    if mended:
        of_source(tmp_path / "ck").quarantine.export(file)
        texts = pl.col("text").str.strip_prefix("x")
        pl.read_parquet(file).filter(pl.col("source_row") != 8).with_columns(text=texts).write_parquet(file)
    replaying = of_source(tmp_path / "ck", unreadable={8}, refused={2})

    def replay(run):
        return run.quarantine.replay(mended=file if mended else None)

    for photograph in killed_anywhere(lambda: replay(replaying)):
        with held(photograph) as layout:
            assert verify(layout).sound
        run = of_source(photograph, unreadable={8}, refused={2})
        results, waiting = ids_of_source(run)
        assert sorted(results + waiting) == list(range(ROWS))
        assert results == sorted(results)
        replay(run)
        left = [2, 8, 9] if mended else [2, 8]
        assert ids_of_source(run) == ([n for n in range(ROWS) if n not in left], left)
        run = of_source(photograph)
        run.quarantine.replay()
        assert ids_of_source(run) == (list(range(ROWS)), [])


def catalog_files(folder):
    return [folder / "checkpoint.duckdb", folder / "checkpoint.duckdb.wal"]


def test_a_replay_that_the_catalogs_log_has_lost_is_taken_back_in(tmp_path):
    folder = tmp_path / "ck"
    pipeline(folder, BAD).run()
    before = tmp_path / "before"
    before.mkdir()
    for file in catalog_files(folder):
        shutil.copy(file, before / file.name)
    pipeline(folder, {2}).quarantine.replay()
    for file in catalog_files(folder):
        shutil.copy(before / file.name, file)

    with held(folder) as layout:
        report = verify(layout)
    assert report.sound
    assert report.parts.notes == (
        "2 parts of replays that the log of the catalog has lost; the next run restores them",
    )
    with CheckpointStore(folder) as store:
        assert "lost replays of 2 batches; they were restored from their parts" in store.notices[0]
    assert rows_of(folder) == ([n for n in range(ROWS) if n != 2], [2])
    with held(folder) as layout:
        assert verify(layout).sound
    run = pipeline(folder)
    run.quarantine.replay()
    assert rows_of(folder) == (list(range(ROWS)), [])


def test_a_lost_replay_brings_the_pipeline_that_made_it(tmp_path):
    folder = tmp_path / "ck"
    pipeline(folder, BAD).run()
    saved = {file: file.read_bytes() for file in catalog_files(folder)}
    mended = pipeline(folder)
    mended.steps[0].version = "2"
    mended.quarantine.replay(accept_changes=True)
    for file, content in saved.items():
        file.write_bytes(content)
    mended.run()  # isn't refused: it is the pipeline on record
    assert rows_of(folder) == (list(range(ROWS)), [])


def test_lost_batches_and_the_pipeline_that_made_them_come_back_together(tmp_path, photographs, monkeypatch):
    folder = tmp_path / "ck"
    pipeline(folder).run()
    saved = {file: file.read_bytes() for file in catalog_files(folder)}
    mended = pipeline(folder)
    mended.steps[0].version = "2"
    mended.batch_fetcher.rows = 24
    mended.run(accept_changes=True)
    for file, content in saved.items():
        file.write_bytes(content)
    taken = photographs(folder)
    CheckpointStore(folder).close()
    monkeypatch.undo()
    for photograph in taken:
        catalog = Catalog(photograph / "checkpoint.duckdb")
        recorded = catalog.pipeline()
        assert ('"version": "2"' in recorded[1]) == (catalog.head().next_batch_id == 4)
        catalog.close()
