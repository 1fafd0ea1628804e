"""The same flights, from a database and into one.

The first database is an SQLite file in the cache folder of the user, created from `flights.parquet` on first use. The
pipeline writes the late flights to the table `late_flights` of a second SQLite file, beside the checkpoint.
"""

import sqlite3
from pathlib import Path

import polars as pl
from platformdirs import user_cache_path

from engine import AddColumnBatchStep, BatchPipeline, FilterBatchStep, SqlFetcher, SqlSink

FLIGHTS = Path(__file__).with_name("flights.parquet")
LATE_MINUTES = 15
COLUMNS = ("time_hour", "carrier", "flight", "origin", "dest", "dep_delay", "arr_delay", "distance")


def database() -> Path:
    path = user_cache_path("batchpipe-tui", ensure_exists=True) / "flights.sqlite"
    if path.exists():
        return path
    flights = pl.read_parquet(FLIGHTS, columns=list(COLUMNS)).with_columns(
        pl.col("time_hour").dt.strftime("%Y-%m-%d %H:%M:%S")
    )
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    connection = sqlite3.connect(temporary)
    connection.execute(
        "CREATE TABLE flights (id INTEGER PRIMARY KEY, time_hour DATETIME, carrier TEXT, flight INTEGER, origin TEXT, "
        "dest TEXT, dep_delay REAL, arr_delay REAL, distance REAL)"
    )
    connection.executemany("INSERT INTO flights VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", flights.iter_rows())
    connection.commit()
    connection.close()
    return temporary.replace(path)


def pipeline(checkpoint_dir: str | Path = "checkpoints/flights_sql") -> BatchPipeline:
    checkpoints = Path(checkpoint_dir)
    checkpoints.parent.mkdir(parents=True, exist_ok=True)
    return BatchPipeline(
        name="late flights",
        steps=[
            FilterBatchStep("late", pl.col("arr_delay") > LATE_MINUTES),
            AddColumnBatchStep("in_seconds", "arr_delay", multiplier=60, output="arr_delay_seconds"),
        ],
        batch_fetcher=SqlFetcher(f"sqlite:///{database()}", "flights"),
        batch_size=20_000,
        checkpoint_dir=checkpoints,
        sinks=[SqlSink(f"sqlite:///{checkpoints}.sqlite", "late_flights")],
    )
