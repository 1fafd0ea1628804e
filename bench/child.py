"""The process of one measurement: `python -m bench.child '{"subject": …}'`.

Before the clock starts, it imports everything, reads the source to warm the page cache, and writes out dirty pages, so
that no measurement pays for the writes of the one before.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench.subjects import SUBJECTS, digest, row_count
from bench.task import Answer, Task

_CHUNK = 1 << 20


def main() -> None:
    """Run the task in the first argument, and print the answer as JSON."""
    task = Task(**json.loads(sys.argv[1]))
    folder = Path(task.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    work = SUBJECTS[task.subject](task)
    _warm(Path(task.source))
    os.sync()
    wall, cpu = time.perf_counter(), time.process_time()
    parts = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    rows = row_count(parts)
    answer = Answer(wall, cpu, peak_mb, rows, digest(parts) if task.digest else "")
    shutil.rmtree(folder)
    print(json.dumps(asdict(answer)))


def _warm(source: Path) -> None:
    buffer = bytearray(_CHUNK)
    for path in sorted(source.glob("*.parquet")) if source.is_dir() else [source]:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


if __name__ == "__main__":
    main()
