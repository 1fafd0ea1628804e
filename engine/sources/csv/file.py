"""The rows of one CSV file, block by block.

A block that is plain (its quotes are in order, no row is short or long, every value fits) is parsed at once. Any other
block is sorted first, row by row. Both ways give the same rows.

Invariant: a piece has all rows of its block, those that can't be read included, and comes after all pieces before it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.batch import SourceRow
from engine.errors import SourceChanged, SourceError
from engine.sources.csv.grammar import Grammar, RowScan
from engine.sources.csv.header import read_header
from engine.sources.csv.sorting import sort_rows
from engine.sources.csv.values import Unparsable, lost_values, parse_rows
from engine.sources.text import blocks
from engine.sources.text.blocks import RowTooLong, line_ends, read_blocks
from engine.sources.text.opening import damage_named, open_bytes
from engine.sources.text.row_stream import RowPiece
from engine.sources.text.rows import LineCounter, line_is_gone, line_too_long, one_row_only, row_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from engine.sources.csv.format import CsvFormat
    from engine.sources.text.watched_file import WatchedFile


class CsvFile:
    """The file at `path`, read with `schema`; in the file the columns may have another order."""

    def __init__(self, path: Path, written: CsvFormat, grammar: Grammar, schema: Mapping[str, pl.DataType]) -> None:
        self._path = path
        self._written = written
        self._grammar = grammar
        self._without_quotes = replace(written, quote_char=None)
        self._grammar_without_quotes = Grammar(self._without_quotes)
        self._columns = list(schema)
        self._header = read_header(path, written, grammar)
        names = self._header.names if written.has_header and self._header.names else self._columns
        if sorted(names) != sorted(schema):
            raise SourceChanged(f"{path} has other columns now than when the run began")
        self._schema = {name: schema[name] for name in names}
        self._lines = LineCounter(path)

    @property
    def first_row_byte(self) -> int:
        """Where the header ends."""
        return self._header.end

    def pieces(self, file: WatchedFile, row: int) -> Iterator[tuple[bytes, RowPiece, Sequence[int] | None]]:
        """Yield the rows from where `file` is to its end, in pieces, each with its bytes and the ends of its rows.

        Row `row` of the source must begin there. The ends are None if each line outside of quotes is a row.

        Raises:
            SourceError: a line doesn't end.
        """
        try:
            grammar = self._grammar
            found = read_blocks(file, file.mark.end, grammar.row_end, blocks.BLOCK_BYTES, grammar.last_row_end)
            for begin, block in found:
                piece, ends = self.piece(begin, block, row, clean=len(block) <= grammar.clean_bytes)
                row += piece.rows
                yield block, piece, ends
        except RowTooLong as error:
            raise line_too_long(self._path, error.byte) from error

    def one_row(self, row: SourceRow, text: str | None) -> pl.DataFrame:
        """Return the row that `text` is, or the one that begins at the line of `row` now.

        Raises:
            SourceError: it isn't one row that can be read, or the line isn't there.
        """
        where = f"the corrected text of row {row.row:,}" if text is not None else f"{self._path}, line {row.line:,}"
        content = self._line_now(row.line) if text is None else text.removesuffix("\n").encode() + b"\n"
        piece, _ = self.piece(0, content, row.row)
        if piece.unreadable:
            bad = piece.unreadable[0]
            raise SourceError(f"{where}: {bad.reason}", hint=bad.hint)
        return one_row_only(piece.data, where)

    def _line_now(self, line: int) -> bytes:
        byte = self._lines.byte_of(line)
        if byte is None or byte < self._header.end:
            raise line_is_gone(self._path, line)
        with damage_named(self._path), open_bytes(self._path) as file:
            file.seek(byte)
            data, complete = b"", False
            while not complete and len(data) <= 2 * blocks.LONGEST_ROW_BYTES:
                more = file.read(max(len(data), 1 << 16))
                data, complete = data + more, not more
                if found := RowScan(self._grammar, data, whole=complete).row_at(0):
                    return data[: found[0]]
        raise SourceError(f"line {line:,} of {self._path} doesn't end", hint="Correct it, then replay.")

    def piece(
        self, start: int, block: bytes, row: int, *, clean: bool = False
    ) -> tuple[RowPiece, Sequence[int] | None]:
        """Return the rows of a block that begins at byte `start` with row `row` of the source, and where they end.

        The ends are None if each line outside of quotes is a row. `clean` says that its quotes are in order.
        """
        written, grammar = self._written, self._grammar
        if grammar.opens_none(block):  # Polars would take marks inside fields for quotes
            written, grammar = self._without_quotes, self._grammar_without_quotes
        frame = self._plain(block, written, grammar) if clean or grammar.is_clean(block) else None
        if frame is not None:
            has_marks = not grammar.quote and self._grammar.quote and self._grammar.quote in block
            return RowPiece(row, frame.select(self._columns)), line_ends(block) if has_marks else None
        rows = sort_rows(block, written, grammar, len(self._schema))
        try:
            frame, faults = parse_rows(rows.texts, written, self._schema)
        except Unparsable as error:
            first, last = self._lines.line_at(start), self._lines.line_at(start + len(block) - 1)
            raise SourceError(
                f"{self._path}, lines {first:,} to {last:,} can't be read: {error}",
                hint="Check the dtypes, or read every column as text with infer_rows=0.",
            ) from error
        faults = {rows.good[number]: fault for number, fault in faults.items()} | rows.faults
        unreadable: list[SourceRow] = []
        file, line, counted = str(self._path), self._lines.line_at(start) if faults else 0, 0
        for number in sorted(faults):
            begin, end, fault = rows.starts[number], rows.ends[number], faults[number]
            line, counted = line + block.count(b"\n", counted, begin), begin
            text = row_text(block[begin:end])
            unreadable.append(SourceRow(row + number, text, fault.reason, file, line, start + begin, fault.hint))
        return RowPiece(row, frame.select(self._columns), tuple(unreadable)), rows.ends

    def _plain(self, block: bytes, written: CsvFormat, grammar: Grammar) -> pl.DataFrame | None:
        """Return the block parsed in one go, or None if a row of it may be none that Polars should parse."""
        import polars as pl

        if grammar.comment and (block.startswith(grammar.comment) or b"\n" + grammar.comment in block):
            return None
        try:
            frame = written.scan(block, self._schema).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return None
        # The last value of a short or blank line is null.
        last = next(reversed(self._schema))
        if (
            len(self._schema) > 1
            and frame[last].null_count()
            and not self._has_all_fields(grammar.unquoted(block), frame.height)
        ):
            return None
        return None if lost_values(frame, block, written, self._schema) else frame

    def _has_all_fields(self, text: bytes, rows: int) -> bool:
        blank = text.startswith((b"\n", b"\r\n")) or b"\n\n" in text or b"\n\r\n" in text
        separators = (len(self._schema) - 1) * rows
        return not blank and (self._written.short_lines == "null" or text.count(self._grammar.separator) == separators)
