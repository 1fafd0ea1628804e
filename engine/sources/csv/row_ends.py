"""Where the rows of a CSV file end: at a line end that isn't inside a quoted field."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from engine.sources.text.blocks import after_last_line

if TYPE_CHECKING:
    from engine.sources.csv.format import CsvFormat
    from engine.sources.text.blocks import RowEnd


def row_end_of(written: CsvFormat) -> RowEnd:
    r"""Return a function that finds the end of the last complete row in some bytes; it returns 0 if there is none.

    >>> from engine.sources.csv.format import CsvFormat
    >>> row_end_of(CsvFormat())(b'1,x\n2,"two\nlines"\n3,"no end\n')
    18
    """
    if written.quote_char is None:
        return after_last_line
    quote = written.quote_char.encode()
    if written.comment_prefix is None:
        return partial(_after_last_line_outside, quote=quote)
    # A quote in a comment opens no field, so every row has to be parsed.
    mark, comment = re.escape(quote), re.escape(written.comment_prefix.encode())
    row = rb"%b[^\n]*+\n|(?:[^%b\n]++|%b[^%b]*+%b)*+\n" % (comment, mark, mark, mark, mark)
    rows = rb"(?:\xef\xbb\xbf)?+(?:%b)*+" % row  # the BOM, at a file's start
    return partial(_end_of_match, pattern=re.compile(rows))


def _after_last_line_outside(data: bytes, quote: bytes) -> int:
    """Return the end of the last line after an even number of quotes: such a line end isn't inside a field."""
    end = after_last_line(data)
    quotes = data.count(quote, 0, end)
    while quotes % 2:
        earlier = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(quote, earlier, end)
        end = earlier
    return end


def _end_of_match(data: bytes, pattern: re.Pattern[bytes]) -> int:
    match = pattern.match(data)
    return match.end() if match else 0
