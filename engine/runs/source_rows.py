"""The rows in quarantine that the source couldn't read, read again for a replay."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.batch import SourceRow
from engine.errors import PipelineError, SourceError, describe
from engine.sources.base import Position, SeekableFetcher
from engine.text.format import SOURCE
from engine.worker.quarantined_rows import UNREADABLE, as_struct, storable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.runs.session import Session


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """A row as a frame, None if the source still can't read it; and the values that then replace those in the file."""

    frame: pl.DataFrame | None
    columns: Mapping[str, Any] = field(default_factory=dict)


class SourceRows:
    """Reads rows with the source of a session, which is opened for the first one.

    `texts` are the corrected texts, by the number of the row in the source; then only these rows are read. Without
    it, the source reads its own line again.
    """

    def __init__(self, session: Session, texts: Mapping[int, str] | None) -> None:
        self._session = session
        self._texts = texts
        self._obstacle: str | None = None

    def obstacle(self) -> str:
        """Return why no row can be read again, empty if rows can be."""
        if self._obstacle is None:
            self._obstacle = self._open()
        return self._obstacle

    def _open(self) -> str:
        fetcher = self._session.plan.batch_fetcher
        if not isinstance(fetcher, SeekableFetcher) or type(fetcher).read_row is SeekableFetcher.read_row:
            return "the source has no read_row, so it can't read a row again"
        try:
            # From its beginning: the source is compared with no cursor, since a person may have corrected it.
            self._session.open_source(Position())
        except PipelineError as error:
            return f"the source can't be opened: {describe(error)}"
        return ""

    def read(self, number: int, kept: Mapping[str, Any]) -> ReadAgain:
        """Read the row `number` of the source; `kept` is what the quarantine's file has of it."""
        if self._texts is not None and number not in self._texts:
            return ReadAgain(None)
        text = self._texts[number] if self._texts is not None else kept["text"] if kept["mended"] else None
        row = SourceRow(number, kept["text"], "", kept["file"], kept["line"], kept["byte"], kept["hint"])
        if text is not None:
            row = replace(row, text=text)
        try:
            frame = self._frame(row, text)
        except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 (the row stays in quarantine with it)
            reason = storable(describe(error))
            columns = {"step": SOURCE, "error_type": UNREADABLE, "error": reason, "input": storable(row.text)}
            return ReadAgain(None, {**columns, "row": as_struct(row)})
        return ReadAgain(frame, {"row": as_struct(row, mended=text is not None)})

    def _frame(self, row: SourceRow, text: str | None) -> pl.DataFrame:
        fetcher = self._session.plan.batch_fetcher
        assert isinstance(fetcher, SeekableFetcher)  # noqa: S101 (otherwise there is an obstacle)
        frame: Any = fetcher.read_row(row, text)
        if not isinstance(frame, pl.DataFrame) or frame.height != 1:
            raise SourceError(f"{row.place}: the source's read_row didn't return a frame of one row")
        return frame
