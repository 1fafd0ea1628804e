import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from engine import SqlBatchStep
from engine.batch import Batch
from engine.errors import UsageError

FRAME = pl.DataFrame({"id": [3, 1, 2], "city": ["Rome", None, "Oslo"]})


@pytest.fixture
def run():
    """Return a function that runs a query over a frame."""
    opened = []

    def run_query(query, frame=FRAME):
        step = SqlBatchStep("sql", query)
        opened.append(step)
        return step.process(Batch(0, 0, frame.height - 1, frame)).data

    yield run_query
    for step in opened:
        step.teardown()


def test_the_batch_is_the_table_batch(run):
    result = run("SELECT id * 10 AS ten, upper(city) AS city FROM batch WHERE id > 1")
    assert result.schema == {"ten": pl.Int64, "city": pl.String}
    assert result.rows() == [(30, "ROME"), (20, "OSLO")]


def test_a_batch_keeps_its_bounds_and_key(run):
    step = SqlBatchStep("sql", "SELECT count(*) AS n FROM batch")
    batch = step.process(Batch(4, 40, 42, FRAME, key="run:4"))
    step.teardown()
    assert batch.data.rows() == [(3,)]
    assert (batch.batch_id, batch.start_row, batch.end_row, batch.key) == (4, 40, 42, "run:4")


def test_a_plain_select_keeps_the_order_of_a_large_batch(run):
    frame = pl.DataFrame({"n": range(300_000)})
    assert run("SELECT n FROM batch WHERE n % 3 = 0", frame)["n"].to_list() == list(range(0, 300_000, 3))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT k, count(*) AS n FROM batch GROUP BY k",
        "SELECT DISTINCT k FROM batch",
        "SELECT x.n, y.n AS m FROM batch x JOIN batch y ON x.n = y.k",
        "SELECT n, row_number() OVER (PARTITION BY k) AS place FROM batch",
    ],
)
def test_rows_come_in_the_same_order_each_time(run, query):
    frame = pl.DataFrame({"n": range(20_000), "k": [number * 7919 % 1000 for number in range(20_000)]})
    first = run(query, frame)
    assert all(run(query, frame).equals(first) for _ in range(5))


def test_a_batch_without_rows_gives_the_same_columns(run):
    query = "SELECT *, id / 2 AS half FROM batch"
    assert run(query, FRAME.clear()).schema == run(query).schema
    assert run(query, FRAME.clear()).height == 0


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("c", [1, None], dtype=pl.Int8),
        pl.Series("c", [2**64 - 1, None], dtype=pl.UInt64),
        pl.Series("c", [1.5, None], dtype=pl.Float32),
        pl.Series("c", [float("nan"), -0.0], dtype=pl.Float64),
        pl.Series("c", [True, None]),
        pl.Series("c", ["ä\x00", None]),
        pl.Series("c", [b"\x00\xff", None]),
        pl.Series("c", [date(2024, 1, 2), None]),
        pl.Series("c", [time(1, 2, 3, 4), None]),
        pl.Series("c", [datetime(2024, 1, 2, 3, 4, 5, 6), None], dtype=pl.Datetime("us")),
        pl.Series("c", [datetime(2024, 1, 2, 3, 4, 5), None], dtype=pl.Datetime("ms")),
        pl.Series("c", [datetime(2024, 1, 2, 3, 4, 5), None], dtype=pl.Datetime("ns")),
        pl.Series("c", [datetime(2024, 1, 2, tzinfo=UTC), None], dtype=pl.Datetime("us", "UTC")),
        pl.Series("c", [Decimal("1.25"), None], dtype=pl.Decimal(10, 2)),
        pl.Series("c", [[1, None], None], dtype=pl.List(pl.Int64)),
        pl.Series("c", [[1, 2], None], dtype=pl.Array(pl.Int64, 2)),
        pl.Series("c", [{"p": 1, "q": "x"}, None]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_dtypes_and_values_come_back_as_they_went_in(run, column):
    frame = column.to_frame()
    assert_frame_equal(run("SELECT * FROM batch", frame), frame)
    assert_frame_equal(run("SELECT * FROM batch", frame[1:]), frame[1:])


@settings(max_examples=40, deadline=None)
@given(
    dataframes(
        cols=4,
        allowed_dtypes=[pl.Int8, pl.UInt64, pl.Float64, pl.Boolean, pl.String, pl.Binary, pl.Date, pl.List(pl.String)],
        allow_null=True,
    )
)
def test_any_frame_comes_back_as_it_went_in(frame):
    step = SqlBatchStep("sql", "SELECT * FROM batch")
    try:
        result = step.process(Batch(0, 0, frame.height - 1, frame)).data
    finally:
        step.teardown()
    assert_frame_equal(result, frame)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pl.Series("c", ["x", None], dtype=pl.Categorical), pl.Series("c", ["x", None])),
        (pl.Series("c", ["x", None], dtype=pl.Enum(["x"])), pl.Series("c", ["x", None])),
        (pl.Series("c", [None, None]), pl.Series("c", [None, None], dtype=pl.Int32)),
        (pl.Series("c", [{"p": None}]), pl.Series("c", [{"p": None}], dtype=pl.Struct({"p": pl.Int32}))),
        (pl.Series("c", [1.5, None], dtype=pl.Float16), pl.Series("c", [1.5, None], dtype=pl.Float32)),
        (pl.Series("c", [2**100], dtype=pl.Int128), pl.Series("c", [Decimal(2**100)], dtype=pl.Decimal(38, 0))),
        (
            pl.Series("c", [datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=1)))]).dt.convert_time_zone(
                "Asia/Tokyo"
            ),
            pl.Series("c", [datetime(2024, 1, 1, 23, tzinfo=UTC)]),
        ),
    ],
    ids=lambda column: str(column.dtype),
)
def test_some_dtypes_come_back_as_others(run, column, expected):
    assert_frame_equal(run("SELECT * FROM batch", column.to_frame()), expected.to_frame())


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("c", [object()], dtype=pl.Object), "SQL can't hold column 'c' of dtype Object"),
        (pl.Series("c", [1], dtype=pl.UInt128), "SQL can't hold column 'c' of dtype UInt128"),
        (pl.Series("c", [[1]], dtype=pl.List(pl.UInt128)), "SQL can't hold column 'c' of dtype List"),
        (pl.Series("c", [timedelta(days=1)]), "column 'c' of the result is INTERVAL"),
        (pl.Series("c", [{"d": timedelta(days=1)}]), "column 'c' of the result is STRUCT"),
    ],
    ids=lambda column: str(getattr(column, "dtype", "")),
)
def test_what_would_be_garbled_is_refused(run, column, message):
    with pytest.raises(UsageError, match=message) as caught:
        run("SELECT * FROM batch", column.to_frame())
    assert caught.value.hint


def test_a_duration_can_be_used_inside_the_query(run):
    frame = pl.DataFrame({"c": [timedelta(seconds=2)]})
    assert run("SELECT epoch_us(c) AS us FROM batch", frame).rows() == [(2_000_000,)]


def test_columns_that_sql_takes_for_the_same_are_refused(run):
    with pytest.raises(UsageError, match="the columns 'a', 'A' have the same name in SQL"):
        run("SELECT * FROM batch", pl.DataFrame({"a": [1], "b": [2], "A": [3]}))
    with pytest.raises(UsageError, match="a column without a name"):
        run("SELECT * FROM batch", pl.DataFrame({"": [1]}))


def test_a_change_of_the_connection_between_batches_leaks_nothing(run):
    step = SqlBatchStep("sql", "SELECT * FROM batch")
    first = step.process(Batch(0, 0, 2, FRAME)).data
    second = step.process(Batch(1, 3, 3, pl.DataFrame({"other": [1.5]}))).data
    step.teardown()
    assert first.rows() == FRAME.rows()
    assert second.rows() == [(1.5,)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM batch, read_csv('/etc/passwd')",
        "SELECT * FROM batch, '/etc/passwd'",
        "SELECT * FROM batch, read_text('/etc/passwd')",
        "SELECT * FROM batch, FRAME",
    ],
)
def test_nothing_but_the_batch_can_be_read(run, query):
    with pytest.raises(duckdb.Error):
        run(query)


@pytest.mark.parametrize(
    "query",
    [
        "DROP VIEW batch",
        "COPY batch TO '/tmp/x.csv'",
        "CREATE TABLE x AS SELECT * FROM batch",
        "SELECT 1; SELECT * FROM batch",
        "SET threads = 4 -- batch",
        "-- batch",
    ],
)
def test_only_one_select_is_taken(run, query):
    step = SqlBatchStep("sql", query)
    with pytest.raises(UsageError, match="the query must be a single SELECT"):
        step.setup()
    with pytest.raises(UsageError, match="the query must be a single SELECT"):
        run(query)


def test_a_mistake_shows_before_the_first_batch():
    with pytest.raises(UsageError, match=r"step 'sql': the query has a mistake: .*syntax error"):
        SqlBatchStep("sql", "SELEC * FROM batch").setup()


@pytest.mark.parametrize("query", ["", None, "SELECT 1", "SELECT * FROM batches"])
def test_a_query_that_does_not_read_the_batch_is_refused_at_construction(query):
    with pytest.raises(UsageError, match="must read from the table batch"):
        SqlBatchStep("sql", query)


def test_errors_from_the_query_name_the_column(run):
    with pytest.raises(duckdb.BinderException, match='"town" not found'):
        run("SELECT town FROM batch")
    with pytest.raises(duckdb.ConversionException, match="Could not convert string 'Rome' to INT32"):
        run("SELECT city::INTEGER AS c FROM batch")


def test_a_failed_batch_does_not_spoil_the_next_one():
    step = SqlBatchStep("sql", "SELECT city::INTEGER AS c FROM batch")
    with pytest.raises(duckdb.ConversionException):
        step.process(Batch(0, 0, 2, FRAME))
    result = step.process(Batch(0, 0, 0, pl.DataFrame({"city": ["7"]}))).data
    step.teardown()
    assert result.rows() == [(7,)]


def test_many_threads_get_their_own_answers():
    step = SqlBatchStep("sql", "SELECT batch_no, count(*) AS n FROM batch GROUP BY batch_no")
    assert step.concurrent

    def answer(number):
        frame = pl.DataFrame({"batch_no": [number] * 500})
        return step.process(Batch(number, 0, 499, frame)).data.rows()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(answer, range(100)))
    step.teardown()
    assert answers == [[(number, 500)] for number in range(100)]


def test_a_step_in_use_can_be_pickled_and_used_again_after_teardown():
    step = SqlBatchStep("sql", "SELECT id FROM batch")
    step.process(Batch(0, 0, 2, FRAME))
    copy = pickle.loads(pickle.dumps(step))
    step.teardown()
    for each in (step, copy):
        assert each.process(Batch(0, 0, 2, FRAME)).data["id"].to_list() == [3, 1, 2]
        each.teardown()


def test_settings_are_the_query_and_row_wise_is_for_the_caller_to_say():
    step = SqlBatchStep("sql", "SELECT * FROM batch")
    assert step.settings() == {"query": "SELECT * FROM batch"}
    assert not step.row_wise
    assert SqlBatchStep("sql", "SELECT * FROM batch", row_wise=True).row_wise


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
import polars as pl
from engine.batch import Batch
from engine import SqlBatchStep

step = SqlBatchStep("sql", "SELECT n + 1 AS n, strftime(seen, '%Y-%m-%d %H') AS seen FROM batch")
frame = pl.DataFrame({"n": [1], "seen": [0]}).cast({"seen": pl.Datetime("us", "UTC")})
print(step.process(Batch(0, 0, 0, frame)).data.rows())
"""


@pytest.mark.integration
def test_neither_pyarrow_nor_the_time_zone_of_the_machine_has_a_part_in_it():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYARROW],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"TZ": "Asia/Tokyo"},
    )
    assert done.stdout == "[(2, '1970-01-01 00')]\n"
