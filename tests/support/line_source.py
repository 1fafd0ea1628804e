"""A source of text lines, each of which should be a number: the fake for rows that a source can't read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engine.batch import Batch, SourceRow
from engine.errors import SourceError
from engine.sources.base import SeekableFetcher, SourceSize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from engine.sources.base import Position
    from engine.text.json_values import Json


def lines(rows: int, bad: Iterable[int] = ()) -> list[str]:
    """Return one line for each of `rows` rows: its number, or text that is no number."""
    return [f"x{number}" if number in set(bad) else str(number) for number in range(rows)]


class LineSource(SeekableFetcher):
    """Gives one Int64 column `id`. Change `lines` to mend the source.

    `way` is how the engine reads it: "in order", "concurrent" or "planned". `read_again` are the rows that were read
    again, with their texts. `opened` are the positions at which it was opened.
    """

    def __init__(self, rows: Sequence[str], *, way: str = "in order") -> None:
        self.lines = list(rows)
        self.concurrent = way == "concurrent"
        self.plans = way == "planned"
        self.read_again: list[tuple[int, str | None]] = []
        self.opened: list[Position] = []
        self._next_row = 0

    def open(self, position: Position) -> None:
        super().open(position)
        self.opened.append(position)
        self._next_row = position.next_row

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        ahead = (batch_id - self.position.next_batch_id) * batch_size
        start = self.position.next_row + ahead if self.concurrent else self._next_row
        return self._batch(batch_id, start, batch_size)

    def plan(self, batch_id: int, batch_size: int) -> Mapping[str, Json] | None:
        start, self._next_row = self._next_row, self._next_row + batch_size
        return {"start": start, "size": batch_size} if start < len(self.lines) else None

    def fetch_planned(self, batch_id: int, plan: Mapping[str, Json]) -> Batch:
        batch = self._batch(batch_id, int(str(plan["start"])), int(str(plan["size"])))
        assert batch is not None
        return batch

    def _batch(self, batch_id: int, start: int, size: int) -> Batch | None:
        stop = min(start + size, len(self.lines))
        if start >= stop:
            return None
        self._next_row = stop
        good, bad = [], []
        for number in range(start, stop):
            text = self.lines[number]
            try:
                good.append(int(text))
            except ValueError:
                bad.append(self._row(number, text))
        frame = pl.DataFrame({"id": good}, {"id": pl.Int64})
        return Batch(batch_id, start, stop - 1, frame, unreadable=tuple(bad))

    @staticmethod
    def _row(number: int, text: str) -> SourceRow:
        return SourceRow(number, text, "it is no number", "numbers.txt", number + 1, 7 * number, "Use digits.")

    def read_row(self, row: SourceRow, text: str | None = None) -> pl.DataFrame:
        self.read_again.append((row.row, text))
        tried = self.lines[row.line - 1] if text is None else text
        try:
            return pl.DataFrame({"id": [int(tried)]}, {"id": pl.Int64})
        except ValueError as error:
            raise SourceError(f"{row.place}: it is still no number") from error

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        return {"next_row": batch.end_row + 1}

    def identity(self) -> Mapping[str, Json]:
        return {"kind": "lines"}

    def size(self) -> SourceSize:
        return SourceSize(len(self.lines))
