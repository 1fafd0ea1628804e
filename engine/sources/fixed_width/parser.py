"""Cuts lines into columns, and names the lines that can't be read.

Invariant: each line that isn't empty is a row of the frame or is named, never both, whatever its neighbours are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.sources.text.line_file import BadLine
from engine.sources.text.values import fitted, misfits
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from engine.sources.fixed_width.layout import Layout

_SHOWN = 60


class LineCutter:
    """Cuts lines into the columns of `layout`."""

    blank = b"\r"

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.encoding = "utf8" if layout.encoding == "utf8-lossy" else layout.encoding

    def parse(self, block: bytes) -> tuple[pl.DataFrame, Sequence[BadLine]]:
        """Return the rows of some lines that can be read, in order, and the lines that can't."""
        return _parsed(block, self._layout)


def _parsed(block: bytes, layout: Layout) -> tuple[pl.DataFrame, Sequence[BadLine]]:
    import polars as pl

    lines = _texts(block, layout.encoding)
    faults = _faults(lines, layout)
    texts = lines.to_frame("line").select(_text(name, layout) for name in layout.places)
    frame = texts.select(fitted(pl.col(name), dtype).alias(name) for name, dtype in layout.dtypes.items())
    for name, mask in misfits(texts, frame).items():
        for row in mask.arg_true():
            shown = safe(texts[name][row], _SHOWN)
            faults.setdefault(
                row,
                (
                    f"'{shown}' isn't {layout.dtypes[name]} (column '{name}')",
                    f"null_values=[…] makes such a text null; dtypes={{'{name}': pl.String}} reads any text.",
                ),
            )
    if not faults:
        return frame, ()
    places = _places(block)
    bad = [BadLine(row, *places[row], *faults[row]) for row in sorted(faults)]
    return frame.filter(~pl.Series(range(frame.height)).is_in(list(faults))), bad


def _faults(lines: pl.Series, layout: Layout) -> dict[int, tuple[str, str]]:
    """Return what is wrong with lines as a whole, and the option that would help."""
    in_bytes = layout.units == "bytes"
    length = lines.str.len_bytes() if in_bytes else lines.str.len_chars()
    inked = lines.str.strip_chars_end(" ")
    used = inked.str.len_bytes() if in_bytes else inked.str.len_chars()
    faults: dict[int, tuple[str, str]] = {}
    for row in lines.is_null().arg_true():
        faults[row] = (
            f"it isn't {layout.encoding}",
            "encoding= names another encoding, such as 'cp1252'; 'utf8-lossy' replaces the bytes by U+FFFD.",
        )
    if layout.short_lines == "error":
        for row in (length < layout.end).fill_null(value=False).arg_true():
            faults[row] = (
                f"it has {length[row]:,} {layout.units}, but the columns end after {layout.end:,}",
                "short_lines='null' reads what is there, and makes the missing columns null.",
            )
    if layout.long_lines == "error":
        for row in (used > layout.end).fill_null(value=False).arg_true():
            faults[row] = (
                f"it has {used[row]:,} {layout.units}, but the columns end after {layout.end:,}",
                "long_lines='cut' leaves out what comes after the columns.",
            )
    return faults


def _text(name: str, layout: Layout) -> pl.Expr:
    """Return the text of a column; null where it is blank or means null."""
    import polars as pl

    start, width = layout.places[name]
    line = pl.col("line")
    if layout.units == "bytes":
        # A column may end inside a character: then its text isn't UTF-8, and is replaced as in utf8-lossy.
        text = line.cast(pl.Binary).bin.slice(start, width).map_batches(_decoded, return_dtype=pl.String)
    else:
        text = line.str.slice(start, width)
    bare = text.str.strip_chars(" ")
    if layout.strip or layout.dtypes[name] != pl.String:
        text = bare
    blank = bare == "" if layout.strip or layout.dtypes[name] != pl.String else text == ""
    return pl.when(~blank & ~bare.is_in(list(layout.null_values))).then(text).alias(name)


def _decoded(column: pl.Series) -> pl.Series:
    import polars as pl

    texts = column.cast(pl.String, strict=False)
    if texts.null_count() == column.null_count():
        return texts
    return pl.Series([None if value is None else value.decode(errors="replace") for value in column], dtype=pl.String)


def _texts(block: bytes, encoding: str) -> pl.Series:
    """Return the lines that aren't empty, without their ends; null for one that isn't in the encoding."""
    import polars as pl

    lossy = encoding == "utf8-lossy"
    codec, errors = ("utf8", "replace") if lossy else (encoding, "strict")
    try:
        lines = pl.Series([block.decode(codec, errors)]).str.split("\n").explode().str.strip_chars_end("\r")
    except UnicodeDecodeError:
        lines = pl.Series([_line(line, codec) for line in block.split(b"\n")], dtype=pl.String).str.strip_chars_end(
            "\r"
        )
    return lines.filter((lines != "").fill_null(value=True))


def _line(line: bytes, codec: str) -> str | None:
    try:
        return line.decode(codec)
    except UnicodeDecodeError:
        return None


def _places(block: bytes) -> list[tuple[int, bytes]]:
    """Return the lines that aren't empty, each with the byte where it begins."""
    places, start = [], 0
    for line in block.split(b"\n"):
        if line.strip(b"\r"):
            places.append((start, line))
        start += len(line) + 1
    return places
