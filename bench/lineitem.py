"""The data: TPC-H `lineitem` at scale 1, 6,001,215 rows of 16 columns, made once and kept.

`tpchgen-cli` makes the same bytes everywhere; a file that differs by one byte is refused, so that figures
from different machines are about the same work.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import platformdirs

ROWS = 6_001_215
SHA256 = "e48f1ecdb0c0353b274f2311855d8a81f6c5d503e68f93b72f92096ba1ed1863"
MADE_BY = "tpchgen-cli 4.0.0"


def cache_folder() -> Path:
    """Return where data and scratch files go: `BATCHPIPE_BENCH_DIR`, or the user's cache."""
    chosen = os.environ.get("BATCHPIPE_BENCH_DIR")
    folder = Path(chosen) if chosen else platformdirs.user_cache_path("batchpipe-tui") / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def path() -> Path:
    """Return the file, making it on first use (5 s, 232 MB)."""
    file = cache_folder() / "lineitem.parquet"
    if not file.exists():
        _make(file)
    return file


def tenfold() -> Path:
    """Return a folder whose ten files are all the same bytes: ten times the rows, the disk space of one."""
    folder = cache_folder() / "lineitem-x10"
    folder.mkdir(exist_ok=True)
    for number in range(10):
        copy = folder / f"lineitem-{number}.parquet"
        if not copy.exists():
            copy.hardlink_to(path())
    return folder


def _make(file: Path) -> None:
    command = shutil.which("tpchgen-cli", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]]))
    if command is None:
        sys.exit("the benchmarks' data is made by tpchgen-cli: pip install 'tpchgen-cli==4.0.0'")
    print(f"making {file} …", file=sys.stderr)
    workshop = file.with_name("lineitem.tmp")
    workshop.mkdir(exist_ok=True)
    subprocess.run(  # noqa: S603 (found above)
        [command, "parquet", "-s", "1", "--tables", "lineitem", "--output-dir", str(workshop)], check=True
    )
    made = workshop / "lineitem.parquet"
    with made.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != SHA256:
        sys.exit(f"{made} is not what {MADE_BY} makes: its SHA-256 is {digest}, not {SHA256}")
    made.replace(file)
    workshop.rmdir()
