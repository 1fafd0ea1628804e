"""The rows in quarantine as people see them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest

from engine import BatchPipeline, FrameFetcher, Quarantine
from engine.errors import CheckpointCorrupt, UsageError
from engine.testing import NumberSource, PickyStep

UNLIMITED = Quarantine(max_rows=None, max_fraction=None)


@pytest.fixture
def run(tmp_path):
    pipeline = BatchPipeline(
        [PickyStep("a", {3, 27}), PickyStep("b", {15})], NumberSource(30), 10, tmp_path / "ck", on_error=UNLIMITED
    )
    pipeline.run()
    return pipeline


def test_rows_come_in_the_order_of_the_source_and_as_many_as_asked_for(run):
    assert [row.source_row for row in run.quarantine.rows()] == [3, 15, 27]
    assert [row.source_row for row in run.quarantine.rows(2)] == [3, 15]
    assert len(run.quarantine.rows(None)) == 3


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_they_are_written_into_one_file(run, tmp_path, suffix):
    path = tmp_path / f"bad{suffix}"
    assert run.quarantine.export(path) == 3
    frame = pl.read_csv(path) if suffix == ".csv" else pl.read_parquet(path)
    assert frame.columns == [
        "batch_id", "source_row", "step", "error_type", "error", "row", "file", "line", "text",
    ]  # fmt: skip
    assert frame["source_row"].to_list() == [3, 15, 27]
    assert frame["error"][1] == "ValueError: 15 is bad"
    assert json.loads(frame["row"][2]) == {"id": 27}
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [path.name]


def test_a_file_that_is_there_is_kept_unless_it_may_go(run, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        run.quarantine.export(path)
    assert path.read_text() == "mine"
    assert run.quarantine.export(path, overwrite=True) == 3


@pytest.mark.parametrize("name", ["bad.txt", "no/such/folder.csv"])
def test_a_place_that_cannot_be_is_a_usage_error(run, tmp_path, name):
    with pytest.raises(UsageError):
        run.quarantine.export(tmp_path / name)


def test_nothing_in_quarantine_is_a_usage_error(tmp_path):
    pipeline = BatchPipeline([PickyStep("a")], NumberSource(30), 10, tmp_path / "ck")
    with pytest.raises(UsageError, match="nothing in quarantine"):
        pipeline.quarantine.export(tmp_path / "bad.csv")
    pipeline.run()
    assert pipeline.quarantine.rows() == []
    with pytest.raises(UsageError, match="nothing in quarantine"):
        pipeline.quarantine.export(tmp_path / "bad.csv")


def test_reasons_are_counted_by_step_and_type(run):
    assert run.quarantine.row_count() == 3
    assert [(one.rows, one.step, one.error) for one in run.quarantine.reasons()] == [
        (2, "a", "ValueError: 3 is bad"),
        (1, "b", "ValueError: 15 is bad"),
    ]


def test_a_damaged_file_is_named(run):
    file = min((run.checkpoint_dir / "quarantine").iterdir())
    file.write_bytes(b"x")
    with pytest.raises(CheckpointCorrupt, match=file.name):
        run.quarantine.rows()


FRAME = pl.DataFrame(
    {
        "id": [0, 1],
        "text": ["ä\n\x1b[31m", None],
        "day": [date(2026, 1, 31), None],
        "at": pl.Series([datetime(2026, 1, 31, 12, tzinfo=UTC), None], dtype=pl.Datetime("us", "UTC")),
        "hour": [time(12, 30), None],
        "took": [timedelta(seconds=5), None],
        "price": pl.Series([Decimal("1.25"), None], dtype=pl.Decimal(10, 2)),
        "raw": [b"\x00\xff", None],
        "list": [[1, 2], None],
        "struct": [{"a": 1, "b": "x"}, None],
        "nothing": pl.Series([None, None], dtype=pl.Null),
        "kind": pl.Series(["x", None], dtype=pl.Categorical),
        "grade": pl.Series(["a", None], dtype=pl.Enum(["a", "b"])),
        "float": [float("nan"), float("inf")],
        "small": pl.Series([1, None], dtype=pl.UInt8),
        "row": [1, 2],
        "step": ["s", "t"],
    }
)


@pytest.mark.parametrize("bad", [{0}, {1}, {0, 1}])
def test_values_of_any_type_go_into_quarantine_and_come_back_as_they_were(tmp_path, bad):
    step = PickyStep("a", bad)
    run = BatchPipeline([step], FrameFetcher(FRAME), 2, tmp_path / "ck", on_error=UNLIMITED)
    run.run()
    assert run.quarantine.export(tmp_path / "bad.csv") == len(bad)
    assert len(run.quarantine.rows()) == len(bad)
    step.bad = set()
    run.quarantine.replay()
    assert run.collect_results().drop("next").equals(FRAME)
    assert run.collect_results().schema == {**FRAME.schema, "next": pl.Int64}
