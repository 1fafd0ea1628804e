"""Rows on stdout: a table for people, or CSV for programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.cli.streams import can_show, is_screen, print_result, width
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

_CELL_WIDTH = 200
_UNLIMITED = 10_000


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]], *, cell_width: int = 100) -> list[str]:
    """Return the lines of a plain table; each cell is made safe and cut to `cell_width` characters."""
    cells = [list(head), *([safe(cell, cell_width) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def print_frame(frame: pl.DataFrame, *, csv: bool = False) -> None:
    """Print all rows of the frame. Text on a terminal is made safe; CSV in a pipe or a file is exact."""
    if not csv:
        print_result(*frame_lines(frame))
        return
    text = frame.write_csv().rstrip("\n")
    if is_screen(sys.stdout):
        text = "\n".join(safe(line, _UNLIMITED) for line in text.split("\n"))
    print_result(text)


def frame_lines(frame: pl.DataFrame) -> list[str]:
    """Return the frame as a table with all rows and columns, safe for a terminal."""
    import polars as pl

    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    frame = frame.with_columns(
        pl.col(name).map_elements(lambda text: safe(text, _CELL_WIDTH), return_dtype=pl.String) for name in texts
    )
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=width(sys.stdout) if is_screen(sys.stdout) else _UNLIMITED,
        fmt_str_lengths=_CELL_WIDTH,
        tbl_formatting="UTF8_FULL_CONDENSED" if can_show(sys.stdout, "┌─┆╞═") else "ASCII_FULL_CONDENSED",
        tbl_hide_dataframe_shape=True,
    ):
        return [safe(line, _UNLIMITED) for line in str(frame).split("\n")]
