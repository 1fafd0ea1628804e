"""Values on their way into each database."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal

import polars as pl
import pytest

from engine import BatchPipeline, FrameFetcher
from engine.errors import SinkNotUsable

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.needs("postgres"))
MOMENT = datetime(2024, 2, 29, 23, 59, 59, 999_999)
FRAME = pl.DataFrame(
    {
        "id": [0, 1, 2],
        "i8": pl.Series([-128, 127, None], dtype=pl.Int8),
        "i64": [-(2**63), 2**63 - 1, None],
        "u32": pl.Series([0, 2**32 - 1, None], dtype=pl.UInt32),
        "f32": pl.Series([0.5, -1024.25, None], dtype=pl.Float32),
        "f64": [0.1, 1e300, None],
        "yes": [True, False, None],
        "text": ["", 'a "quoted", \\ text\nof 2 lines % :x', None],
        "letters": ["é☃𝄞", "\\N", "NULL"],
        "money": pl.Series([Decimal("-0.01"), Decimal("12345678.90"), None], dtype=pl.Decimal(12, 2)),
        "day": [date(1, 1, 1), date(9999, 12, 31), None],
        "clock": [time(0), time(23, 59, 59, 999_999), None],
        "at": [MOMENT, datetime(1, 1, 1), None],
        "bytes": [b"", b"\x00\xff'\\", None],
    }
).with_columns(zoned=pl.col("at").dt.replace_time_zone("Asia/Tokyo", ambiguous="earliest"))


def run(folder, place, frame):
    BatchPipeline([], FrameFetcher(frame), 2, folder / "checkpoint", sinks=[place.sink()]).run()


def test_every_value_arrives(tmp_path, place):
    frame = FRAME.with_columns(zoned=pl.lit(datetime(2024, 1, 1, 9)).dt.replace_time_zone("Asia/Tokyo"))
    run(tmp_path, place, frame)
    columns = ", ".join(f'"{name}"' for name in frame.columns if name != "zoned")
    rows = place.rows(f"SELECT {columns} FROM target ORDER BY id")
    wanted = frame.drop("zoned").rows()
    if place.kind == "sqlite":  # it stores dates as texts and decimals as numbers
        wanted = [tuple(_as_sqlite(value) for value in row) for row in wanted]
    assert rows == wanted
    zone = {
        "postgresql": "zoned = TIMESTAMPTZ '2024-01-01 00:00:00Z'",
        "duckdb": "epoch(zoned) = 1704067200",
        "sqlite": "zoned = '2024-01-01 00:00:00.000000'",
    }
    assert place.rows(f"SELECT count(*) FROM target WHERE {zone[place.kind]}") == [(3,)]


def _as_sqlite(value):
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat(" ", timespec="microseconds")
    if isinstance(value, time):
        return value.isoformat(timespec="microseconds")
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize("place", [POSTGRESQL, "duckdb"], indirect=True)
def test_not_a_number_and_infinity_arrive(tmp_path, place):
    run(tmp_path, place, pl.DataFrame({"id": [0, 1, 2], "x": [float("nan"), float("inf"), float("-inf")]}))
    assert [str(row[0]) for row in place.rows("SELECT x FROM target ORDER BY id")] == ["nan", "inf", "-inf"]


@pytest.mark.parametrize("place", [POSTGRESQL, "duckdb"], indirect=True)
def test_a_category_arrives_as_text(tmp_path, place):
    run(tmp_path, place, pl.DataFrame({"kind": pl.Series(["a", "b", None], dtype=pl.Enum(["a", "b"]))}))
    assert sorted(place.rows("SELECT kind FROM target"), key=str) == [("a",), ("b",), (None,)]


@pytest.mark.parametrize("place", [POSTGRESQL, "sqlite"], indirect=True)
@pytest.mark.parametrize(
    "column",
    [pl.Series("x", [[1]]), pl.Series("x", [{"a": 1}]), pl.Series("x", [MOMENT - datetime(2024, 1, 1)])],
    ids=["list", "struct", "duration"],
)
def test_a_dtype_that_the_database_has_no_type_for_is_refused_by_name(tmp_path, place, column):
    with pytest.raises(SinkNotUsable, match="column 'x' has the dtype") as caught:
        run(tmp_path, place, pl.DataFrame([column]))
    assert "Convert it" in caught.value.hint


@pytest.mark.parametrize("place", [POSTGRESQL], indirect=True)
def test_texts_go_into_columns_of_other_types_by_their_own_rules(tmp_path, place):
    place.execute(
        "CREATE TABLE target (id uuid, doc jsonb, price numeric(20, 6), extra text DEFAULT 'x', batch_id bigint)"
    )
    frame = pl.DataFrame({"id": ["0b8b8e57-1b0f-4c39-9e5a-0d6b0a4f6f1e"], "doc": ['{"a": [1]}'], "price": ["1.5"]})
    run(tmp_path, place, frame)
    assert place.rows("SELECT doc->'a'->>0, price::text, extra FROM target") == [("1", "1.500000", "x")]


@pytest.mark.parametrize("place", [POSTGRESQL, "sqlite"], indirect=True)
def test_a_table_without_the_columns_is_refused_by_name(tmp_path, place):
    place.execute("CREATE TABLE target (id BIGINT)")
    with pytest.raises(SinkNotUsable, match="has no column value, batch_id"):
        run(tmp_path, place, pl.DataFrame({"id": [1], "value": [2]}))
    assert place.rows("SELECT count(*) FROM target") == [(0,)]
