"""The rows of one text file where each line that isn't blank is a row.

Invariant: a piece has all rows of its block, those that can't be read included, and comes after all pieces before it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.batch import SourceRow
from engine.errors import SourceError
from engine.sources.base import SourceSize
from engine.sources.text import blocks
from engine.sources.text.ahead import BLOCKS_AHEAD, parsed_ahead
from engine.sources.text.blocks import RowTooLong, after_last_line, read_blocks
from engine.sources.text.opening import GZIP, damage_named, open_bytes
from engine.sources.text.row_stream import RowPiece
from engine.sources.text.rows import LineCounter, line_is_gone, line_too_long, one_row_only, row_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import polars as pl

    from engine.sources.text.watched_file import WatchedFile

BOM = b"\xef\xbb\xbf"
_SAMPLE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BadLine:
    """Line `text` at byte `start` of a block is row number `row` of the block, and can't be read."""

    row: int
    start: int
    text: bytes
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _BlockPlace:
    """Where a block begins: its first row in the source, its byte and its line in the file."""

    row: int
    byte: int
    line: int


class LineFormat(Protocol):
    """How lines become rows."""

    blank: bytes
    """A line of nothing but these bytes is no row."""

    encoding: str
    """A codec of Python."""

    def parse(self, block: bytes) -> tuple[pl.DataFrame, Sequence[BadLine]]:
        """Return the rows of some complete lines that can be read, and the lines that can't, both in order."""


class LineFile:
    """The file at `path`, without its first `skip_lines` lines."""

    def __init__(self, path: Path, lines: LineFormat, skip_lines: int = 0) -> None:
        self._path = path
        self._format = lines
        self.first_row_byte = _first_row_byte(path, skip_lines)

    def pieces(self, file: WatchedFile, row: int) -> Iterator[tuple[bytes, RowPiece, Sequence[int] | None]]:
        """Yield the rows from where `file` is to its end, in pieces, each with its bytes and the ends of its rows.

        Row `row` of the source must begin there. The ends are None if each line is a row.

        Raises:
            SourceError: a line doesn't end.
        """
        first = begin = file.mark.end
        lines_before: int | None = None  # those before `first`, counted when a line is to be named
        lines = 0  # from there to the block
        try:
            with ThreadPoolExecutor(BLOCKS_AHEAD, thread_name_prefix="parser") as pool:
                read = (block for _, block in read_blocks(file, begin, after_last_line, blocks.BLOCK_BYTES))
                for block, (frame, bad) in parsed_ahead(pool, self._format.parse, read):
                    if bad and lines_before is None:
                        lines_before = LineCounter(self._path).line_at(first)
                    named = self._named(bad, block, _BlockPlace(row, begin, (lines_before or 0) + lines))
                    piece = RowPiece(row, frame, tuple(named))
                    line_ends = block.count(b"\n")
                    plain = line_ends + (not block.endswith(b"\n")) == piece.rows
                    yield block, piece, None if plain else _ends(block, self._format.blank)
                    row += piece.rows
                    begin += len(block)
                    lines += line_ends
        except RowTooLong as error:
            raise line_too_long(self._path, error.byte) from error

    def one_row(self, row: SourceRow, text: str | None) -> pl.DataFrame:
        """Return the row that `text` is, or the one in the line of `row` now.

        Raises:
            SourceError: it isn't one row that can be read, or the line isn't there.
        """
        where = f"the corrected text of row {row.row:,}" if text is not None else f"{self._path}, line {row.line:,}"
        try:
            line = self._line_now(row.line) if text is None else text.encode(self._format.encoding)
        except UnicodeEncodeError as error:
            raise SourceError(f"{where} can't be written in {self._format.encoding}: {error.reason}") from error
        frame, bad = self._format.parse(line)
        if bad:
            raise SourceError(f"{where}: {bad[0].reason}", hint=bad[0].hint)
        return one_row_only(frame, where)

    def _named(self, bad: Iterable[BadLine], block: bytes, place: _BlockPlace) -> Iterator[SourceRow]:
        line, counted = place.line, 0
        for each in bad:
            line += block.count(b"\n", counted, each.start)
            counted = each.start
            yield SourceRow(
                place.row + each.row,
                row_text(each.text),
                each.reason,
                file=str(self._path),
                line=line,
                byte=place.byte + each.start,
                hint=each.hint,
            )

    def _line_now(self, line: int) -> bytes:
        byte = LineCounter(self._path).byte_of(line)
        if byte is not None and (byte >= self.first_row_byte or line == 1):
            with damage_named(self._path), open_bytes(self._path) as file:
                for _, block in read_blocks(file, max(byte, self.first_row_byte), after_last_line, 1 << 16):
                    return block.split(b"\n", 1)[0]
        raise line_is_gone(self._path, line)


def estimated_rows(paths: Sequence[Path], skip_lines: int = 0) -> SourceSize | None:
    """Return how many rows the files have, estimated from their bytes; None if one is compressed."""
    total = 0
    bytes_per_row = 0.0
    for path in paths:
        with path.open("rb") as file:
            if file.read(len(GZIP)) == GZIP:
                return None
            size = file.seek(0, 2)
            if size and not bytes_per_row:
                file.seek(0)
                sample = file.read(_SAMPLE_BYTES)
                bytes_per_row = len(sample) / (sample.count(b"\n") + (not sample.endswith(b"\n")))
        total += max(size - round(skip_lines * bytes_per_row), 0)
    return SourceSize(round(total / bytes_per_row) if bytes_per_row else 0, exact=False)


def _first_row_byte(path: Path, skip_lines: int) -> int:
    if skip_lines:
        byte = LineCounter(path).byte_of(skip_lines + 1)
        if byte is not None:
            return byte
    with damage_named(path), open_bytes(path) as file:
        if skip_lines:
            return sum(map(len, iter(lambda: file.read(_SAMPLE_BYTES), b"")))
        return len(BOM) if file.read(len(BOM)) == BOM else 0


def _ends(block: bytes, blank: bytes) -> Sequence[int]:
    """Return where the lines that aren't blank end."""
    ends, end = [], 0
    for line in block.split(b"\n"):
        end += len(line) + 1
        if line.strip(blank):
            ends.append(min(end, len(block)))
    return ends
