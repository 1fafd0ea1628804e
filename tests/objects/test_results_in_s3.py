"""A pipeline whose results are in object storage gives what it gives in a folder, whatever is done with it."""

from __future__ import annotations

import json
import shutil

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from s3_server import Line, environment

from engine import (
    AddColumnBatchStep,
    BatchPipeline,
    DropNullsBatchStep,
    DuckDBSink,
    FrameFetcher,
    FunctionBatchStep,
    RunState,
)
from engine.checkpoint.location import located
from engine.cli import main as batch_pipeline
from engine.errors import CheckpointCorrupt, ResultsTaken, StepFailed, StorageUnavailable, UsageError
from engine.events import BatchCommitted, RowsReplayed
from engine.results import read
from engine.storage import files, objects
from engine.storage.objects import ObjectPath

ROWS, BATCH_SIZE, BATCHES = 1_000, 100, 10


def source():
    return pl.DataFrame({"id": range(ROWS), "value": [None if n % 7 == 0 else n for n in range(ROWS)]})


def expected():
    return source().drop_nulls().with_columns(value_x3=pl.col("value") * 3)


@pytest.fixture
def url(bucket):
    return f"{bucket}/flights"


@pytest.fixture
def make(tmp_path, url):
    def make(steps=(), *, folder="checkpoint", results_url=url, **options):
        own = [DropNullsBatchStep("drop_nulls"), AddColumnBatchStep("add_feature", "value", multiplier=3)]
        return BatchPipeline(
            [*own, *steps],
            FrameFetcher(source()),
            BATCH_SIZE,
            tmp_path / folder,
            results_url=results_url,
            workers=2,
            **options,
        )

    return make


def names(url, folder="results"):
    return sorted(files.names_in(ObjectPath.parsed(url) / folder))


def breaks_at(batch_id):
    def step(frame):
        if frame["id"][0] // BATCH_SIZE == batch_id:
            raise ValueError("broken")
        return frame

    return FunctionBatchStep("break", step, row_wise=True)


def test_everything_that_reads_results_reads_them(make, url, tmp_path):
    run = make()
    run.run()
    assert names(url) == [f"part-{batch_id:012d}.parquet" for batch_id in range(BATCHES)]
    assert not (tmp_path / "checkpoint" / "results").exists()
    assert_frame_equal(run.collect_results(), expected())
    assert_frame_equal(run.scan_results().filter(pl.col("id") > 900).collect(), expected().filter(pl.col("id") > 900))
    assert_frame_equal(pl.concat(run.iter_results()), expected())
    assert run.query_results("SELECT sum(value_x3) FROM results").item() == expected()["value_x3"].sum()
    assert run.batch(3).rows_out == expected().filter(pl.col("id") // BATCH_SIZE == 3).height
    for name in ("out.parquet", "out.csv", "out.duckdb"):
        run.export(tmp_path / name)
    assert_frame_equal(pl.read_parquet(tmp_path / "out.parquet"), expected())
    assert_frame_equal(pl.read_csv(tmp_path / "out.csv"), expected())
    with duckdb.connect(tmp_path / "out.duckdb", read_only=True) as database:
        assert database.sql("SELECT count(*) FROM results").fetchall() == [(expected().height,)]
    page = run.results_page(500, 2)
    assert page.total_rows == expected().height
    assert_frame_equal(page.frame, expected()[500:502])
    assert run.status().parts == BATCHES
    with pytest.raises(UsageError, match="belongs to the checkpoint"):
        run.export(tmp_path / "checkpoint" / "checkpoint.duckdb", overwrite=True)


def test_the_folder_remembers_where_the_results_are(make, url, tmp_path, capsys):
    make().run()
    assert_frame_equal(make(results_url=None).collect_results(), expected())
    batch_pipeline(["results", "count", "--checkpoint-dir", str(tmp_path / "checkpoint")])
    assert capsys.readouterr().out == f"{expected().height}\n"
    batch_pipeline(["status", "--checkpoint-dir", str(tmp_path / "checkpoint")])
    shown = capsys.readouterr().out
    assert "10 parts" in shown
    assert f"in {url}\n" in shown
    assert batch_pipeline(["verify", "--checkpoint-dir", str(tmp_path / "checkpoint")]) == 0


def test_a_run_that_failed_goes_on(make, url):
    broken = make([breaks_at(6)])
    with pytest.raises(Exception, match="broken"):
        broken.run()
    assert broken.get_frontier().last_completed_batch_id == 5
    assert names(url) == [f"part-{batch_id:012d}.parquet" for batch_id in range(6)]
    make().run(accept_changes=True)
    assert_frame_equal(make().collect_results(), expected())


def test_what_was_computed_and_not_committed_is_deleted(make, url):
    with pytest.raises(Exception, match="broken"):
        make([breaks_at(3)]).run()
    assert not [name for name in names(url) if name.endswith(".tmp")]
    objects.put(
        ObjectPath.parsed(url) / "results" / ".part-000000000007-0123456789abcdef.tmp", b"of a worker that came back"
    )
    make().run(accept_changes=True)
    assert not [name for name in names(url) if name.endswith(".tmp")]
    assert_frame_equal(make().collect_results(), expected())


def test_rewind_and_reset_delete_what_they_drop(make, url):
    run = make()
    run.run()
    assert run.rewind(4) == 5
    assert len(names(url)) == 5
    run.run()
    assert_frame_equal(run.collect_results(), expected())
    run.reset_frontier()
    assert names(url) == []
    run.run(resume=False)
    assert_frame_equal(run.collect_results(), expected())


def test_rows_go_into_quarantine_and_come_out_of_it(make, url, tmp_path):
    def bad(frame):
        if (frame["id"] % 150 == 1).any():
            raise ValueError("a bad row")
        return frame

    run = make([FunctionBatchStep("parse", bad, row_wise=True)], on_error="quarantine")
    run.run()
    kept = expected().filter(pl.col("id") % 150 != 1)
    assert_frame_equal(run.collect_results(), kept)
    assert run.view().state is RunState.INCOMPLETE
    assert len(names(url, "quarantine")) > 0
    assert not (tmp_path / "checkpoint" / "quarantine").exists()
    assert {row.source_row for row in run.quarantine.rows()} == {n for n in range(ROWS) if n % 150 == 1 and n % 7}
    assert run.quarantine.export(tmp_path / "bad.csv") == expected().height - kept.height
    replayed = []
    mended = make([FunctionBatchStep("parse", lambda frame: frame, row_wise=True)], listeners=[replayed.append])
    mended.quarantine.replay(accept_changes=True)
    assert any(isinstance(event, RowsReplayed) for event in replayed)
    assert_frame_equal(mended.collect_results(), expected())
    assert names(url, "quarantine") == []


def test_a_sink_gets_local_copies(make, tmp_path):
    make(sinks=[DuckDBSink(tmp_path / "sink.duckdb", "target")]).run()
    with duckdb.connect(tmp_path / "sink.duckdb", read_only=True) as database:
        rows = database.sql("SELECT count(*), sum(value_x3) FROM target").fetchall()
    assert rows == [(expected().height, expected()["value_x3"].sum())]


def test_a_damaged_or_missing_part_is_found_and_mended(make, url, tmp_path):
    make().run()
    part = located(tmp_path / "checkpoint").part(4)
    objects.put(part, objects.get(part)[:-10] + b"0123456789")
    folder = str(tmp_path / "checkpoint")
    assert batch_pipeline(["verify", "--checkpoint-dir", folder]) == 3
    make().recompute(4)
    assert batch_pipeline(["verify", "--checkpoint-dir", folder]) == 0
    objects.delete([part])
    assert batch_pipeline(["verify", "--checkpoint-dir", folder, "--repair", "--yes"]) == 0
    assert len(names(url)) == 4
    make().run()
    assert_frame_equal(make().collect_results(), expected())


def test_the_catalog_is_made_anew_from_the_parts(make, tmp_path):
    make().run()
    for name in ("checkpoint.duckdb", "checkpoint.duckdb.wal"):
        (tmp_path / "checkpoint" / name).unlink(missing_ok=True)
    assert batch_pipeline(["verify", "--checkpoint-dir", str(tmp_path / "checkpoint"), "--repair", "--yes"]) == 0
    assert_frame_equal(make().collect_results(), expected())


# --- whose results -------------------------------------------------------------------------------------


def test_two_checkpoints_cant_share_a_place(make, url, tmp_path):
    make().run()
    with pytest.raises(ResultsTaken, match="another checkpoint keeps its results"):
        make(folder="another").run()
    assert len(names(url)) == BATCHES
    assert not (tmp_path / "another" / "checkpoint.duckdb").exists()
    make(folder="another", results_url=f"{url}-2").run()


def test_a_place_that_became_somebody_elses_is_refused(make, url):
    make().run()
    objects.put(ObjectPath.parsed(url) / "checkpoint-key", b"of somebody else")
    with pytest.raises(ResultsTaken, match="another checkpoint"):
        make().run()
    assert len(names(url)) == BATCHES


def test_a_repair_doesnt_take_somebody_elses_results(make, url, tmp_path):
    make().run()
    place = ObjectPath.parsed(url)
    objects.delete([place / "checkpoint-key", *(place / "results" / name for name in names(url))])
    make(folder="another").run()
    for path in (tmp_path / "checkpoint").glob("checkpoint.duckdb*"):
        path.unlink()
    with pytest.raises(ResultsTaken):
        make().run()
    assert batch_pipeline(["verify", "--repair", "--yes", "--checkpoint-dir", str(tmp_path / "checkpoint")]) == 3
    assert_frame_equal(make(folder="another").collect_results(), expected())


def test_results_without_an_owner_are_not_taken(make, url):
    make().run()
    objects.delete([ObjectPath.parsed(url) / "checkpoint-key"])
    with pytest.raises(ResultsTaken):
        make(folder="another").run()
    with pytest.raises(StorageUnavailable, match="no object checkpoint-key") as error:
        make().run()
    assert "put it back" in error.value.hint


@pytest.mark.parametrize("first", ["checkpoint", "copy"])
def test_of_a_folder_and_its_copy_one_goes_on(make, url, tmp_path, first):
    run = make([breaks_at(5)])
    with pytest.raises(StepFailed):
        run.run()
    shutil.copytree(tmp_path / "checkpoint", tmp_path / "copy")
    make(folder=first).run(accept_changes=True)
    with pytest.raises(ResultsTaken, match="a copy of this checkpoint folder"):
        make(folder="copy" if first == "checkpoint" else "checkpoint").rewind(0)
    assert_frame_equal(make(folder=first).collect_results(), expected())


def test_a_folder_that_was_moved_goes_on(make, tmp_path):
    with pytest.raises(StepFailed):
        make([breaks_at(5)]).run()
    (tmp_path / "checkpoint").rename(tmp_path / "moved")
    make(folder="moved").run(accept_changes=True)
    assert_frame_equal(make(folder="moved").collect_results(), expected())


def test_a_lost_location_is_found_again_by_the_pipeline(make, url, tmp_path):
    make().run()
    location = tmp_path / "checkpoint" / "checkpoint.location.json"
    location.unlink()
    with pytest.raises(CheckpointCorrupt, match="10 of 10 parts are missing") as error:
        make(results_url=None).run()
    assert "results_url" in error.value.hint
    make().run()
    assert location.exists()
    assert_frame_equal(make(results_url=None).collect_results(), expected())


def test_a_lost_folder_is_made_again_as_the_documentation_says(make, url, tmp_path):
    make().run()
    shutil.rmtree(tmp_path / "checkpoint")
    with pytest.raises(ResultsTaken, match="another checkpoint") as error:
        make().run()
    assert "docs/object-storage.md" in error.value.hint
    owner = json.loads(objects.get(ObjectPath.parsed(url) / "checkpoint-key"))
    location = {"results_url": url, "key": owner["key"], "writers": [owner["writer"]]}
    (tmp_path / "checkpoint" / "checkpoint.location.json").write_text(json.dumps(location))
    assert batch_pipeline(["verify", "--repair", "--yes", "--checkpoint-dir", str(tmp_path / "checkpoint")]) == 0
    make().run()
    assert_frame_equal(make().collect_results(), expected())


def test_a_place_that_was_never_written_to_can_be_chosen_anew(make, url, monkeypatch):
    def refuse(path, *_, **__):
        raise StorageUnavailable(path, "Access Denied")

    with monkeypatch.context() as patch:
        patch.setattr(objects, "put", refuse)
        with pytest.raises(StorageUnavailable, match="Access Denied"):
            make(results_url=f"{url}-readonly").run()
    make().run()
    assert_frame_equal(make(results_url=None).collect_results(), expected())


def test_a_folder_called_like_a_partition_is_no_partition(tmp_path, bucket):
    for place, more in (("id=3", {}), ("b", {"results_url": f"{bucket}/id=3"})):
        run = BatchPipeline(
            [DropNullsBatchStep("drop_nulls")],
            FrameFetcher(source()),
            BATCH_SIZE,
            tmp_path / place / "checkpoint",
            sinks=[DuckDBSink(tmp_path / f"{place}.duckdb", "target")],
            **more,
        )
        run.run()
        run.export(tmp_path / place / "out.duckdb")
        for file, table in ((tmp_path / place / "out.duckdb", "results"), (tmp_path / f"{place}.duckdb", "target")):
            with duckdb.connect(file, read_only=True) as database:
                assert database.sql(f"SELECT sum(id) FROM {table}").fetchall() == [(source().drop_nulls()["id"].sum(),)]
        assert run.query_results("SELECT sum(id) FROM results").item() == source().drop_nulls()["id"].sum()
        assert run.collect_results()["id"].sum() == source().drop_nulls()["id"].sum()


def test_another_storage_in_the_place_of_the_right_one_is_not_judged(make, url, tmp_path):
    make().run()
    place = ObjectPath.parsed(url)
    everything = [place / "checkpoint-key", *(place / "results" / name for name in names(url))]
    objects.delete(everything)  # as seen with the credentials of another account
    folder = str(tmp_path / "checkpoint")
    with pytest.raises(StorageUnavailable, match="no object checkpoint-key"):
        make().run()
    assert batch_pipeline(["verify", "--checkpoint-dir", folder, "--repair", "--yes"]) == 3
    assert '"last_completed_batch_id": 9' in (tmp_path / "checkpoint" / "frontier.json").read_text()


def test_results_dont_move(make, url, tmp_path):
    make().run()
    with pytest.raises(UsageError, match=f"keeps its results in {url}, not in {url}-2"):
        make(results_url=f"{url}-2").run()
    make(folder="local", results_url=None).run()
    with pytest.raises(UsageError, match=r"keeps its results in .*local/results"):
        make(folder="local").run()
    assert_frame_equal(make(folder="local", results_url=None).collect_results(), expected())


@pytest.mark.parametrize("url", ["/data/results", "file:///data", "gs://bucket/x", "s3://key:secret@bucket/x"])
def test_a_url_that_cant_be_right_is_refused_at_once(tmp_path, url):
    with pytest.raises(UsageError, match="results_url can't be used"):
        BatchPipeline([], FrameFetcher(source()), BATCH_SIZE, tmp_path / "c", results_url=url)


def test_a_location_that_cant_be_read_is_told(make, tmp_path):
    make().run()
    (tmp_path / "checkpoint" / "checkpoint.location.json").write_text("{}")
    with pytest.raises(Exception, match="doesn't say where the results are") as error:
        make().run()
    assert error.value.exit_code == 3


# --- when the storage is away --------------------------------------------------------------------------


@pytest.fixture
def line(s3_server, bucket, monkeypatch):
    """The only way to the storage."""
    line = Line(s3_server.port)
    for name, value in environment(line.port).items():
        monkeypatch.setenv(name, value)
    yield line
    line.cut()


def test_reading_while_the_storage_is_away_is_told_as_that(make, line, monkeypatch, tmp_path):
    monkeypatch.setattr(objects, "RETRIES", 1)
    run = make([FunctionBatchStep("parse", _bad, row_wise=True)], on_error="quarantine")
    run.run()
    layout = located(tmp_path / "checkpoint")
    parts = [layout.part(batch_id) for batch_id in range(BATCHES)]
    run.results_page(0, 2)
    line.cut()
    for attempt in (
        lambda: read.query(parts, "SELECT * FROM results"),
        lambda: read.export(parts, tmp_path / "o.parquet", folder=tmp_path / "checkpoint"),
        lambda: run.results_page(500, 2),
    ):
        with pytest.raises(StorageUnavailable):
            attempt()


def _bad(frame):
    if (frame["id"] == 1).any():
        raise ValueError("a bad row")
    return frame


def cut_at(line, batch_id, then=lambda: None):
    def listener(event):
        if isinstance(event, BatchCommitted) and event.batch_id == batch_id:
            line.cut()
            then()

    return listener


def test_a_storage_that_goes_away_ends_the_run_and_costs_nothing(make, url, line, tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "RETRIES", 1)
    run = make(listeners=[cut_at(line, 3)])
    with pytest.raises(StorageUnavailable, match=f"the object storage at {url}.* can't be used") as error:
        run.run()
    assert "AWS_ENDPOINT_URL" in error.value.hint
    # Nothing may be judged by what can't be seen.
    assert batch_pipeline(["verify", "--checkpoint-dir", str(tmp_path / "checkpoint"), "--repair", "--yes"]) == 3
    with pytest.raises(StorageUnavailable):
        make().collect_results()
    line.mend()
    assert make().get_frontier().last_completed_batch_id >= 3
    make().run()
    assert_frame_equal(make().collect_results(), expected())


def test_a_storage_that_comes_back_is_waited_for(make, line):
    import threading

    mend = threading.Timer(1.0, line.mend)
    make(listeners=[cut_at(line, 3, mend.start)]).run()
    assert_frame_equal(make().collect_results(), expected())


def test_without_the_library_the_user_is_told_what_to_install(make, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "obstore.store", None)
    objects._store.cache_clear()
    with pytest.raises(UsageError, match="library that is not installed") as error:
        make().run()
    assert "batchpipe-tui[s3]" in error.value.hint
