"""Divides the rows of a block into those that Polars can parse, and those that it can't.

This is the slow way, for a block that isn't plain: each row is looked at once. Whether the values fit their dtypes is
decided afterwards, in `values`.

Invariant: each row of the block is in the result once, except blank lines and comments, which are no rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from engine.sources.csv.grammar import RowScan

if TYPE_CHECKING:
    from engine.sources.csv.format import CsvFormat
    from engine.sources.csv.grammar import Grammar

_LINES = re.compile(rb"[^\n]++")
_LINES_AND_BLANKS = re.compile(rb"[^\n]*+\n|[^\n]++")

NO_QUOTES = "quote_char=None reads quotes as ordinary characters."


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row can't be read, and the one option that would help; it may be empty."""

    reason: str
    hint: str = ""


@dataclass(slots=True)
class SortedRows:
    """The rows of a block. Row i of all is at bytes `starts[i]` to `ends[i]`.

    `good` are the numbers of those that can be parsed, `texts` what Polars is given for them, without line ends, and
    `faults` says by number what is wrong with the others.
    """

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    good: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    faults: dict[int, Fault] = field(default_factory=dict)


def sort_rows(block: bytes, written: CsvFormat, grammar: Grammar, fields: int) -> SortedRows:
    """Sort complete rows, each of which should have so many fields."""
    sorter = _Sorter(block, written, grammar, fields)
    scan = RowScan(grammar, block, whole=True)
    at = 0
    while at < len(block):
        start = scan.next_with_quote(at)
        if start > at:
            sorter.plain_lines(at, start)
            at = start
        elif (end := sorter.end_of_regular_lines(at)) > at:
            sorter.regular_lines(at, end)
            at = end
        elif row := scan.row_at(at):
            sorter.row_with_quotes(at, *row)
            at = row[0]
    if written.encoding == "utf8":
        _take_out_other_encodings(sorter.rows)
    return sorter.rows


class _Sorter:
    def __init__(self, block: bytes, written: CsvFormat, grammar: Grammar, fields: int) -> None:
        self._block = block
        self._written = written
        self._grammar = grammar
        self._fields = fields
        self._regular = grammar.regular(fields) if grammar.quote else None
        self._regular_lines = grammar.regular_lines(fields) if grammar.quote and not grammar.comment else None
        self.rows = SortedRows()

    def plain_lines(self, start: int, end: int) -> None:
        """Add lines without any quote."""
        rows, separators, separator = self.rows, self._fields - 1, self._grammar.separator
        chunk = self._block[start:end]
        lines = chunk.removesuffix(b"\n").split(b"\n")
        comment = self._grammar.comment
        if not comment and all(line.count(separator) == separators for line in lines):  # the usual case
            self._good_lines(start, lines)
            return
        for match in (_LINES if separators else _LINES_AND_BLANKS).finditer(chunk):
            line, begin = match.group().removesuffix(b"\n"), start + match.start()
            if (line == b"\r" and separators) or (comment and line.startswith(comment)):
                continue
            if line.count(separator) == separators:
                rows.good.append(len(rows.starts))
                rows.texts.append(line)
            else:
                self._other_count(line.split(separator))
            rows.starts.append(begin)
            rows.ends.append(begin + len(line) + 1)

    def end_of_regular_lines(self, start: int) -> int:
        """Return where lines end that are rows with the right number of fields, and nothing wrong with their quotes."""
        match = self._regular_lines.match(self._block, start) if self._regular_lines else None
        return match.end() if match else start

    def regular_lines(self, start: int, end: int) -> None:
        """Add such lines."""
        self._good_lines(start, self._block[start : end - 1].split(b"\n"))

    def row_with_quotes(self, start: int, end: int, problem: str) -> None:
        """Add one row, or one comment; `problem` says what is wrong with its quotes."""
        rows, grammar = self.rows, self._grammar
        if grammar.comment and self._block.startswith(grammar.comment, start):
            return
        if problem:
            rows.faults[len(rows.starts)] = Fault(problem, NO_QUOTES)
        else:
            row = self._block[start:end].removesuffix(b"\n")
            if self._regular and self._regular.fullmatch(row):
                self._add(row, [])
                rows.starts.append(start)
                rows.ends.append(end)
                return
            row = row[:-1] if row.endswith(grammar.quote + b"\r") else row
            fields = grammar.fields(row)
            if len(fields) != self._fields:
                self._other_count(fields)
            else:
                self._add(row, fields)
        rows.starts.append(start)
        rows.ends.append(end)

    def _good_lines(self, start: int, lines: list[bytes]) -> None:
        rows = self.rows
        bounds = list(accumulate([len(line) + 1 for line in lines], initial=start))
        rows.good += range(len(rows.starts), len(rows.starts) + len(lines))
        rows.texts += lines
        rows.starts += bounds[:-1]
        rows.ends += bounds[1:]

    def _other_count(self, fields: list[bytes]) -> None:
        found, wanted = len(fields), self._fields
        if found < wanted and self._written.short_lines == "null":
            self._add(b"", [*fields, *[b""] * (wanted - found)], changed=True)
        elif found > wanted and self._written.long_lines == "cut":
            self._add(b"", fields[:wanted], changed=True)
        else:
            self.rows.faults[len(self.rows.starts)] = _wrong_count(found, wanted)

    def _add(self, row: bytes, fields: list[bytes], *, changed: bool = False) -> None:
        # Polars counts all quotes to find the ends of rows, so one inside a field has to be written the usual way. It
        # leaves out a carriage return at the end of a field without quotes.
        quote = self._grammar.quote
        for number, value in enumerate(fields):
            if quote and quote in value and not value.startswith(quote):
                fields[number] = quote + value.removesuffix(b"\r").replace(quote, quote * 2) + quote
                changed = True
        self.rows.good.append(len(self.rows.starts))
        self.rows.texts.append(self._grammar.separator.join(fields) if changed else row)


@lru_cache(1000)
def _wrong_count(found: int, wanted: int) -> Fault:
    return Fault(
        f"it has {found:,} field{'s' * (found != 1)} instead of {wanted:,}",
        "short_lines='null' fills the missing fields with nulls."
        if found < wanted
        else "long_lines='cut' leaves out the fields beyond the header.",
    )


def _take_out_other_encodings(rows: SortedRows) -> None:
    if _first_other_byte(b"\n".join(rows.texts)) is None:
        return
    good, texts = rows.good, rows.texts
    rows.good, rows.texts = [], []
    for number, text in zip(good, texts, strict=True):
        byte = _first_other_byte(text)
        if byte is None:
            rows.good.append(number)
            rows.texts.append(text)
        else:
            rows.faults[number] = Fault(
                f"it isn't UTF-8 (byte 0x{byte:02X})",
                "encoding='utf8-lossy' replaces such bytes; to keep the letters, convert the file with iconv.",
            )


def _first_other_byte(text: bytes) -> int | None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return text[error.start]
    return None
