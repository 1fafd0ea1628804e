"""Peak memory for 6 million rows, for ten times as many rows, for ten times as many batches, and for odd files.

It measures the peak resident size of the whole process, with interpreter, Polars and DuckDB; each measurement is a new
process. The page cache isn't included: the kernel can take it back at any time.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import lineitem, machine, odd_files, table
from bench.task import Task, measure

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class _Case:
    what: str
    source: Path
    rows: int
    batch_size: int


def report(*, rounds: int) -> None:
    """Measure, and print the table."""
    once, tenfold, rows = lineitem.path(), lineitem.tenfold(), lineitem.ROWS
    cases = (
        _Case("the source", once, rows, 100_000),
        _Case("ten times the source", tenfold, 10 * rows, 100_000),
        _Case("small batches", once, rows, 10_000),
        _Case("ten times the source, small batches", tenfold, 10 * rows, 10_000),
    )
    print(f"lineitem, 16 columns, built-in steps, peak of the process; {rounds} rounds")
    print(machine.describe())
    peaks: dict[_Case, list[float]] = {case: [] for case in cases}
    for number in range(rounds):
        for case in cases:
            task = Task(
                "built_in_steps",
                str(case.source),
                str(lineitem.cache_folder() / "memory"),
                batch_size=case.batch_size,
            )
            answer = measure(task)
            peaks[case].append(answer.peak_mb)
            print(f"round {number + 1}: {case.what} {answer.peak_mb:.0f} MB", file=sys.stderr)
    base = {case.batch_size: statistics.median(peaks[case]) for case in reversed(cases)}
    print()
    print(
        table.render(
            ["what", "rows", "batches", "peak MB (least … greatest)", "growth"],
            [
                [
                    case.what,
                    f"{case.rows:,}",
                    f"{-(-case.rows // case.batch_size):,}",
                    table.spread(peaks[case], 0),
                    f"{statistics.median(peaks[case]) / base[case.batch_size] - 1:+.1%}",
                ]
                for case in cases
            ],
        )
    )
    fewer, more = (statistics.median(peaks[case]) for case in (cases[0], cases[2]))
    print(f"\nthe same rows in ten times as many batches: {more / fewer - 1:+.1%}")
    print()
    _report_odd_files()


def _report_odd_files() -> None:
    """Print the peak for files whose memory doesn't follow from their number of rows, or from their size."""
    folder = odd_files.folder(lineitem.cache_folder())
    rows: list[list[str]] = []
    for what, name in odd_files.NAMES.items():
        for batch_bytes in (None,) if name.endswith(".gz") else (None, 32 << 20):
            task = Task(
                "refused" if name.endswith(".gz") else "no_steps",
                str(folder / name),
                str(lineitem.cache_folder() / "memory"),
                batch_size=1_000_000 if "300 million" in what else 50_000,
                batch_bytes=batch_bytes,
            )
            answer = measure(task)
            size = (folder / name).stat().st_size / 1e6
            bound = "default" if batch_bytes is None else f"{batch_bytes >> 20} MiB"
            rows.append([what, f"{size:.2f}", bound, f"{answer.wall_seconds:.1f}", f"{answer.peak_mb:.0f}"])
    print(table.render(["what", "file MB", "batch_bytes", "s", "peak MB"], rows))
