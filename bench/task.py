"""One measurement: the task for a new process, and its answer."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Task:
    """What to measure: a subject of `bench.subjects` that reads `source` and writes its files to `folder`.

    `keep` says which ship modes stay: "all but AIR" (6 rows of 7) or "only AIR" (1 of 7). `digest` asks for a
    digest of the results, in their order; it is computed after the measurement. `workers` and `batch_bytes` are those
    of the engine, None for its defaults.
    """

    subject: str
    source: str
    folder: str
    keep: str = "all but AIR"
    batch_size: int = 100_000
    digest: bool = False
    workers: int | None = None
    batch_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Seconds of wall time and of CPU time (all threads) for the work alone, and the peak of the process in MB.

    The peak includes the interpreter and imports; the seconds don't.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    rows_out: int
    digest: str = ""


def measure(task: Task) -> Answer:
    """Return the answer of a new process for this task. Raises CalledProcessError if it fails."""
    # The parent must stay small: on Linux the peak of a process includes its size before exec.
    done = subprocess.run(  # noqa: S603 (this interpreter)
        [sys.executable, "-m", "bench.child", json.dumps(asdict(task))],
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        text=True,
    )
    return Answer(**json.loads(done.stdout.splitlines()[-1]))
