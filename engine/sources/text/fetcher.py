"""Batches of text files, read once from start to end; what CSV, NDJSON and fixed-width files have in common.

Invariant: all batches have the same schema. Between batches only a few blocks of rows stay in memory, and the places
where the last ones began. A row that can't be read is in its batch, as `unreadable`; it never stops the rows after it.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

from engine.batch import Batch
from engine.errors import SourceError
from engine.sources import files
from engine.sources.base import SeekableFetcher
from engine.sources.identity import START, Mark, changed, continued_from, mark_of, same_bytes, verified
from engine.sources.text.blocks_read import BlocksRead
from engine.sources.text.opening import damage_named, open_bytes
from engine.sources.text.row_stream import RowStream
from engine.sources.text.watched_file import WatchedFile
from engine.storage.working_folder import absolute

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from engine.batch import SourceRow
    from engine.sources.base import Position
    from engine.sources.files import FileSource
    from engine.sources.text.row_stream import RowPiece
    from engine.text.json_values import Json


class TextFile(Protocol):
    """One file of a source."""

    @property
    def first_row_byte(self) -> int:
        """Where the first row begins."""

    def pieces(self, file: WatchedFile, row: int) -> Iterator[tuple[bytes, RowPiece, Sequence[int] | None]]:
        """Yield the rows from where `file` is to its end, in pieces, each with its bytes and the ends of its rows.

        Row `row` of the source must begin there. The ends are None if each line outside of quotes is a row.
        """

    def one_row(self, row: SourceRow, text: str | None) -> pl.DataFrame:
        """Return the row that `text` is, or the one that begins at the line of `row` now."""


@dataclass(frozen=True, slots=True)
class _BlockStart:
    """Source row `row` begins at `byte` of file number `file`, and `mark` is what was read before it.

    `certain` is False if rows are counted from here.
    """

    row: int
    file: int
    byte: int
    mark: Mark = START
    certain: bool = True


class TextFetcher(SeekableFetcher):
    """A source of text files. A subclass says what their columns are, and how one file is read."""

    suffixes: ClassVar[tuple[str, ...]]
    quote: bytes = b""
    """Inside it a line end is no end of a row; it may be empty."""

    def __init__(self, source: FileSource) -> None:
        self._source = source
        self._folder = absolute(".")
        self._stream: RowStream | None = None

    @abstractmethod
    def decide_columns(self, paths: Sequence[Path]) -> bool:
        """Decide the columns and dtypes of all batches; return whether there are any. Called once, by `open`."""

    @abstractmethod
    def file(self, path: Path) -> TextFile:
        """Return the file. Called after `decide_columns`."""

    def open(self, position: Position) -> None:
        """Decide the columns, and seek to the position.

        Without a cursor for the position, all rows before it are read to count them.

        Raises:
            SourceNotFound: there is no file.
            SourceError: a file can't be read, or has other columns than the first.
            SourceChanged: the files have fewer rows than are committed, or the committed rows end in another place.
            UsageError: an option that doesn't fit the files.
        """
        super().open(position)
        self._found = files.find_files(self._source, self.suffixes, folder=self._folder)
        self._any_columns = self.decide_columns(self._found.paths)
        self._next_row = position.next_row
        self._read = BlocksRead(START)
        self._notices: dict[str, None] = {}
        self._starts = [self._first_start(position)]
        self._stream = None
        if position.next_row:
            self._stream = RowStream(self._pieces())
            self._stream.fill(1)

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the next `batch_size` rows of the source, fewer by `batch_bytes` or at its end, None after it."""
        stream = self._stream or RowStream(self._pieces())
        self._stream = None  # if `take` raises, the next fetch begins a new stream at the same row
        max_bytes = self.position.batch_bytes
        stream.fill(batch_size, max_bytes)
        piece = stream.take(self._read.rows_before_tail(self._next_row, batch_size), max_bytes)
        self._stream = stream
        if piece is None:
            return None
        start_row, self._next_row = self._next_row, self._next_row + piece.rows
        return Batch(batch_id, start_row, self._next_row - 1, piece.data, unreadable=piece.unreadable)

    def read_row(self, row: SourceRow, text: str | None = None) -> pl.DataFrame:
        """Read a row that could not be read again: `text`, or the line of its file where it was.

        Raises:
            SourceError: it can't be read, or the file or the line isn't there any more.
        """
        path = next((path for path in self._found.paths if str(path) == row.file), None)
        if path is None:
            raise SourceError(
                f"{row.file or 'the file of the row'} isn't a file of the source now",
                hint="Bring the file back, or replay with the corrected text of the row.",
            )
        return self.file(path).one_row(row, text)

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return a byte where a row begins, and how many rows after it are committed. For the last batch only."""
        next_row = batch.end_row + 1
        start = self._start_before(next_row)
        mark = self._read.mark_before(next_row) or start.mark
        return {
            "next_row": next_row,
            **self._found.cursor_to(start.file),
            "byte": start.byte,
            "rows": next_row - start.row,
            "crc": start.mark.crc,
            "read": mark.as_json(),
        }

    def continued_from(self, cursor: Mapping[str, Json]) -> int | None:
        """Return the row of a last line without its end, if the file has more after it now."""
        found = files.find_files(self._source, self.suffixes, folder=self._folder)
        return continued_from(found.paths[found.file_at(cursor)], open_bytes, Mark.from_json(cursor.get("read")))

    def same_place(self, one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
        """Return whether the same bytes were read; blocks may begin in other places."""
        return same_bytes(one, other)

    def notices(self) -> Sequence[str]:
        """Return which files are left out, and what people should know about last lines without an end."""
        return [*self._found.left_out, *self._notices]

    def close(self) -> None:
        """Close the file that is being read."""
        self._stream = None

    def _first_start(self, position: Position) -> _BlockStart:
        if not position.next_row:
            return _BlockStart(0, 0, 0)
        cursor = position.cursor or {}
        match cursor:
            case {"byte": int(byte), "rows": int(rows)}:
                accept = position.accept_changes
                file = self._found.file_at(cursor, accept=accept)
                path = self._found.paths[file]
                read = Mark.from_json(cursor.get("read"))
                with damage_named(path):
                    mark = verified(read, self._found.paths[: file + 1], open_bytes, accept=accept)
                with open_bytes(path) as content:
                    content.seek(max(byte - 1, 0))
                    if byte and content.read(1) != b"\n":
                        raise changed(
                            f"the last committed row ended at byte {byte:,} of {path}, but now no row ends there"
                        )
                # Only if the user accepts another file, the bytes before the row aren't those of the cursor.
                same = (mark.end, mark.crc) == (read.end, read.crc)
                crc = cursor.get("crc") if same else mark_of(path, open_bytes, byte).crc
                start = replace(mark, end=byte, crc=crc if isinstance(crc, int) else None)
                return _BlockStart(position.next_row - rows, file, byte, start)
            case _:
                return _BlockStart(0, 0, 0, certain=False)

    def _start_before(self, next_row: int) -> _BlockStart:
        """Return the start of the block that holds the row before `next_row`."""
        return next((start for start in reversed(self._starts) if start.row < next_row), self._starts[0])

    def _pieces(self) -> Iterator[RowPiece]:
        """Yield the rows from `_next_row` on, and record where each block begins."""
        wanted = self._next_row
        begin = self._start_before(wanted)
        row, byte, mark = begin.row, begin.byte, begin.mark
        self._starts = [begin]
        for file in range(begin.file, len(self._found.paths) if self._any_columns else 0):
            path = self._found.paths[file]
            rows = self.file(path)
            with damage_named(path), WatchedFile(path, open_bytes, mark) as watched:
                first = max(byte, rows.first_row_byte)
                watched.seek(first)
                self._read = BlocksRead(watched.mark, quote=self.quote)
                for block, piece, ends in rows.pieces(watched, row):
                    before = self._read.add(block, row, piece.rows, ends, last=self._ends_with(watched, block))
                    watched.take_mark(before)
                    at_header = before.end == rows.first_row_byte
                    self._record(_BlockStart(row, file, *((0, mark) if at_header else (before.end, before))))
                    row += piece.rows
                    if row > wanted:
                        yield piece.split(max(wanted - piece.start, 0))[1]
            if begin.certain and row < wanted:
                raise changed(f"{path} has become shorter: some of its committed rows are gone")
            if notice := self._read.notice_at_end(watched):
                self._notices[notice] = None
            if watched.mark.end > self._read.end:
                return  # a later file must not be read before this one is complete
            byte, mark = 0, watched.mark.next_file(path.name)
        if row < wanted:
            raise changed(f"{wanted:,} rows of {self._source} are committed, but now it has {row:,}")

    def _ends_with(self, file: WatchedFile, block: bytes) -> bool:
        """Return whether the block after those of `_read` ends only because the file ends."""
        complete = not self.quote and block.endswith(b"\n")
        return file.ended and not complete and self._read.end + len(block) == file.mark.end

    def _record(self, start: _BlockStart) -> None:
        self._starts.append(start)
        # A later call may ask for the row before the batch that is being fetched, but for none before that.
        while len(self._starts) > 1 and self._starts[1].row < self._next_row:
            del self._starts[0]
