"""The facts about one finished batch: a row of the catalog, and the metadata of its part.

The same value is stored in both places, so that the catalog can be rebuilt from the parts.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.text.json_values import Json


_WORDS_OF_FORMAT_1 = {"token": "attempt_id", "generation": "epoch"}
"""The format of the metadata. A migration of the catalog doesn't change the metadata of existing parts."""


FROM_SOURCE = ""
"""The `from_step` of rows that the source can't read: a replay reads them again. No step has an empty name."""


@dataclass(frozen=True, slots=True)
class StepTiming:
    """How long one step, or several fused steps, took for a batch. Row counts are None if they weren't counted."""

    steps: tuple[str, ...]
    seconds: float
    rows_in: int | None = None
    rows_out: int | None = None


@dataclass(frozen=True, slots=True)
class QuarantineFile:
    """One file of rows in quarantine: its content, and how a replay continues with them.

    `step` is the step in which the first of them failed, or "source", with `error`. `from_step` is the first step that
    a replay applies to the rows, `FROM_SOURCE` if it must read them again. `whole` is True if the file has all rows of
    the batch at that step, and not single rows. `obstacle` says why they can't be replayed; it is empty if they can.
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

    `start_row` and `end_row` are source rows, both inclusive. `attempt_id` names the attempt that wrote the part.
    `epoch` counts the rewinds and resets before it. `cursor` is the position in the source after the
    batch, None for a source without cursors; `states` are the snapshots of the stateful steps, by name.
    `write_seconds` is 0 in a manifest that was read from a part, which is written before the time is known.
    `bytes_written` and `checksum` (CRC-32 of the file, 8 hex digits) are those of the part. `rows_quarantined` source
    rows are in the files of `quarantine` instead of the results.
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
        """The seconds for the batch: fetch, steps and write, including the time it waited for its turn."""
        return self.fetch_seconds + sum(timing.seconds for timing in self.timings) + self.write_seconds

    def with_part(self, *, bytes_written: int, checksum: str) -> Manifest:
        """Return the manifest with size and checksum, which are known only after the part is encoded."""
        return replace(self, bytes_written=bytes_written, checksum=checksum)

    def to_json(self) -> str:
        """Return the manifest as JSON. Raises TypeError for a cursor or snapshot that isn't JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Return the manifest that `to_json` wrote, of any format. Raises ValueError, TypeError or KeyError."""
        content = json.loads(text)
        for word, new_word in _WORDS_OF_FORMAT_1.items():
            if word in content:
                content[new_word] = content.pop(word)
        timings = tuple(
            StepTiming(tuple(t["steps"]), t["seconds"], t["rows_in"], t["rows_out"]) for t in content.pop("timings")
        )
        quarantine = tuple(QuarantineFile(**one) for one in content.pop("quarantine"))
        return cls(timings=timings, quarantine=quarantine, **content)
