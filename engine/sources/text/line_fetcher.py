"""Batches of text files where each line is a row, read once from start to end.

Invariant: all batches have the same schema, and a batch is short only at the end of the last file. Between batches only
one block of rows stays in memory, and the places where the last few blocks began.
"""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from engine.batch import Batch, SourceRow
from engine.errors import SourceChanged, SourceError
from engine.sources import files
from engine.sources.base import SeekableFetcher, SourceSize
from engine.sources.text import blocks
from engine.sources.text.ahead import parsed_ahead
from engine.sources.text.blocks import RowTooLong, after_last_line, read_blocks
from engine.sources.text.opening import GZIP, damage_named, open_bytes
from engine.sources.text.row_stream import RowPiece, RowStream
from engine.sources.text.rows import LineCounter, line_too_long, row_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    import polars as pl

    from engine.sources.base import Position
    from engine.sources.files import FileSource
    from engine.text.json_values import Json

SAMPLE_BYTES = 1 << 20

END_OF_FILE = 1 << 40
"""A place after the last byte of any file."""

PARSERS = 2
"""How many blocks of lines are parsed at once: Polars uses one thread for a block."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """Line `text` at byte `start` of a block is row number `row` of the block, and can't be read."""

    row: int
    start: int
    text: bytes
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _BlockStart:
    """Source row `row` begins at `byte` of file number `file`; `certain` is False if rows are counted from here."""

    row: int
    file: int
    byte: int
    certain: bool = True


class LineFetcher(SeekableFetcher):
    """What NDJSON and fixed-width files have in common. A subclass says how lines become rows."""

    suffix: ClassVar[str]

    encoding: str = "utf8"
    """That of the files, a codec of Python."""

    def __init__(self, source: FileSource) -> None:
        self._source = source
        self._stream: RowStream | None = None

    def decide_columns(self, paths: Sequence[Path]) -> None:
        """Decide the columns and dtypes of all batches. Called once, by `open`."""

    @abstractmethod
    def parse(self, block: bytes) -> tuple[pl.DataFrame, Sequence[BadLine]]:
        """Return the rows of some complete lines that can be read, and the lines that can't, both in order."""

    def first_byte(self, path: Path) -> int:  # noqa: ARG002 (a format may have lines before its rows)
        """Return where the first row of the file begins."""
        return 0

    def open(self, position: Position) -> None:
        """Decide the columns, and seek to the position.

        Without a cursor for the position, all rows before it are read to count them.

        Raises:
            SourceNotFound: there is no file.
            SourceError: a file can't be read.
            SourceChanged: the files have fewer rows than are committed, or the committed rows end in another place.
            UsageError: an option that doesn't fit the files.
        """
        super().open(position)
        self._found = files.find_files(self._source, self.suffix)
        self.decide_columns(self._found.paths)
        self._next_row = position.next_row
        self._starts = [self._first_start(position)]
        self._stream = None
        if position.next_row:
            self._stream = RowStream(self._pieces())
            self._stream.fill(1)

    def __call__(self, batch_id: int, batch_size: int) -> Batch | None:
        """Return the next `batch_size` rows of the source, fewer at its end, None after it."""
        stream = self._stream or RowStream(self._pieces())
        self._stream = None  # if `take` raises, the next fetch begins a new stream at the same row
        piece = stream.take(batch_size)
        self._stream = stream
        if piece is None:
            return None
        self._next_row = piece.start + piece.rows
        return Batch(batch_id, piece.start, self._next_row - 1, piece.data, unreadable=piece.unreadable)

    def cursor_after(self, batch: Batch) -> Mapping[str, Json]:
        """Return a byte where a row begins, and how many rows after it are committed. For the last batch only."""
        next_row = batch.end_row + 1
        start = self._start_before(next_row)
        named = self._found.cursor_to(start.file)
        return {"next_row": next_row, **named, "byte": start.byte, "rows": next_row - start.row}

    def read_row(self, row: SourceRow, text: str | None = None) -> pl.DataFrame:
        """Return the frame of one row, from `text`, or from the line that is at its place in the file now.

        Raises:
            SourceError: the row can't be read, or its line isn't there any more.
        """
        try:
            line = self._line_now(row) if text is None else text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise SourceError(f"the text can't be written in {self.encoding}: {error.reason}") from error
        frame, bad = self.parse(line)
        if bad or frame.height != 1:
            reason = bad[0].reason if bad else f"it is {frame.height} rows, not one"
            raise SourceError(
                f"row {row.row:,} of the source still can't be read: {reason}", hint=bad[0].hint if bad else ""
            )
        return frame

    def size(self) -> SourceSize | None:
        """Return an estimate from the bytes of the files, or None for compressed ones."""
        total = 0
        bytes_per_row = 0.0
        for path in self._found.paths:
            with path.open("rb") as file:
                if file.read(len(GZIP)) == GZIP:
                    return None
                size = file.seek(0, 2) - self.first_byte(path)
                if size > 0 and not bytes_per_row:
                    file.seek(self.first_byte(path))
                    sample = file.read(SAMPLE_BYTES)
                    bytes_per_row = len(sample) / (sample.count(b"\n") or 1)
            total += max(size, 0)
        return SourceSize(round(total / bytes_per_row) if bytes_per_row else 0, exact=False)

    def close(self) -> None:
        """Close the file that is being read."""
        self._stream = None

    def _first_start(self, position: Position) -> _BlockStart:
        if not position.next_row:
            return _BlockStart(0, 0, 0)
        cursor = position.cursor or {}
        match cursor:
            case {"byte": int(byte), "rows": int(rows)}:
                file = self._found.file_at(cursor)
                path = self._found.paths[file]
                if not self._begins_line(path, byte):
                    raise SourceChanged(
                        f"the last committed row ended at byte {byte:,} of {path}, but now no row ends there"
                    )
                return _BlockStart(position.next_row - rows, file, byte)
            case _:
                return _BlockStart(0, 0, 0, certain=False)

    def _start_before(self, next_row: int) -> _BlockStart:
        """Return the start of the block that holds the row before `next_row`."""
        return next((start for start in reversed(self._starts) if start.row < next_row), self._starts[0])

    def _pieces(self) -> Iterator[RowPiece]:
        """Yield the rows from `_next_row` on, and record where each block begins."""
        wanted = self._next_row
        begin = self._start_before(wanted)
        row, byte = begin.row, begin.byte
        self._starts = [begin]
        with ThreadPoolExecutor(PARSERS, thread_name_prefix="parser") as pool:
            for file in range(begin.file, len(self._found.paths)):
                path = self._found.paths[file]
                for start, piece in self._file_pieces(path, byte or self.first_byte(path), row, pool):
                    self._record(_BlockStart(row, file, start))
                    row += piece.rows
                    if row > wanted:
                        yield piece.split(wanted - piece.start)[1] if piece.start < wanted else piece
                if begin.certain and row < wanted:
                    raise SourceChanged(f"{path} has become shorter: some of its committed rows are gone")
                byte = 0
        if row < wanted:
            raise SourceChanged(f"{wanted:,} rows of {self._source} are committed, but now it has {row:,}")

    def _file_pieces(self, path: Path, byte: int, row: int, pool: Executor) -> Iterator[tuple[int, RowPiece]]:
        lines = LineCounter(path)
        with damage_named(path), open_bytes(path) as file:
            try:
                read = read_blocks(file, byte, after_last_line, blocks.BLOCK_BYTES)
                for start, (frame, bad) in parsed_ahead(pool, self.parse, read):
                    named = tuple(
                        SourceRow(
                            row + line.row,
                            row_text(line.text),
                            line.reason,
                            file=str(path),
                            line=lines.line_at(start + line.start),
                            byte=start + line.start,
                            hint=line.hint,
                        )
                        for line in bad
                    )
                    piece = RowPiece(row, frame, named)
                    row += piece.rows
                    if piece.rows:
                        yield start, piece
            except RowTooLong as error:
                raise line_too_long(path, error.byte) from error

    def _record(self, start: _BlockStart) -> None:
        self._starts.append(start)
        # A later call may ask for the row before the batch that is being fetched, but for none before that.
        while len(self._starts) > 1 and self._starts[1].row < self._next_row:
            del self._starts[0]

    def _begins_line(self, path: Path, byte: int) -> bool:
        if byte <= self.first_byte(path):
            return byte in (0, self.first_byte(path))
        with damage_named(path), open_bytes(path) as file:
            file.seek(byte - 1)
            return file.read(1) == b"\n"

    def _line_now(self, row: SourceRow) -> bytes:
        path = next((path for path in self._found.paths if str(path) == row.file), None)
        if path is None:
            raise SourceError(
                f"{row.file or 'the file of the row'} isn't a file of the source now",
                hint="Bring the file back, or replay with the corrected text of the row.",
            )
        byte = LineCounter(path).byte_of(row.line)
        if byte is not None:
            with damage_named(path), open_bytes(path) as file:
                for _, block in read_blocks(file, byte, after_last_line, 1 << 16):
                    return block.split(b"\n", 1)[0]
        raise SourceError(f"{path} has no line {row.line:,} now", hint="Replay with the corrected text of the row.")
