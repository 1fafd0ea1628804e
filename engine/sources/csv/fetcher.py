"""Batches of CSV files, read once from start to end.

Invariant: all batches have the same schema, and a batch is short only at the end of the last file. Between batches only
one block of rows stays in memory, and the places where the last few blocks began. A row that can't be read is in its
batch, as `unreadable`; it never stops the rows after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from engine.batch import Batch
from engine.errors import SourceError, UsageError
from engine.sources import files
from engine.sources.base import SeekableFetcher
from engine.sources.csv import columns, size
from engine.sources.csv.file import CsvFile
from engine.sources.csv.format import CsvFormat
from engine.sources.csv.grammar import Grammar
from engine.sources.identity import START, Mark, changed, continued_from, mark_of, same_bytes, verified
from engine.sources.text.blocks_read import BlocksRead
from engine.sources.text.opening import damage_named, open_bytes
from engine.sources.text.row_stream import RowStream
from engine.sources.text.watched_file import WatchedFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from engine.batch import SourceRow
    from engine.sources.base import Position, SourceSize
    from engine.sources.files import FileSource
    from engine.sources.text.row_stream import RowPiece
    from engine.text.json_values import Json

SUFFIXES = (".csv", ".csv.gz")


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


class CsvFetcher(SeekableFetcher):
    """Fetches the rows of `source`: a CSV file, a folder of `*.csv` and `*.csv.gz`, a glob, or a list of these.

    Files are read in the order of their paths, those of a list in the order of the list. All files need the columns
    of the first one, in any order. The dtypes are those that fit the first `infer_rows` rows (0: all columns are text)
    of the first file that has rows, at most 16 MiB of them; `dtypes` replaces them by column (`schema_overrides` is its
    old name). `column_names` is for files without a header. `null_values` are texts that mean null, in all columns or
    by column. `try_parse_dates` recognises dates and times. `encoding` "utf8-lossy" replaces bytes that aren't UTF-8 by
    U+FFFD. A file may be compressed by gzip, but then a resume decompresses it from its start.

    A row that can't be read is in `Batch.unreadable`, with its file, line and text: a value doesn't fit its dtype (a
    Decimal with more digits and a Float that is too large included), a line has fewer or more fields than the header, a
    quote is never closed, bytes aren't UTF-8. `short_lines="null"` fills missing fields with nulls, and
    `long_lines="cut"` leaves out the fields after the last column. A blank line is no row, except in a file of one
    column: there it is a null. A quote opens a field only where the field begins, elsewhere it is a character like
    others; a quoted field may contain line breaks.
    """

    def __init__(
        self,
        source: FileSource,
        *,
        dtypes: Mapping[str, Any] | None = None,
        schema_overrides: Mapping[str, Any] | None = None,
        infer_rows: int = 10_000,
        separator: str = ",",
        has_header: bool = True,
        column_names: Sequence[str] | None = None,
        quote_char: str | None = '"',
        comment_prefix: str | None = None,
        null_values: str | Sequence[str] | Mapping[str, str] | None = None,
        decimal_comma: bool = False,
        try_parse_dates: bool = False,
        encoding: Literal["utf8", "utf8-lossy"] = "utf8",
        short_lines: Literal["error", "null"] = "error",
        long_lines: Literal["error", "cut"] = "error",
    ) -> None:
        if infer_rows < 0:
            raise UsageError(f"infer_rows must be at least 0, not {infer_rows}")
        if column_names is not None and (has_header or len(set(column_names)) < len(column_names)):
            raise UsageError("column_names needs has_header=False, and each name only once")
        if dtypes is not None and schema_overrides is not None:
            raise UsageError("dtypes and schema_overrides are one option", hint="Pass dtypes alone.")
        self._source = source
        self._infer_rows = infer_rows
        self._dtypes = dict(dtypes or schema_overrides or {})
        self._names = None if column_names is None else list(column_names)
        self._format = CsvFormat(
            separator,
            has_header,
            quote_char,
            comment_prefix,
            null_values,
            decimal_comma,
            try_parse_dates,
            encoding,
            short_lines,
            long_lines,
        )
        self._grammar = Grammar(self._format)
        self._stream: RowStream | None = None

    def open(self, position: Position) -> None:
        """Read all headers, decide the dtypes, and seek to the position.

        Without a cursor for the position, all rows before it are read to count them.

        Raises:
            SourceNotFound: there is no file.
            SourceError: a file can't be read, or has other columns than the first.
            SourceChanged: the files have fewer rows than are committed, or the committed rows end in another place.
            UsageError: an override or a name that matches no column.
        """
        super().open(position)
        self._found = files.find_files(self._source, SUFFIXES)
        self._schema = columns.agreed_schema(
            self._found.paths,
            self._format,
            self._grammar,
            infer_rows=self._infer_rows,
            dtypes=self._dtypes,
            names=self._names,
        )
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
        return CsvFile(path, self._format, self._grammar, self._schema).one_row(row, text)

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
        found = files.find_files(self._source, SUFFIXES)
        return continued_from(found.paths[found.file_at(cursor)], open_bytes, Mark.from_json(cursor.get("read")))

    def same_place(self, one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
        """Return whether the same bytes were read; blocks may begin in other places."""
        return same_bytes(one, other)

    def notices(self) -> Sequence[str]:
        """Return which files are left out, and what people should know about last lines without an end."""
        return [*self._found.left_out, *self._notices]

    def identity(self) -> Mapping[str, Json]:
        """Return the source as the user gave it, and what decides where its rows begin and end.

        Dtypes and null values are left out: the user may correct them after a value that didn't fit, and a resume
        uses the new ones, as long as the results keep their columns.
        """
        return {"kind": "csv", "source": files.source_as_json(self._source), **self._format.row_rules()}

    def size(self) -> SourceSize | None:
        """Return an estimate from the bytes of the files, or None for compressed ones."""
        return size.estimate_rows(self._found.paths, self._format, self._grammar)

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
        for file in range(begin.file, len(self._found.paths) if self._schema else 0):
            path = self._found.paths[file]
            rows = CsvFile(path, self._format, self._grammar, self._schema)
            with damage_named(path), WatchedFile(path, open_bytes, mark) as watched:
                first = max(byte, rows.first_row_byte)
                watched.seek(first)
                self._read = BlocksRead(watched.mark, quote=self._grammar.quote)
                for block, piece, ends in rows.pieces(watched, row):
                    before = self._read.add(block, row, piece.rows, ends, last=watched.ended)
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

    def _record(self, start: _BlockStart) -> None:
        self._starts.append(start)
        # A later call may ask for the row before the batch that is being fetched, but for none before that.
        while len(self._starts) > 1 and self._starts[1].row < self._next_row:
            del self._starts[0]
