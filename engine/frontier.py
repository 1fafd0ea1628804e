"""The frontier of the whole pipeline, as a pure value, and its JSON form.

Invariant: a frontier moves only by the next contiguous batch; `advance` refuses anything else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import FrontierUnreadable, RowsNotContiguous
from engine.storage import durable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Frontier:
    """The last batch that every step has finished and that is durable on disk.

    `last_completed_batch_id` and `last_completed_row` are -1 when nothing is committed. Rows are
    *source* rows: a step that drops rows changes neither the last row nor the total. `step_states`
    has the last finished batch of each step, by the name of the step, and -1 for none.

    >>> start = Frontier.at_start(["drop_nulls"])
    >>> start.advance(batch_id=0, start_row=0, end_row=9_999).last_completed_row
    9999
    """

    last_completed_batch_id: int = -1
    last_completed_row: int = -1
    total_rows_processed: int = 0
    step_states: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def at_start(cls, steps: Iterable[str]) -> Frontier:
        """Return the frontier of a pipeline that has committed nothing."""
        return cls(step_states=dict.fromkeys(steps, -1))

    @property
    def next_batch_id(self) -> int:
        """The first batch that isn't committed."""
        return self.last_completed_batch_id + 1

    @property
    def next_row(self) -> int:
        """The first source row that isn't committed, 0-based."""
        return self.last_completed_row + 1

    def advance(self, *, batch_id: int, start_row: int, end_row: int) -> Frontier:
        """Return the frontier after this batch. Raises `RowsNotContiguous` unless it is the next one."""
        if batch_id != self.next_batch_id or start_row != self.next_row or end_row < start_row - 1:
            raise RowsNotContiguous(
                batch_id, start_row, end_row, expected_batch_id=self.next_batch_id, expected_row=self.next_row
            )
        return Frontier(
            last_completed_batch_id=batch_id,
            last_completed_row=end_row,
            total_rows_processed=self.total_rows_processed + end_row - start_row + 1,
            step_states=dict.fromkeys(self.step_states, batch_id),
        )

    def to_json(self) -> str:
        """Return the frontier as the JSON object in `frontier.json`."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def save(self, path: str | Path) -> None:
        """Write the frontier to `path`, atomically and durably."""
        durable.replace_text(Path(path), self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Frontier:
        """Read a frontier that `save` wrote. Raises `FrontierUnreadable`."""
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                last_completed_batch_id=int(content["last_completed_batch_id"]),
                last_completed_row=int(content["last_completed_row"]),
                total_rows_processed=int(content["total_rows_processed"]),
                step_states={str(name): int(batch) for name, batch in content["step_states"].items()},
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise FrontierUnreadable(path, error) from error
