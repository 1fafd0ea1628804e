"""The header of a CSV file: the names of its columns, and where its rows begin.

Invariant: a file that isn't CSV text, or whose header can't be right, is an error here, never a file without rows.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import SourceError
from engine.sources.csv.grammar import RowScan
from engine.sources.text import blocks
from engine.sources.text.opening import damage_named, open_bytes
from engine.sources.text.rows import line_too_long
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.sources.csv.format import CsvFormat
    from engine.sources.csv.grammar import Grammar
    from engine.sources.text.opening import TextBytes

_FIRST_READ = 16 << 10


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a file, in its order, and the byte where its rows begin. No columns: the file has no line."""

    names: tuple[str, ...]
    end: int


def read_header(path: Path, written: CsvFormat, grammar: Grammar) -> Header:
    """Return the header; without one, names that count the fields of the first row.

    Raises:
        SourceError: the file isn't text, or its header can't be read.
    """
    with damage_named(path), open_bytes(path) as file:
        for start, end, row, problem in _rows(path, file, grammar):
            if b"\0" in row:
                raise SourceError(
                    f"{path} isn't text: it has NUL bytes",
                    hint="It may be UTF-16: iconv -f UTF-16 -t UTF-8 old.csv > new.csv. Else it isn't a CSV file.",
                )
            if not row or (grammar.comment and row.startswith(grammar.comment)):
                continue
            if problem:
                if not written.has_header:
                    continue
                raise SourceError(
                    f"the header of {path} can't be read: {problem}: {safe(row.decode('utf-8', 'replace'), 120)}",
                    hint="Correct the first line, or pass quote_char=None: it reads quotes as ordinary characters.",
                )
            if b"\r" in row and written.has_header:
                raise SourceError(
                    f"the lines of {path} end with a carriage return alone",
                    hint=f"Convert it: tr '\\r' '\\n' < '{path.name}' > new.csv",
                )
            fields = grammar.fields(row)
            if not written.has_header:
                return Header(tuple(f"column_{number}" for number in range(len(fields))), start)
            return Header(_unique([_name(path, field, written, grammar) for field in fields]), end)
    return Header((), 0)


def _rows(path: Path, file: TextBytes, grammar: Grammar) -> Iterator[tuple[int, int, bytes, str]]:
    """Yield (start of all rows or of this one, end, bytes without line end, problem) of each row from the start on."""
    data, complete = file.read(_FIRST_READ), False
    at = bom = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    while True:
        scan = RowScan(grammar, data, whole=complete)
        while at < len(data) and (row := scan.row_at(at)):
            start, (at, problem) = at, row
            yield bom, at, data[start:at].removesuffix(b"\n").removesuffix(b"\r"), problem
        if complete:
            return
        if len(data) > blocks.LONGEST_ROW_BYTES:
            raise line_too_long(path, at)
        more = file.read(len(data))
        complete = not more
        data += more


def _name(path: Path, field: bytes, written: CsvFormat, grammar: Grammar) -> str:
    quote = grammar.quote
    if quote and field.startswith(quote):
        field = field[1:-1].replace(quote * 2, quote)
    try:
        return field.decode("utf-8", "strict" if written.encoding == "utf8" else "replace")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"the header of {path} isn't UTF-8 (byte 0x{field[error.start]:02X} in "
            f"'{safe(field.decode('utf-8', 'backslashreplace'), 60)}')",
            hint=f"Convert it, such as: iconv -f WINDOWS-1252 -t UTF-8 '{path.name}' > utf8.csv.",
        ) from error


def _unique(names: list[str]) -> tuple[str, ...]:
    """Return the names as Polars does: the second `a` is `a_duplicated_0`."""
    found: dict[str, int] = {}
    result: list[str] = []
    for name in names:
        count = found.get(name, 0)
        found[name] = count + 1
        result.append(f"{name}_duplicated_{count - 1}" if count else name)
    return tuple(result)
