"""Reading a PostgreSQL table: a whole run of the engine, relative to the fastest plain stream of the same query.

The query reads the table `lineitem` (TPC-H, the first 2,000,000 rows × 16 columns, a primary key of two columns) in the
order of its key. The plain streams return frames and keep nothing; the engine also writes each batch as a durable part
and commits it; paging by OFFSET is the obvious first solution. Server and client share the machine. Each measurement is
a new process, the subjects take turns, and ratios are computed for each round.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import lineitem, machine, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl
    import sqlalchemy as sa

ROWS = 2_000_000
BATCH_SIZE = 100_000
_ORDER = "ORDER BY l_orderkey, l_linenumber"
_QUERY = f"SELECT * FROM lineitem {_ORDER}"  # noqa: S608 (constants)
_STREAMS = ("adbc", "copy", "connectorx")


def report(*, url: str, rounds: int) -> None:
    """Load the table if it doesn't exist, measure, and print the figures."""
    _load(url)
    subjects = ["pipeline", "pipeline_by_rows", *_streams(), "offset"]
    answers: dict[str, list[dict[str, float]]] = {subject: [] for subject in subjects}
    for number in range(rounds):
        turn = number % len(subjects)
        for subject in (*subjects[turn:], *subjects[:turn]):
            answers[subject].append(_measured(subject, url))
            print(f"round {number + 1}: {subject} {answers[subject][-1]['wall']:.2f} s", file=sys.stderr)
    print(f"lineitem in PostgreSQL, {ROWS:,} rows × 16 columns, batches of {BATCH_SIZE:,}; {rounds} rounds")
    print(machine.describe())
    fastest = [min(answers[stream][number]["wall"] for stream in _streams()) for number in range(rounds)]
    lines = []
    for subject, measured in answers.items():
        ratio = [one["wall"] / best for one, best in zip(measured, fastest, strict=True)]
        last = [one["last"] / one["first"] for one in measured if one["first"]]
        lines.append(
            [
                subject.replace("_", " "),
                table.median([one["wall"] for one in measured]),
                table.spread(ratio),
                table.median([one["cpu"] for one in measured]),
                table.spread(last) if last else "",
            ]
        )
    heads = ["subject", "wall s", "÷ fastest stream", "client CPU s", "last ÷ first page"]
    print(table.render(heads, lines))


def _streams() -> list[str]:
    return [name for name in _STREAMS if name != "connectorx" or importlib.util.find_spec("connectorx")]


def _measured(subject: str, url: str) -> dict[str, float]:
    done = subprocess.run(  # noqa: S603 (this interpreter)
        [sys.executable, "-m", "bench.sql", subject, url],
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        text=True,
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if answer.pop("rows") != ROWS:
        sys.exit(f"{subject} did not return {ROWS:,} rows")
    return answer


def _load(url: str) -> None:
    import io

    import polars as pl
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass('lineitem')").fetchone() != (None,):
            return
        rows = pl.scan_parquet(lineitem.path())
        types = {"Int64": "bigint", "Int32": "integer", "String": "text", "Date": "date"}
        columns = ", ".join(
            f"{name} {types.get(str(dtype), 'numeric(15, 2)')}" for name, dtype in rows.collect_schema().items()
        )
        connection.execute(f"CREATE TABLE lineitem ({columns})".encode())
        with connection.cursor() as cursor, cursor.copy("COPY lineitem FROM STDIN (FORMAT csv)") as copy:
            for start in range(0, ROWS, BATCH_SIZE):
                piece = io.BytesIO()
                rows.slice(start, BATCH_SIZE).collect().write_csv(piece, include_header=False)
                copy.write(piece.getvalue())
        connection.execute("ALTER TABLE lineitem ADD PRIMARY KEY (l_orderkey, l_linenumber)")
        connection.execute("VACUUM ANALYZE lineitem")


# --- the subjects, each in a process of its own -----------------------------------------------------------


def _adbc(url: str) -> Iterator[pl.DataFrame]:
    import polars as pl

    driver = importlib.import_module("adbc_driver_postgresql.dbapi")
    with driver.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(_QUERY)
        yield pl.DataFrame(cursor.fetch_arrow())


def _copy(url: str) -> Iterator[pl.DataFrame]:
    import polars as pl
    import psycopg

    with (
        psycopg.connect(url) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"COPY ({_QUERY}) TO STDOUT (FORMAT csv)") as copy,
    ):
        schema = pl.scan_parquet(lineitem.path()).collect_schema()
        rows: list[bytes] = []
        for row in copy:
            rows.append(bytes(row))
            if len(rows) == BATCH_SIZE:
                yield pl.read_csv(b"".join(rows), has_header=False, schema=schema)
                rows.clear()
        if rows:
            yield pl.read_csv(b"".join(rows), has_header=False, schema=schema)


def _connectorx(url: str) -> Iterator[pl.DataFrame]:
    import polars as pl

    yield pl.read_database_uri(_QUERY, url, engine="connectorx")


def _stream(frames: Callable[[str], Iterator[pl.DataFrame]]) -> Callable[[str], dict[str, float]]:
    def work(url: str) -> dict[str, float]:
        return {"rows": sum(frame.height for frame in frames(url)), "first": 0.0, "last": 0.0}

    return work


def _pipeline(url: str) -> dict[str, float]:
    return _run(url)


def _pipeline_by_rows(url: str) -> dict[str, float]:
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    engine.dialect.driver = "another one"  # with psycopg it would be COPY
    return _run(engine)


def _run(source: str | sa.Engine) -> dict[str, float]:
    import shutil

    from engine import BatchPipeline, SqlFetcher
    from engine.events import BatchFetched

    folder = lineitem.cache_folder() / "sql"
    shutil.rmtree(folder, ignore_errors=True)
    seconds: dict[int, float] = {}

    def listen(event: object) -> None:
        if isinstance(event, BatchFetched):
            seconds[event.batch_id] = event.seconds

    pipeline = BatchPipeline([], SqlFetcher(source, "lineitem"), BATCH_SIZE, folder, listeners=[listen])
    pipeline.run()
    rows = pipeline.get_frontier().total_rows_processed
    shutil.rmtree(folder)
    return {"rows": float(rows), **_ends([seconds[batch_id] for batch_id in sorted(seconds)])}


def _offset(url: str) -> dict[str, float]:
    import polars as pl
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    rows = 0
    seconds: list[float] = []
    while True:
        began = time.perf_counter()
        page = pl.read_database(f"{_QUERY} LIMIT {BATCH_SIZE} OFFSET {rows}", engine)
        if not page.height:
            return {"rows": float(rows), **_ends(seconds)}
        seconds.append(time.perf_counter() - began)
        rows += page.height


def _ends(seconds: list[float]) -> dict[str, float]:
    """Return the median of pages 2 to 4 and of the last three pages; page 1 is left out as a warm-up."""
    return {"first": sorted(seconds[1:4])[1], "last": sorted(seconds[-3:])[1]}


_SUBJECTS: dict[str, Callable[[str], dict[str, float]]] = {
    "pipeline": _pipeline,
    "pipeline_by_rows": _pipeline_by_rows,
    "adbc": _stream(_adbc),
    "copy": _stream(_copy),
    "connectorx": _stream(_connectorx),
    "offset": _offset,
}


def _child(subject: str, url: str) -> None:
    import duckdb  # noqa: F401 (their imports must not be timed)
    import polars as pl  # noqa: F401
    import psycopg  # noqa: F401
    import sqlalchemy  # noqa: F401

    import engine.pipeline  # noqa: F401

    work = _SUBJECTS[subject]
    os.sync()
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work(url)
    answer |= {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps(answer))


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2])
