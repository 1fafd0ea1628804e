"""One measurement: what is asked of a fresh process, and what it answers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Task:
    """What to measure: a subject of `bench.subjects` over `source`, its files going to `folder`.

    `keep` is which ship mode stays: "all but AIR" (6 rows of 7) or "only AIR" (1 of 7). `digest` asks for
    a digest of the results, in their order; it is made after the measurement and isn't part of it. `workers` is
    the engine's, None for its default.
    """

    subject: str
    source: str
    folder: str
    keep: str = "all but AIR"
    batch_size: int = 100_000
    digest: bool = False
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Seconds of wall clock and of CPU (all threads) for the work alone, and the process's peak in MB.

    Interpreter start and imports are in the peak and not in the seconds.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    rows_out: int
    digest: str = ""


def measure(task: Task) -> Answer:
    """Return the answer of a process made for this task alone. Raises CalledProcessError when it fails."""
    # The parent stays small: Linux counts what a process was before exec in its peak as well.
    done = subprocess.run(  # noqa: S603 (this interpreter)
        [sys.executable, "-m", "bench.child", json.dumps(asdict(task))],
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        text=True,
    )
    return Answer(**json.loads(done.stdout.splitlines()[-1]))
