"""The rows of one CSV file, block by block.

Invariant: a row is yielded only after all rows before it. A row that can't be read is an error at that row; the rows
before it are yielded first, so that the frontier gets as near to it as the batch size allows.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from engine.errors import SourceError
from engine.sources.csv.row_ends import row_end_of
from engine.sources.text import blocks
from engine.sources.text.blocks import RowTooLong
from engine.sources.text.opening import damage_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import polars as pl

    from engine.sources.csv.format import CsvFormat
    from engine.sources.text.watched_file import WatchedFile

MESSAGE_LENGTH_SHOWN = 300

_HINT = (
    "Correct the file, or say how to read such values: null_values=[…] makes them null, "
    "schema_overrides={column: dtype} gives a column another dtype (pl.String accepts everything), "
    "encoding='utf8-lossy' replaces invalid bytes. "
    "Then run again: the run continues from there."
)


class CsvFile:
    """The file at `path`, read with `schema`; in the file the columns may have another order."""

    def __init__(self, path: Path, written: CsvFormat, schema: Mapping[str, pl.DataType]) -> None:
        self._path = path
        self._written = written
        self._schema = schema
        self._row_end = row_end_of(written)

    def frames(self, file: WatchedFile, byte: int, row: int) -> Iterator[tuple[int, bytes, pl.DataFrame]]:
        """Yield the rows from `byte` on, in frames, each with the byte where its first row begins, and its bytes.

        A row must begin at `byte`. `row` is the number of that row in the source, for messages.

        Raises:
            SourceError: a row can't be read.
        """
        try:
            names = self._written.infer(self._path, 0) if self._written.has_header else self._schema
            self._file_order = {name: self._schema[name] for name in names}
            with damage_named(self._path):
                yield from self._parsed(
                    blocks.read_blocks(file, byte, self._row_end, blocks.BLOCK_BYTES), row, first=byte == 0
                )
        except RowTooLong as error:
            raise SourceError(
                f"{self._path}: {error}",
                hint="A quote there is probably never closed; quote_char=None reads quotes as ordinary characters.",
            ) from error

    def _parsed(
        self, pieces: Iterable[tuple[int, bytes]], row: int, *, first: bool
    ) -> Iterator[tuple[int, bytes, pl.DataFrame]]:
        import polars as pl

        for byte, block in pieces:
            fault = None
            try:
                # A block before the end of the header counts as the start of the file: a resume must find the header.
                frame = self._parse(block, first=first)
                frames: Iterable[tuple[int, bytes, pl.DataFrame]] = [(0 if first else byte, block, frame)]
            except pl.exceptions.PolarsError as error:
                fault = error
            if fault is not None:
                smaller = self._split(byte, block)
                if len(smaller) == 1:
                    counted = isinstance(fault, pl.exceptions.SchemaError)
                    what = f"it doesn't have {len(self._schema)} fields" if counted else _said(fault)
                    raise SourceError(
                        f"{self._path}, row {row:,} of the source (byte {byte:,}): {what}", hint=_HINT
                    ) from fault
                frames = self._parsed(smaller, row, first=first)
            for start, piece, frame in frames:
                yield start, piece, frame
                row += frame.height
            first = first and not self._written.infer(block, 0)  # comments alone are no header

    def _parse(self, block: bytes, *, first: bool) -> pl.DataFrame:
        schema = self._schema if first else self._file_order
        return self._written.scan(block, schema, first=first).collect().select(list(self._schema))

    def _split(self, byte: int, block: bytes) -> list[tuple[int, bytes]]:
        """Return the block divided into smaller ones, or the block alone if it is a single row."""
        for size in (len(block) // 8, 1):
            pieces = [
                (byte + start, piece)
                for start, piece in blocks.read_blocks(io.BytesIO(block), 0, self._row_end, size or 1)
            ]
            if len(pieces) > 1:
                break
        return pieces


def _said(error: Exception) -> str:
    """Return the message of Polars about the value, without its advice and without terminal control characters."""
    text = str(error).split("\n\n", 1)[0].replace("\n", " ")[:MESSAGE_LENGTH_SHOWN]
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
