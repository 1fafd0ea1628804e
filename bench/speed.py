"""Wall time of a pipeline with a commit for every batch, relative to the one-shot sink of Polars.

It measures only the run, from opening the source to the last fsynced part, including the creation of the checkpoint.
The page cache is warm, and imports are done before. Each measurement is a new process, and the subjects take turns, so
that other load on the machine affects all of them; the ratio is computed for each round.

It doesn't measure reading from a cold disk, or sources other than Parquet. The one-shot isn't durable: it calls no
fsync, and can't continue after a kill. "Filter one ship mode" has two meanings, so there are measurements for both.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from bench import lineitem, machine, table
from bench.task import Answer, Task, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

REFERENCE = "one_shot"
SUBJECTS = (REFERENCE, "one_shot_without_statistics", "built_in_steps", "custom_steps", "naive_loop")
KEEPS = ("all but AIR", "only AIR")


def report(
    *,
    rounds: int,
    batch_size: int,
    workers: int | None,
    tenfold: bool,
    keeps: Sequence[str],
    subjects: Sequence[str],
) -> None:
    """Measure, and print a table for each meaning of the filter. `tenfold` takes ten times the source."""
    source = lineitem.tenfold() if tenfold else lineitem.path()
    rows = lineitem.ROWS * (10 if tenfold else 1)
    folder = str(lineitem.cache_folder() / "speed")
    print(f"lineitem, {rows:,} rows × 16 columns, batches of {batch_size:,}, zstd(1); {rounds} rounds")
    print(machine.describe())
    for keep in keeps:
        answers = _measured(Task("", str(source), folder, keep, batch_size, workers=workers), rounds, subjects)
        print(f"\nkeep {keep}: {answers[REFERENCE][0].rows_out:,} rows")
        print(_table(answers))


def _measured(task: Task, rounds: int, subjects: Sequence[str]) -> dict[str, list[Answer]]:
    subjects = list(dict.fromkeys((REFERENCE, *subjects)))
    answers: dict[str, list[Answer]] = {subject: [] for subject in subjects}
    for number in range(rounds):
        # The order changes in each round, so that no subject always follows the same one.
        turn = number % len(subjects)
        for subject in (*subjects[turn:], *subjects[:turn]):
            answer = measure(replace(task, subject=subject, digest=number == 0))
            answers[subject].append(answer)
            print(f"round {number + 1}: {subject} {answer.wall_seconds:.2f} s", file=sys.stderr)
    digests = {answers[subject][0].digest for subject in subjects}
    if len(digests) > 1:
        sys.exit(f"the subjects have different results: {digests}")
    return answers


def _table(answers: dict[str, list[Answer]]) -> str:
    reference = answers[REFERENCE]
    rows = []
    for subject, measured in answers.items():
        wall = [one.wall_seconds / other.wall_seconds for one, other in zip(measured, reference, strict=True)]
        cpu = [one.cpu_seconds / other.cpu_seconds for one, other in zip(measured, reference, strict=True)]
        rows.append(
            [
                subject.replace("_", " "),
                table.median([answer.wall_seconds for answer in measured]),
                table.spread(wall),
                table.median([answer.cpu_seconds for answer in measured]),
                table.median(cpu),
                table.median([answer.peak_mb for answer in measured], 0),
            ]
        )
    return table.render(["subject", "wall s", "ratio (least … greatest)", "CPU s", "ratio", "peak MB"], rows)
