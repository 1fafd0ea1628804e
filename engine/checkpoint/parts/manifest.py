"""What is known about one finished batch: a row of the catalog, and the metadata of its part.

The same value is kept in both places, so that the catalog can be made again from the parts.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.text.json_values import Json


_WORDS_OF_FORMAT_1 = {"token": "attempt_id", "generation": "epoch"}
"""Parts keep the metadata that they were written with, also when their catalog is migrated."""


@dataclass(frozen=True, slots=True)
class StepTiming:
    """How long one step, or several fused ones, took for a batch. Rows are None where nobody counted."""

    steps: tuple[str, ...]
    seconds: float
    rows_in: int | None = None
    rows_out: int | None = None


@dataclass(frozen=True, slots=True)
class QuarantineFile:
    """One file of rows that were taken out of a batch: what it holds, and how a replay takes them up again.

    `step` is where the first of them failed, with `error`. `from_step` names the first step that the rows go through
    again. `whole` says that they are the batch's rows at that step, all of them, and not single ones. `obstacle` says
    why they can't be replayed, empty when they can.
    """

    rows: int
    step: str
    error: str
    from_step: str
    whole: bool = False
    obstacle: str = ""
    bytes_written: int = 0
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One batch with its results written under a temporary name, ready to be committed.

    Rows are source rows, both bounds inclusive. `attempt_id` names the attempt that wrote the part.
    `epoch` counts the rewinds and resets before it. `cursor` is the position in the source after the
    batch, None for a source without one; `states` are the snapshots of the stateful steps, by name.
    `write_seconds` is 0 in a manifest that was read from a part, which can't know it.
    `bytes_written` and `checksum` (CRC-32 of the file, 8 hex digits) are those of the part. `rows_quarantined` of the
    source rows are in the files of `quarantine` instead of the results.
    """

    batch_id: int
    start_row: int
    end_row: int
    rows_out: int
    run_id: int
    epoch: int
    attempt_id: str
    attempts: int = 1
    fetch_seconds: float = 0.0
    write_seconds: float = 0.0
    timings: tuple[StepTiming, ...] = ()
    cursor: Mapping[str, Json] | None = None
    states: Mapping[str, Json] | None = None
    bytes_written: int = 0
    checksum: str = ""
    rows_quarantined: int = 0
    quarantine: tuple[QuarantineFile, ...] = ()

    @property
    def rows_in(self) -> int:
        """Number of source rows."""
        return self.end_row - self.start_row + 1

    @property
    def seconds(self) -> float:
        """How long the batch was worked on: fetch, steps and write, with what it waited for its turn."""
        return self.fetch_seconds + sum(timing.seconds for timing in self.timings) + self.write_seconds

    def with_part(self, *, bytes_written: int, checksum: str) -> Manifest:
        """Return the manifest with what is known only once the part is encoded."""
        return replace(self, bytes_written=bytes_written, checksum=checksum)

    def to_json(self) -> str:
        """Return the manifest as JSON. Raises TypeError for a cursor or snapshot that isn't JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Return the manifest that `to_json` wrote, in whatever format. Raises ValueError, TypeError or KeyError."""
        content = json.loads(text)
        for word, new_word in _WORDS_OF_FORMAT_1.items():
            if word in content:
                content[new_word] = content.pop(word)
        timings = tuple(
            StepTiming(tuple(t["steps"]), t["seconds"], t["rows_in"], t["rows_out"]) for t in content.pop("timings")
        )
        quarantine = tuple(QuarantineFile(**one) for one in content.pop("quarantine"))
        return cls(timings=timings, quarantine=quarantine, **content)
