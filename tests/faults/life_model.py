"""The expected results, quarantine and frontier: the pipeline of `life_pipeline` with plain Python lists.

The model computes no batch ahead, writes no file and can't die. It describes a call of the pipeline as a list of
states, one for each batch that the call changes. A killed call may leave any of them, an undisturbed one the last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from life_pipeline import ATTEMPTS, BAD, BAD_FOR_COUNT, BAD_FOR_TOTAL, DOUBLE, DROP, ROW_WISE, WORSE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from life_pipeline import Life

Row = dict[str, int]
Fault = tuple[Row, "int | None", str]
"""A row as it was at the start of its segment, its number in the source if that is known, and the step."""


class Bad(Exception):
    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.step = step


@dataclass(frozen=True)
class Aside:
    """One file of the quarantine."""

    from_step: str
    rows: tuple[Fault, ...]
    whole: bool
    obstacle: bool


@dataclass(frozen=True)
class Done:
    """One committed batch; `total` is the state of the stateful step after it."""

    start_row: int
    end_row: int
    out: tuple[Row, ...]
    asides: tuple[Aside, ...]
    total: int

    @property
    def quarantined(self) -> int:
        return sum(len(aside.rows) for aside in self.asides)


State = tuple[Done, ...]


def apply(step: str, rows: Sequence[Row], mended: int, total: int) -> list[Row]:
    """Return the rows after a step. Raises `Bad`."""
    refused = {
        "fragile": (BAD, WORSE)[mended:],
        "total": (BAD_FOR_TOTAL,)[mended:],
        "count": (BAD_FOR_COUNT,)[mended:],
    }
    if any(row["kind"] in refused.get(step, ()) for row in rows):
        raise Bad(step)
    if step == "shape":
        return [row for row in rows for _ in range({DROP: 0, DOUBLE: 2}.get(row["kind"], 1))]
    if step == "count":
        return [row | {"n": len(rows)} for row in rows]
    if step == "total":
        sums = [total := total + row["id"] for row in rows]
        return [row | {"total": reached} for row, reached in zip(rows, sums, strict=True)]
    return list(rows)


def through(steps: Sequence[str], rows: Sequence[Row], mended: int, total: int = 0) -> list[Row]:
    for step in steps:
        rows = apply(step, rows, mended, total)
    return list(rows)


def segments(steps: Sequence[str]) -> list[list[str]]:
    """Return the segments: adjacent row-wise steps together, and each other step alone."""
    found: list[list[str]] = []
    for step in steps:
        if found and step in ROW_WISE and found[-1][-1] in ROW_WISE:
            found[-1].append(step)
        else:
            found.append([step])
    return found


def batch(life: Life, start_row: int, end_row: int, total: int) -> Done:
    """Return the batch of these source rows. Raises `Bad` if they stop the run."""
    rows = [{"id": number, "kind": life.kinds[number]} for number in range(start_row, end_row + 1)]
    asides: list[Aside] = []
    parted = segments(["flaky", *life.order])
    for number, segment in enumerate(parted):
        behind = [step for other in parted[number + 1 :] for step in other]
        numbers = [start_row + place if number == 0 else None for place in range(len(rows))]
        if segment[0] in ROW_WISE:
            good: list[Row] = []
            faults: list[Fault] = []
            for row, source_row in zip(rows, numbers, strict=True):
                try:
                    good += through(segment, [row], life.mended)
                except Bad as bad:
                    faults.append((row, source_row, bad.step))
            if faults:
                if life.limits is None:
                    raise Bad(faults[0][2])
                asides.append(Aside(segment[0], tuple(faults), whole=False, obstacle=bool(behind)))
            rows = good
            continue
        try:
            after = through(segment, rows, life.mended, total)
        except Bad as bad:
            if life.limits is None:
                raise
            faults = [(row, source_row, bad.step) for row, source_row in zip(rows, numbers, strict=True)]
            asides.append(Aside(segment[0], tuple(faults), whole=True, obstacle="total" in [*segment, *behind]))
            after = []
        if segment == ["total"]:
            total += sum(row["id"] for row in after)
        rows = after
    return Done(start_row, end_row, tuple(rows), tuple(asides), total)


def run(life: Life, state: State) -> tuple[list[State], bool]:
    """Return the states from `state` to the end of an undisturbed run, and whether it ends with an error."""
    states = [state]
    rows = len(life.kinds)
    mishap = life.mishap
    last = state[-1] if state else None
    if life.plain and last and mishap.fetch_fails_at == len(state) - 1:
        return states, True  # the run fetches the last batch again, to check whether the source is still the same
    if life.plain and last and last.end_row - last.start_row + 1 < min(rows - last.start_row, life.batch_size):
        state = state[:-1]
    for batch_id in count(len(state)):
        start = state[-1].end_row + 1 if state else 0
        if start >= rows and batch_id != mishap.fetch_fails_at:
            return states, False
        tries_end = batch_id == mishap.transient_at and mishap.transient_times >= ATTEMPTS
        if tries_end or batch_id in {mishap.fetch_fails_at, mishap.step_fails_at}:
            return states, True
        try:
            done = batch(life, start, min(start + life.batch_size, rows) - 1, state[-1].total if state else 0)
        except Bad:
            return states, True
        if _too_many(life, state, done):
            return states, True
        state = (*state, done)
        states.append(state)
    raise AssertionError


def _too_many(life: Life, state: State, done: Done) -> bool:
    if life.limits is None or not done.quarantined:
        return False
    quarantined = done.quarantined + sum(before.quarantined for before in state)
    most, fraction = life.limits
    return (most is not None and quarantined > most) or (
        fraction is not None and quarantined > fraction * (done.end_row + 1)
    )


def replay(life: Life, state: State) -> list[State]:
    """Return the states of a replay, batch by batch."""
    states = [state]
    for number, done in enumerate(state):
        again = _replayed(life, done)
        if again != done:
            states.append((*states[-1][:number], again, *states[-1][number + 1 :]))
    return states


def _replayed(life: Life, done: Done) -> Done:
    out, left = list(done.out), []
    steps = ["flaky", *life.order]
    for aside in done.asides:
        if aside.obstacle:
            left.append(aside)
            continue
        failed: list[Fault] = []
        rest = steps[steps.index(aside.from_step) :]
        for faults in [aside.rows] if aside.whole else [(fault,) for fault in aside.rows]:
            try:
                out += through(rest, [row for row, _, _ in faults], life.mended)
            except Bad as bad:
                failed += [(row, source_row, bad.step) for row, source_row, _ in faults]
        if failed:
            left.append(replace(aside, rows=tuple(failed)))
    if sum(len(aside.rows) for aside in left) == done.quarantined:
        return done
    return replace(done, out=tuple(sorted(out, key=lambda row: row["id"])), asides=tuple(left))


def quarantine(state: State) -> Iterator[tuple[int, int | None, str, int | None, bool]]:
    """Yield what a user sees of each row: batch, source row, step, its id if it was quarantined alone, obstacle."""
    for batch_id, done in enumerate(state):
        for aside in done.asides:
            for row, source_row, step in aside.rows:
                yield batch_id, source_row, step, None if aside.whole else row["id"], aside.obstacle
