from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engine.batch import Batch
from engine.executors.ray.serialization import pack, unpack

cloudpickle = pytest.importorskip("ray").cloudpickle

FRAME = pl.DataFrame(
    {
        "whole": [1, None],
        "text": ["short", "long enough to be no view"],
        "list": [[1, 2], []],
        "struct": [{"a": 1, "b": "z"}, {"a": None, "b": ""}],
        "decimal": [Decimal("1.20"), None],
        "moment": [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)] * 2,
        "bytes": [b"x", b""],
        "null": [None, None],
    }
).with_columns(
    pl.col("text").cast(pl.Categorical).alias("category"),
    pl.Series("enum", ["a", "b"], dtype=pl.Enum(["a", "b"])),
    pl.Series("array", [[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)),
    pl.col("whole").cast(pl.Int128).alias("large"),
)


@pytest.mark.parametrize(
    "frame", [FRAME, FRAME.clear(), FRAME[:1], pl.DataFrame()], ids=["all", "no row", "one", "none"]
)
def test_a_frame_arrives_as_it_was(frame):
    batch = unpack(pack(cloudpickle, {"batch": Batch(3, 10, 11, frame, "key")}))["batch"]
    assert (batch.batch_id, batch.start_row, batch.end_row, batch.key) == (3, 10, 11, "key")
    assert batch.data.schema == frame.schema
    assert_frame_equal(batch.data, frame)


def test_a_frame_that_is_there_twice_travels_once():
    once, twice = pack(cloudpickle, [FRAME]), pack(cloudpickle, [FRAME, FRAME])
    assert len(once[1]) == len(twice[1]) == 1


def test_what_can_not_be_sent_is_said():
    with pytest.raises(TypeError, match="lock"):
        pack(cloudpickle, threading.Lock())
    with pytest.raises(pl.exceptions.PolarsError, match="Object"):
        pack(cloudpickle, pl.DataFrame({"it": pl.Series([object()], dtype=pl.Object)}))


@pytest.mark.integration
def test_a_worker_can_limit_the_threads_of_polars_before_it_is_loaded():
    program = "import sys, engine.executors.ray.task; print('polars' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout == "False\n"
