"""Files whose rows, row groups, lines or columns are far from the usual size: `python -m bench.odd_files FOLDER`.

They are made by a process of their own, because the process that starts the measurements must stay small.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

NAMES = {
    "20,000 rows of 100 KB, in one row group": "rows-of-100-kb.parquet",
    "250,000 rows of 12 KB, in row groups of 5,000": "rows-of-12-kb.parquet",
    "300 million rows, in one row group": "one-row-group.parquet",
    "20,000 columns, 2,000 rows": "columns.parquet",
    "a line of 2 GB, packed": "line.csv.gz",
}

_QUERIES = {
    "rows-of-100-kb.parquet": "SELECT i AS id, repeat(md5(i::VARCHAR), 3125) AS text FROM range(20000) numbers(i)",
    "rows-of-12-kb.parquet": "SELECT i AS id, repeat(md5(i::VARCHAR), 375) AS text FROM range(250000) numbers(i)",
    "one-row-group.parquet": "SELECT i // 30000 AS id FROM range(300000000) numbers(i)",
}
_ROW_GROUPS = {"rows-of-12-kb.parquet": 5_000}
_LINE_BYTES = 2 << 30


def folder(cache: Path) -> Path:
    """Return the folder with the files; make them at the first call (1 min, 20 MB)."""
    found = cache / "odd-files"
    if not all((found / name).exists() for name in NAMES.values()):
        subprocess.run([sys.executable, "-m", "bench.odd_files", str(found)], check=True)  # noqa: S603 (this interpreter)
    return found


def _make(target: Path) -> None:
    import duckdb
    import polars as pl

    target.mkdir(exist_ok=True)
    for name, query in _QUERIES.items():
        rows = _ROW_GROUPS.get(name, 1_000_000_000)
        duckdb.execute(f"COPY ({query}) TO '{target / name}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {rows})")
    pl.DataFrame({f"column {number}": range(2_000) for number in range(20_000)}).write_parquet(
        target / "columns.parquet"
    )
    with gzip.open(target / "line.csv.gz", "wb", compresslevel=6) as file:
        file.write(b"id,text\n1,")
        for _ in range(_LINE_BYTES >> 20):
            file.write(b"x" * (1 << 20))


if __name__ == "__main__":
    _make(Path(sys.argv[1]))
