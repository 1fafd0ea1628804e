from __future__ import annotations

import os
import sqlite3
import stat
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine import BatchPipeline
from engine.batch import Batch
from engine.errors import UsageError
from engine.sql import restricted
from engine.storage import durable
from engine.testing import FailingStep, NumberSource, numbers

pytestmark = pytest.mark.integration

FORTY_FIVE = numbers(0, 45)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished pipeline over the numbers 0 to 44 in five batches."""
    pipeline = BatchPipeline([], NumberSource(45), 10, tmp_path_factory.mktemp("results") / "ck")
    pipeline.run()
    return pipeline


@pytest.fixture
def empty(tmp_path):
    return BatchPipeline([], NumberSource(45), 10, tmp_path / "none")


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "checkpoint.lock")
    return {path: path.read_bytes() for path in files}


def left(folder):
    return sorted(path.name for path in folder.iterdir())


# --- reading --------------------------------------------------------------------------------------------


def test_results_are_collected_in_the_order_of_the_source(run):
    assert_frame_equal(run.collect_results(), FORTY_FIVE)


def test_results_are_scanned_without_being_read(run):
    scan = run.scan_results()
    assert isinstance(scan, pl.LazyFrame)
    assert scan.filter(pl.col("id") > 42).collect()["id"].to_list() == [43, 44]


def test_results_are_iterated_batch_by_batch(run):
    frames = run.iter_results()
    assert next(frames)["id"].to_list() == list(range(10))
    assert [frame.height for frame in frames] == [10, 10, 10, 5]


def test_without_results_there_is_an_empty_frame(empty):
    assert empty.collect_results().shape == (0, 0)
    assert list(empty.iter_results()) == []
    assert empty.scan_results().collect().shape == (0, 0)


def test_batches_that_lost_all_their_rows_keep_their_columns(tmp_path):
    class Nothing(FailingStep):
        def process(self, batch):
            return batch.with_data(batch.data.clear())

    pipeline = BatchPipeline([Nothing("nothing", {})], NumberSource(45), 10, tmp_path / "ck")
    pipeline.run()
    assert pipeline.collect_results().schema == {"id": pl.Int64}
    assert pipeline.collect_results().height == 0
    assert [frame.height for frame in pipeline.iter_results()] == [0] * 5


def test_what_lies_beside_the_parts_is_no_result(tmp_path):
    pipeline = BatchPipeline([], NumberSource(45), 10, tmp_path / "ck")
    pipeline.run()
    numbers(0, 3).write_parquet(tmp_path / "ck" / "results" / "mine.parquet")
    assert_frame_equal(pipeline.collect_results(), FORTY_FIVE)


DTYPES = {
    "i8": pl.Series([1, None], dtype=pl.Int8),
    "u64": pl.Series([2**63, None], dtype=pl.UInt64),
    "i128": pl.Series([2**100, None], dtype=pl.Int128),
    "f32": pl.Series([1.5, None], dtype=pl.Float32),
    "f64": pl.Series([float("nan"), float("inf")]),
    "bool": pl.Series([True, None]),
    "text": pl.Series(["é", ""]),
    "bytes": pl.Series([b"\xff", None]),
    "nothing": pl.Series([None, None], dtype=pl.Null),
    "date": pl.Series([date(2024, 2, 29), None]),
    "time": pl.Series([time(1, 2, 3, 4), None]),
    "ms": pl.Series([datetime(2024, 1, 1, tzinfo=UTC), None], dtype=pl.Datetime("ms", "UTC")),
    "ns": pl.Series([datetime(2024, 1, 1, tzinfo=UTC), None], dtype=pl.Datetime("ns", "Europe/Berlin")),
    "lasted": pl.Series([timedelta(hours=5), None], dtype=pl.Duration("ns")),
    "kind": pl.Series(["a", None], dtype=pl.Categorical),
    "level": pl.Series(["low", None], dtype=pl.Enum(["low", "high"])),
    "money": pl.Series([Decimal("1.23"), None], dtype=pl.Decimal(10, 2)),
    "list": pl.Series([[1, None], None]),
    "array": pl.Series([[1, 2], None], dtype=pl.Array(pl.Int64, 2)),
    "record": pl.Series([{"a": 1, "b": "x"}, None]),
}


def test_every_dtype_keeps_its_identity_over_a_resume(tmp_path):
    frame = pl.DataFrame(DTYPES)

    def fetch(batch_id, batch_size):
        return Batch(batch_id, 2 * batch_id, 2 * batch_id + 1, frame) if batch_id < 4 else None

    first = BatchPipeline([FailingStep("a", {2: ValueError()})], fetch, 2, tmp_path / "ck")
    with pytest.raises(Exception, match="batch 2"):
        first.run()
    second = BatchPipeline([FailingStep("a", {})], fetch, 2, tmp_path / "ck")
    second.run()
    assert_frame_equal(second.collect_results(), pl.concat([frame] * 4))


# --- asking ---------------------------------------------------------------------------------------------


def test_results_are_asked_in_sql(run):
    answer = run.query_results("SELECT count(*) AS n, sum(id) AS total FROM results WHERE id >= 40")
    assert answer["n"].item() == 5
    assert answer["total"].item() == 40 + 41 + 42 + 43 + 44


@pytest.mark.parametrize(
    "sql",
    ["SELECT nope FROM results", "SELECT * FROM reslts", "SELECT 1 / 'a'"],
)
def test_a_question_that_cannot_be_asked_is_said_so(run, sql):
    with pytest.raises(UsageError, match="query can't be run") as caught:
        run.query_results(sql)
    assert "results" in caught.value.hint


READING = [
    "SELECT id FROM results",
    "FROM results",
    "TABLE results",
    "DESCRIBE results",
    "SUMMARIZE results",
    "SHOW TABLES",
    "WITH few AS (SELECT * FROM results LIMIT 3) SELECT count(*) FROM few",
    "SELECT * FROM results r JOIN results s USING (id) ORDER BY id DESC",
    "PIVOT results ON id IN (1, 2) USING count(*)",
    "VALUES (1);",
]


@pytest.mark.parametrize("sql", READING)
def test_every_kind_of_reading_is_answered(run, sql):
    assert run.query_results(sql).height


NOT_READING = [
    "COPY results TO '{part}'",
    "COPY results TO '{other}' (FORMAT csv)",
    "COPY (SELECT 1) TO '{part}'",
    "EXPORT DATABASE '{folder}'",
    "ATTACH '{other}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA version",
    "SET threads = 1",
    "RESET threads",
    "CALL pragma_version()",
    "CHECKPOINT",
    "CREATE TABLE t AS SELECT 1",
    "INSERT INTO results VALUES (1)",
    "DROP VIEW results",
    "PREPARE q AS SELECT 1",
    "EXPLAIN ANALYZE COPY results TO '{other}'",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY results TO '{other}'",
    "",
    "-- nothing",
    "SELEKT 1",
]
OTHER_FILES = [
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM '{secret}.csv'",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM read_parquet('{folder}/ck/results/*.parquet')",
    "SELECT * FROM read_parquet('{folder}/ck/results/../../mine.parquet')",
    "SELECT (SELECT content FROM read_text('{secret}')) FROM results",
    "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
    "SELECT * FROM duckdb_secrets()",
    "WITH w AS (INSERT INTO results VALUES (1) RETURNING *) SELECT * FROM w",
]


@pytest.mark.parametrize("sql", [*NOT_READING, *OTHER_FILES])
def test_a_query_can_only_read_and_only_the_results(run, sql):
    ck = run.checkpoint_dir
    secret = ck.parent / "secret"
    secret.write_text("hunter2")
    numbers(0, 3).write_parquet(ck.parent / "mine.parquet")
    places = {"part": ck / "results" / "part-000000000000.parquet", "secret": secret, "folder": ck.parent}
    before = contents(ck.parent)
    with pytest.raises(UsageError, match="the query") as caught:
        run.query_results(sql.format(**places, other=ck.parent / "other"))
    assert "hunter2" not in str(caught.value)
    assert contents(ck.parent) == before
    if sql in NOT_READING and sql != "SELEKT 1":
        assert "single SELECT" in str(caught.value)


def test_a_query_that_needs_more_memory_than_there_is_spills(run, monkeypatch):
    monkeypatch.setattr(restricted, "CONFIG", restricted.CONFIG | {"memory_limit": "60MB", "threads": 1})
    sql = "SELECT count(*) FROM (SELECT md5(range::VARCHAR) FROM range(2_000_000) ORDER BY 1 LIMIT 1_900_000)"
    assert run.query_results(sql).item() == 1_900_000


def test_without_results_nothing_can_be_asked(empty):
    with pytest.raises(UsageError, match="no results yet"):
        empty.query_results("SELECT 1")


def test_a_question_sees_no_variables_of_ours(run):
    for name in ("parts", "sql", "connection"):
        with pytest.raises(UsageError):
            run.query_results(f"SELECT * FROM {name}")


@pytest.mark.parametrize("name", ["[1]", "a*", "it's", "a b", "é", "%41", "{a,b}"])
def test_the_folder_may_have_any_name(tmp_path, name):
    BatchPipeline([], NumberSource(20), 10, tmp_path / "abc").run()  # which "a*" must not mean as well
    pipeline = BatchPipeline([], NumberSource(45), 10, tmp_path / name)
    pipeline.run()
    assert pipeline.collect_results().height == 45
    assert pipeline.query_results("SELECT count(*) FROM results").item() == 45
    pipeline.export(tmp_path / "out.duckdb")
    pipeline.export(tmp_path / "out.parquet")
    with duckdb.connect(str(tmp_path / "out.duckdb")) as connection:
        assert connection.sql("SELECT count(*) FROM results").fetchall() == [(45,)]
    assert pl.read_parquet(tmp_path / "out.parquet").height == 45


# --- writing out ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.parquet", "OUT.PARQUET", "out.csv", "[1]*.parquet", "it's.csv"])
def test_a_file_has_all_rows_in_order(run, tmp_path, name):
    run.export(tmp_path / name)
    read = pl.read_csv if name.endswith("csv") else pl.read_parquet
    assert_frame_equal(read(tmp_path / name, glob=False), FORTY_FIVE)
    assert left(tmp_path) == [name]


def test_a_path_may_be_text(run, tmp_path):
    run.export(str(tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_text().startswith("id\n0\n1\n")


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_file_that_is_there_is_only_replaced_on_request(run, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        run.export(path)
    assert path.read_text() == "mine"
    run.export(path, overwrite=True)
    assert path.read_bytes() != b"mine"
    assert left(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_file_appears_whole_or_not_at_all(run, tmp_path, monkeypatch, suffix):
    fsync_path = durable.fsync_path

    def fail(path):
        if path.name.startswith(".out"):
            raise OSError(28, "No space left on device")
        fsync_path(path)

    (tmp_path / f"out{suffix}").write_text("old")
    monkeypatch.setattr(durable, "fsync_path", fail)
    with pytest.raises(UsageError, match="No space left"):
        run.export(tmp_path / f"out{suffix}", overwrite=True)
    assert left(tmp_path) == [f"out{suffix}"]
    assert (tmp_path / f"out{suffix}").read_text() == "old"


def test_a_file_that_cannot_be_made_is_said_so(run, tmp_path):
    (tmp_path / "out.parquet").mkdir()
    with pytest.raises(UsageError):
        run.export(tmp_path / "out.parquet", overwrite=True)
    assert left(tmp_path) == ["out.parquet"]


@pytest.mark.parametrize("name", ["out", "out.xlsx", "out.parquet.gz", ".parquet"])
def test_an_unknown_kind_of_file_is_said_so(run, tmp_path, name):
    with pytest.raises(UsageError, match="can't tell what to export to") as caught:
        run.export(tmp_path / name)
    assert ".parquet" in caught.value.hint
    assert left(tmp_path) == []


def test_a_folder_that_is_not_there_is_said_so(run, tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        run.export(tmp_path / "nowhere" / "out.csv")


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".duckdb"])
def test_without_results_nothing_is_exported(empty, tmp_path, suffix):
    with pytest.raises(UsageError, match="no results yet"):
        empty.export(tmp_path / f"out{suffix}")
    assert left(tmp_path) == []


def test_columns_that_csv_does_not_know_are_said_so(tmp_path):
    class Lists(FailingStep):
        def process(self, batch):
            return batch.with_data(batch.data.with_columns(l=pl.concat_list("id", "id")))

    pipeline = BatchPipeline([Lists("lists", {})], NumberSource(5), 10, tmp_path / "ck")
    pipeline.run()
    with pytest.raises(UsageError, match=r"can't be written as \.csv"):
        pipeline.export(tmp_path / "out.csv")
    assert left(tmp_path) == ["ck"]


@pytest.mark.parametrize("where", ["checkpoint.duckdb", "results/part-000000000000.parquet", "results/all.parquet"])
def test_nothing_is_exported_into_the_checkpoint_itself(tmp_path, where):
    pipeline = BatchPipeline([], NumberSource(45), 10, tmp_path / "ck")
    pipeline.run()
    # The lock file says who was there last and since when: looking at the checkpoint rewrites it.
    files = [path for path in (tmp_path / "ck").rglob("*") if path.is_file() and path.name != "checkpoint.lock"]
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(UsageError, match="belongs to the checkpoint"):
        pipeline.export(tmp_path / "ck" / where, overwrite=True)
    assert [path.name for path in files if path.read_bytes() != before[path]] == []
    assert_frame_equal(pipeline.collect_results(), FORTY_FIVE)


# --- a DuckDB table -------------------------------------------------------------------------------------


def rows_of(path, table):
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(f"SELECT id FROM {table}").fetchall()


@pytest.mark.parametrize("name", ["out.duckdb", "out.db"])
def test_a_table_has_all_rows_in_order(run, tmp_path, name):
    run.export(tmp_path / name)
    assert rows_of(tmp_path / name, "results") == [(row,) for row in range(45)]


@pytest.mark.parametrize("table", ["results", "my table", 'quo"te', "select", "é", "a; DROP TABLE b", "a.b"])
def test_a_table_may_have_any_name(run, tmp_path, table):
    run.export(tmp_path / "out.duckdb", table=table)
    quoted = '"' + table.replace('"', '""') + '"'
    assert len(rows_of(tmp_path / "out.duckdb", quoted)) == 45


def test_a_table_beside_others_leaves_them_alone(run, tmp_path):
    with duckdb.connect(str(tmp_path / "out.duckdb")) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS id")
    run.export(tmp_path / "out.duckdb")
    assert rows_of(tmp_path / "out.duckdb", "mine") == [(1,)]
    assert len(rows_of(tmp_path / "out.duckdb", "results")) == 45


def test_a_table_that_is_there_is_only_replaced_on_request(run, tmp_path):
    with duckdb.connect(str(tmp_path / "out.duckdb")) as connection:
        connection.execute("CREATE TABLE results AS SELECT 1 AS id")
    with pytest.raises(UsageError, match="the table results exists already"):
        run.export(tmp_path / "out.duckdb")
    assert rows_of(tmp_path / "out.duckdb", "results") == [(1,)]
    run.export(tmp_path / "out.duckdb", overwrite=True)
    assert len(rows_of(tmp_path / "out.duckdb", "results")) == 45


@pytest.mark.parametrize("content", [b"To do: buy milk" * 100, b"x"])
def test_a_file_that_is_no_duckdb_database_is_left_alone(run, tmp_path, content):
    (tmp_path / "out.db").write_bytes(content)
    with pytest.raises(UsageError):
        run.export(tmp_path / "out.db", overwrite=True)
    assert (tmp_path / "out.db").read_bytes() == content


def test_an_sqlite_file_is_left_alone(run, tmp_path):
    with sqlite3.connect(tmp_path / "out.db") as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    before = (tmp_path / "out.db").read_bytes()
    with pytest.raises(UsageError):
        run.export(tmp_path / "out.db")
    assert (tmp_path / "out.db").read_bytes() == before


def test_an_export_that_fails_leaves_no_new_database(run, tmp_path):
    with pytest.raises(UsageError):
        run.export(tmp_path / "out.duckdb", table="")
    assert left(tmp_path) == []


def test_an_exported_file_is_as_readable_as_any_other(run, tmp_path):
    old = os.umask(0o022)
    try:
        run.export(tmp_path / "out.csv")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o644
