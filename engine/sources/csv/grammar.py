r"""What a row of a CSV file is: where it ends, and which fields it has.

A quote opens a field only where a field begins; elsewhere it is a character like others (`v500,5" pipe`). A quoted
field that goes over several lines doubles each quote in it, and ends with its closing quote. A row for which that isn't
true is its first line only: a quote that is never closed takes one line, not the rest of the file.

Invariant: where a row ends depends on the bytes from its start on, and on nothing before. So a resume, which begins at
another byte, finds the same rows. Each byte is looked at a bounded number of times, whatever the bytes are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.sources.text import blocks
from engine.sources.text.blocks import after_last_line

if TYPE_CHECKING:
    from engine.sources.csv.format import CsvFormat

NEVER_CLOSED = "a quote is never closed"
TEXT_AFTER_QUOTE = "text follows a closing quote"

_LARGEST_BLOCK = 8
"""Rows whose quotes make the reader look far ahead are cut into blocks of this many usual ones: smaller ones would take
less memory, and each would have to look ahead again."""


class Grammar:
    """The rows of one format.

    `line` matches a row of one line, `row` any row, and `row_start` as much of a row as can be one.
    """

    def __init__(self, written: CsvFormat) -> None:
        self.separator = written.separator.encode()
        self.quote = (written.quote_char or "").encode()
        self.comment = (written.comment_prefix or "").encode()
        s, q = re.escape(written.separator), re.escape(written.quote_char or "\0")
        end = rf"(?=[{s}\n]|\r\n|\r?\Z)"
        eol = r"(?:\r?\n|\r?\Z)"
        strict = rf"{q}[^{q}]*+(?:{q}{q}[^{q}]*+)*+{q}{end}"
        loose = rf"(?:{q}[^{q}\n]*+{q}[^{q}{s}\n]*+(?={q}))*+{q}[^{q}\n]*+{q}{end}"
        literal = rf"[^{s}\n{q}][^{s}\n]*+"
        field = rf"(?:{strict}|{loose}|{literal})?+"
        in_line = rf"(?:{loose}|{literal})?+"
        opened = rf"(?:{q}[^{q}]*+(?:{q}{q}[^{q}]*+)*+)?+"
        self._clean = _compiled(rf"(?:[^{q}]*+(?<![^{s}\n])(?:{strict}|{loose}))*+[^{q}]*+")
        self.line = _compiled(rf"{in_line}(?:{s}{in_line})*+{eol}")
        self.row = _compiled(rf"{field}(?:{s}{field})*+{eol}")
        self.row_start = _compiled(rf"(?:{field}{s})*+{opened}")
        self._field = _compiled(field)
        self.clean_bytes = 0
        """How many of the bytes that `row_end` saw last are known to be clean."""
        run = rf"(?:{loose}|[^{s}\n{q}]*+)"
        self._run = rf"(?>{run}(?:{s}{run})" + "{{count}}\r?\n)*+"
        regular = rf"(?:{strict}|{loose}|[^{s}\n{q}]*+)"
        self._regular = regular + rf"(?:{s}{regular})" + "{{count}}\r?"

    def opens_none(self, rows: bytes) -> bool:
        """Return whether no quote opens a field, so that all quotes are characters like others."""
        quote = self.quote
        return not quote or not (rows.startswith(quote) or self.separator + quote in rows or b"\n" + quote in rows)

    def is_clean(self, rows: bytes) -> bool:
        """Return whether each quote in some complete rows belongs to a quoted field."""
        return not self.quote or self.quote not in rows or self._clean.fullmatch(rows) is not None

    def regular(self, fields: int) -> re.Pattern[bytes]:
        """Return the pattern of a row with so many fields whose quotes are all those of quoted fields."""
        return _compiled(self._regular.replace("{{count}}", f"{{{fields - 1}}}"))

    def regular_lines(self, fields: int) -> re.Pattern[bytes]:
        """Return the pattern of some such rows of one line each, with their line ends."""
        return _compiled(self._run.replace("{{count}}", f"{{{fields - 1}}}"))

    def unquoted(self, rows: bytes) -> bytes:
        """Return what isn't inside quotes; the rows must be clean."""
        return b"".join(rows.split(self.quote)[::2]) if self.quote and self.quote in rows else rows

    def fields(self, row: bytes) -> list[bytes]:
        """Return the fields of a row without its line end, each as it is in the file."""
        if not self.quote or self.quote not in row:
            return row.split(self.separator)
        found, at = [], 0
        while match := self._field.match(row, at):
            found.append(match.group())
            at = match.end() + 1
            if match.end() == len(row):
                break
        return found

    def row_end(self, data: bytes, *, whole: bool = False) -> int:
        """Return the end of the last complete row in `data`, which begins with a row; 0 if there is none.

        It may return the end of an earlier row, so that rows after a long look ahead don't become one large block.
        `whole` says that the file ends where `data` ends.
        """
        self.clean_bytes = 0
        if self.opens_none(data):
            return len(data) if whole else after_last_line(data)
        end, known = self._clean_rows(data, 0)
        self.clean_bytes = known
        if known == len(data):
            return len(data) if whole else end
        scan, enough = RowScan(self, data, whole=whole), blocks.BLOCK_BYTES
        while end < enough * _LARGEST_BLOCK:
            start = scan.next_with_quote(end)
            if start - end > enough and (cut := max(data.rfind(b"\n", end, end + enough) + 1, end)):
                return cut
            if start >= len(data):
                return len(data) if whole else after_last_line(data)
            row = scan.row_at(start)
            if row is None:
                return start
            end, _ = self._clean_rows(data, row[0])
        return end

    def last_row_end(self, data: bytes) -> int:
        """Return `row_end` of the last bytes of a file."""
        return self.row_end(data, whole=True)

    def _clean_rows(self, data: bytes, start: int) -> tuple[int, int]:
        """Return the end of the last row that is clean and complete, as all rows before it, and where clean bytes end.

        A row begins at `start`. What is looked at again later is one row at most: where another row could begin inside
        it, its quotes would open what they close now, and so all its line ends would be ends of rows.
        """
        if self.comment:
            return start, start
        known = _end_of_match(self._clean, data, start)
        end = max(data.rfind(b"\n", start, known) + 1, start)
        if data.rfind(self.quote, start, known) < end:  # the usual case: all quoted fields are complete there
            return end, known
        # After an odd number of quotes a line end is inside a field.
        quotes = data.count(self.quote, start, end)
        while quotes % 2:
            earlier = max(data.rfind(b"\n", start, end - 1) + 1, start)
            quotes -= data.count(self.quote, earlier, end)
            end = earlier
        return end, known


class RowScan:
    """Goes through the rows of `data`, from its start to its end.

    `whole` says that a row ends where `data` ends; else more bytes may follow.
    """

    def __init__(self, grammar: Grammar, data: bytes, *, whole: bool) -> None:
        self._grammar = grammar
        self._data = data
        self._whole = whole
        # A row that is open at a line end before this byte is never closed. It follows from an earlier row that was
        # open at all line ends up to here: without it, many such rows would each be read up to here.
        self._open_until = 0

    def next_with_quote(self, start: int) -> int:
        """Return the start of the next line with a quote, or the end of the data. A row begins at `start`."""
        grammar, data = self._grammar, self._data
        quote = data.find(grammar.quote, start) if grammar.quote else -1
        return len(data) if quote < 0 else max(start, data.rfind(b"\n", start, quote) + 1)

    def row_at(self, start: int) -> tuple[int, str] | None:  # noqa: PLR0911 (one for each kind of row)
        """Return the end of the row, and what is wrong with its quotes; or None: more bytes are needed to tell."""
        grammar, data = self._grammar, self._data
        line_end = data.find(b"\n", start) + 1 or (len(data) if self._whole else 0)
        if not line_end:
            return None
        if (grammar.comment and data.startswith(grammar.comment, start)) or grammar.line.match(data, start):
            return line_end, ""
        if line_end <= self._open_until:
            return line_end, NEVER_CLOSED
        row = grammar.row.match(data, start)
        if row and (self._whole or data[row.end() - 1 : row.end()] == b"\n"):
            self._open_until = row.end()
            too_long = row.end() - start > blocks.LONGEST_ROW_BYTES
            return (line_end, NEVER_CLOSED) if too_long else (row.end(), "")
        stuck = _end_of_match(grammar.row_start, data, start)
        if stuck < line_end:
            return line_end, TEXT_AFTER_QUOTE
        undecided = data.find(b"\n", stuck) < 0  # the rest of that line may make a field of it
        if undecided and not self._whole and len(data) - start <= blocks.LONGEST_ROW_BYTES:
            return None
        self._open_until = stuck
        return line_end, NEVER_CLOSED


def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


def _end_of_match(pattern: re.Pattern[bytes], data: bytes, start: int = 0) -> int:
    match = pattern.match(data, start)
    return match.end() if match else start
