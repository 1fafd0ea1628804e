"""The result of a check of a checkpoint, and what would repair it, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from engine.checkpoint.loss import Loss


@dataclass(frozen=True, slots=True)
class Check:
    """The check of one thing: what was found, what is wrong with it, and what the next run repairs by itself."""

    what: str
    found: str
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Means(StrEnum):
    """How a checkpoint is repaired."""

    NOTHING = "nothing"
    OPENING = "opening"
    REWIND = "rewind"
    REBUILD = "rebuild"


@dataclass(frozen=True, slots=True)
class Repair:
    """What repairs a checkpoint: how many batches are kept, and what is lost. False if nothing must be done."""

    means: Means
    batches: int = 0
    loss: Loss = field(default_factory=Loss)

    def __bool__(self) -> bool:
        return self.means is not Means.NOTHING


@dataclass(frozen=True, slots=True)
class Report:
    """What is in a checkpoint and what is wrong with it.

    `usable_batches` is the number of batches before the first one that can't be used. `loss` is the sum of the batches
    from that one on, which a repair drops. `quarantine` is None if there is no quarantine.
    """

    catalog: Check
    parts: Check
    frontier_file: Check
    usable_batches: int
    loss: Loss
    quarantine: Check | None = None

    @property
    def checks(self) -> tuple[Check, ...]:
        """All checks, in the order of display."""
        quarantine = () if self.quarantine is None else (self.quarantine,)
        return self.catalog, self.parts, *quarantine, self.frontier_file

    @property
    def sound(self) -> bool:
        """True if nothing is wrong."""
        return not any(check.faults for check in self.checks)

    @property
    def repair(self) -> Repair:
        """What repairs the faults that were found."""
        if self.catalog.faults:
            return Repair(Means.REBUILD, self.usable_batches, self.loss)
        if self.loss:
            return Repair(Means.REWIND, self.usable_batches, self.loss)
        tidy = self.sound and not any(check.notes for check in self.checks)
        return Repair(Means.NOTHING if tidy else Means.OPENING, self.usable_batches)


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair has done, one sentence for each thing, and a new report on the checkpoint."""

    done: tuple[str, ...]
    report: Report
