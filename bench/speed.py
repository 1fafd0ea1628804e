"""Wall time of a pipeline with a commit for every batch, as a ratio to Polars' one-shot sink.

What is measured: the run alone, from the open source file to the last fsynced part, its checkpoint made on
the way; page cache warm, imports done. Each measurement is a fresh process, and the subjects take turns, so
that whatever else the machine does meets them alike; the ratio is taken round by round.

What isn't: reading from a cold disk, sources other than Parquet, and the one-shot's durability, for it
fsyncs nothing and can't go on after a kill. "Filter one ship mode" can be read in two ways, so both are here.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from bench import lineitem, machine, table
from bench.task import Answer, Task, measure

_REFERENCE = "one_shot"
_SUBJECTS = (_REFERENCE, "one_shot_without_statistics", "built_in_steps", "custom_steps", "naive_loop")


def report(*, rounds: int, batch_size: int, workers: int | None, keep: tuple[str, ...]) -> None:
    """Measure, and print a table for each reading of the filter."""
    source = str(lineitem.path())
    folder = str(lineitem.cache_folder() / "speed")
    print(f"lineitem, {lineitem.ROWS:,} rows × 16 columns, batches of {batch_size:,}, zstd(1); {rounds} rounds")
    print(machine.describe())
    for kept in keep:
        answers = _measured(Task("", source, folder, kept, batch_size, workers=workers), rounds)
        print(f"\nkeep {kept}: {answers[_REFERENCE][0].rows_out:,} rows")
        print(_table(answers))


def _measured(task: Task, rounds: int) -> dict[str, list[Answer]]:
    answers: dict[str, list[Answer]] = {subject: [] for subject in _SUBJECTS}
    for number in range(rounds):
        # Whoever comes after a heavy neighbour changes from round to round.
        turn = number % len(_SUBJECTS)
        for subject in (*_SUBJECTS[turn:], *_SUBJECTS[:turn]):
            answer = measure(replace(task, subject=subject, digest=number == 0))
            answers[subject].append(answer)
            print(f"round {number + 1}: {subject} {answer.wall_seconds:.2f} s", file=sys.stderr)
    digests = {answers[subject][0].digest for subject in _SUBJECTS}
    if len(digests) > 1:
        sys.exit(f"the subjects don't agree in their results: {digests}")
    return answers


def _table(answers: dict[str, list[Answer]]) -> str:
    reference = answers[_REFERENCE]
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
