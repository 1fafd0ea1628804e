"""How a row that can't be read is shown to a person: its line in the file, and its text.

Invariant: a line is counted as an editor counts it, from 1, in the unpacked file, headers and all; and text of any
bytes is printable and can be stored as UTF-8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import SourceError
from engine.sources.text import blocks
from engine.sources.text.opening import damage_named, open_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

TEXT_BYTES = 64 << 10
"""A row's text is kept up to this length, so that a person can correct it; what comes after is cut."""

_READ_BYTES = 1 << 20


class LineCounter:
    """The lines of the file at `path`. Ask for bytes in rising order: then the file is read once, and only if asked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._byte = 0
        self._line = 1

    def byte_of(self, line: int) -> int | None:
        """Return the byte where the line begins, or None if the file has fewer lines."""
        at, byte = 1, 0
        with damage_named(self._path), open_bytes(self._path) as file:
            while at < line:
                chunk = file.read(_READ_BYTES)
                if not chunk:
                    return None
                ends = chunk.count(b"\n")
                if at + ends < line:
                    at, byte = at + ends, byte + len(chunk)
                    continue
                end = -1
                while at < line:
                    at, end = at + 1, chunk.index(b"\n", end + 1)
                byte += end + 1
            file.seek(byte)
            return byte if file.read(1) else None

    def line_at(self, byte: int) -> int:
        """Return the number of the line that the byte is in."""
        if byte < self._byte:
            self._byte, self._line = 0, 1
        with damage_named(self._path), open_bytes(self._path) as file:
            file.seek(self._byte)
            while self._byte < byte and (chunk := file.read(min(_READ_BYTES, byte - self._byte))):
                self._line += chunk.count(b"\n")
                self._byte += len(chunk)
        return self._line


def line_too_long(path: Path, byte: int) -> SourceError:
    """Return the error for a line that begins at the byte, or before, and is longer than any row may be."""
    return SourceError(
        f"line {LineCounter(path).line_at(byte):,} of {path} doesn't end within {blocks.LONGEST_ROW_BYTES:,} bytes",
        hint="It isn't text with lines, or its lines have another end than a line feed.",
    )


def row_text(row: bytes) -> str:
    r"""Return the row without its line end; bytes that aren't UTF-8 are escaped, and a text that is too long is cut.

    >>> row_text(b"1,caf\xe9\r\n")
    '1,caf\\xe9'
    """
    cut = row[: TEXT_BYTES + 1].removesuffix(b"\n").removesuffix(b"\r")
    return cut[:TEXT_BYTES].decode("utf-8", "backslashreplace") + ("…" if len(cut) > TEXT_BYTES else "")


def line_is_gone(path: Path, line: int) -> SourceError:
    """Return the error for a row that is to be read again, but has no line any more."""
    return SourceError(
        f"{path} has no row at line {line:,} now",
        hint="Bring the line back, or replay with the corrected text of the row.",
    )


def one_row_only(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Return the frame of a row that was read again.

    Raises:
        SourceError: it is no row, or several.
    """
    if frame.height != 1:
        raise SourceError(f"{where} is {frame.height:,} rows, not one", hint="Correct it to one row, then replay.")
    return frame
