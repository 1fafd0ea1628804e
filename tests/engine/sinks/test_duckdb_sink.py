"""A DuckDB file as a target: whose it is, and who has it open."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import pytest

from engine import BatchPipeline, DuckDBSink, FrameFetcher
from engine.errors import SinkNotUsable, UsageError


def pipeline(folder, frame, sink):
    return BatchPipeline([], FrameFetcher(frame), 10, folder / "checkpoint", sinks=[sink])


def test_the_catalog_of_a_checkpoint_is_no_target(tmp_path, numbers):
    pipeline(tmp_path / "other", numbers, DuckDBSink(tmp_path / "target.duckdb")).run()
    catalog = tmp_path / "other" / "checkpoint" / "checkpoint.duckdb"
    with pytest.raises(SinkNotUsable, match="is the catalog of a checkpoint"):
        pipeline(tmp_path, numbers, DuckDBSink(catalog)).run()


def test_other_tables_of_the_file_are_left_alone(tmp_path, numbers):
    path = tmp_path / "target.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS x")
    pipeline(tmp_path, numbers, DuckDBSink(path)).run()
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT (SELECT count(*) FROM mine), (SELECT count(*) FROM results)").fetchall() == [
            (1, 95)
        ]


@pytest.mark.integration
def test_a_file_that_another_process_has_open_is_left_to_it(tmp_path, numbers):
    path = tmp_path / "target.duckdb"
    code = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        run = pipeline(tmp_path, numbers, DuckDBSink(path))
        with pytest.raises(SinkNotUsable, match="lock"):
            run.run()
        holder.stdin.close()
    run.run()


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path, numbers):
    path = tmp_path / "target.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(SinkNotUsable, match="can't be used"):
        pipeline(tmp_path, numbers, DuckDBSink(path)).run()
    assert path.read_bytes() == b"not a database" * 1000


def test_a_folder_that_is_not_there_is_told(tmp_path, numbers):
    with pytest.raises(SinkNotUsable, match="No such file"):
        pipeline(tmp_path, numbers, DuckDBSink(tmp_path / "nowhere" / "target.duckdb")).run()


def test_a_path_that_reads_as_a_pattern_is_a_path(tmp_path, numbers):
    folder = tmp_path / "a[b]*"
    folder.mkdir()
    pipeline(folder, numbers, DuckDBSink(folder / "target.duckdb")).run()
    with duckdb.connect(str(folder / "target.duckdb")) as connection:
        assert connection.execute("SELECT count(*) FROM results").fetchone() == (95,)


def test_a_table_needs_a_name():
    with pytest.raises(UsageError, match="table must be a name"):
        DuckDBSink("x.duckdb", "")
