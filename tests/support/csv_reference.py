"""A slow reader of CSV, written from the rules of `CsvFetcher` alone, to compare it with.

It reads character by character, row after row, and knows nothing of blocks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Q, S, N = b'"', b",", b"\n"
UNSURE = object()
"""The value of a field with quotes inside that aren't doubled: only Polars decides what it says."""


@dataclass(frozen=True)
class Row:
    line: int
    byte: int
    text: bytes
    fields: tuple[bytes, ...] = ()
    fault: str = ""

    def values(self, columns: int) -> tuple[object, ...] | None:
        """Return an integer and texts, a null or UNSURE instead of some, or None if the row can't be read."""
        if self.fault or len(self.fields) != columns:
            return None
        try:
            self.text.decode()
        except UnicodeDecodeError:
            return None
        first, *others = self.fields
        number = _plain(first)
        if number is UNSURE:
            return None
        if re.fullmatch(rb"[ \t]*|\r", number):
            value = None
        elif re.fullmatch(rb" *[+-]?[0-9]+", number) and abs(int(number)) < 1 << 63:
            value = int(number)
        else:
            return None
        return (value, *(None if text in (b"", b"\r") else _plain(text) for text in others))


def rows_of(data: bytes, columns: int) -> list[Row]:
    at, line, rows = 0, 1, []
    while at < len(data):
        end, fields, fault = _row(data, at)
        text = _without_line_end(data[at:end])
        if not (text == b"" and columns > 1):
            rows.append(Row(line, at, text, tuple(fields), fault))
        line += data.count(N, at, end)
        at = end
    return rows


def _plain(field: bytes) -> bytes | object:
    """Return what a field says."""
    if not field.startswith(Q):
        return field
    inner = field[1:-1]
    return UNSURE if Q in inner.replace(Q + Q, b"") else inner.replace(Q + Q, Q)


def _without_line_end(text: bytes) -> bytes:
    text = text[:-1] if text.endswith(N) else text
    return text[:-1] if text.endswith(b"\r") else text


def _row(data: bytes, start: int) -> tuple[int, list[bytes], str]:
    line_end = data.find(N, start) + 1 or len(data)
    at, fields = start, []
    while True:
        end = _field_end(data, at)
        if end is None:
            return line_end, [], "quotes"
        fields.append(data[at:end])
        if data[end : end + 1] == S:
            at = end + 1
            continue
        rest = data[end : end + 2]
        if rest[:1] == N:
            return end + 1, _cleaned(fields), ""
        if rest == b"\r\n":
            return end + 2, _cleaned(fields), ""
        return len(data), _cleaned(fields), ""


def _cleaned(fields: list[bytes]) -> list[bytes]:
    # Polars leaves out a carriage return at the end of any field without quotes, not only of the last one.
    return [field if field.startswith(Q) else field.removesuffix(b"\r") for field in fields]


def _ends(data: bytes, at: int) -> bool:
    return data[at : at + 1] in (b"", S, N) or data[at : at + 2] == b"\r\n" or data[at:] == b"\r"


def _field_end(data: bytes, start: int) -> int | None:
    if data[start : start + 1] != Q:
        at = start
        while at < len(data) and data[at : at + 1] not in (S, N):
            at += 1
        return at
    return _end_of_doubled_quotes(data, start) or _end_of_single_line(data, start)


def _end_of_doubled_quotes(data: bytes, start: int) -> int | None:
    at = start + 1
    while at < len(data):
        if data[at : at + 1] != Q:
            at += 1
        elif data[at + 1 : at + 2] == Q:
            at += 2
        else:
            return at + 1 if _ends(data, at + 1) else None
    return None


def _end_of_single_line(data: bytes, start: int) -> int | None:
    inside, at = False, start
    while at < len(data) and data[at : at + 1] != N:
        if data[at : at + 1] == Q:
            inside = not inside
            if not inside and _ends(data, at + 1):
                return at + 1
        elif not inside and data[at : at + 1] == S:
            return None
        at += 1
    return None
