"""A DataFrame on stdout: a table for people, or CSV for programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.cli.streams import columns, is_screen, out, shows
from engine.text.terminal_safe import safe

if TYPE_CHECKING:
    import polars as pl

_CELL = 200
_UNLIMITED = 10_000


def write_frame(frame: pl.DataFrame, *, csv: bool = False) -> None:
    """Write all rows of the frame. On a terminal every text is made safe; CSV into a pipe or file is exact."""
    if not csv:
        for line in table_lines(frame):
            out(line)
        return
    text = frame.write_csv().rstrip("\n")
    if is_screen(sys.stdout):
        text = "\n".join(safe(line, _UNLIMITED) for line in text.split("\n"))
    out(text)


def table_lines(frame: pl.DataFrame) -> list[str]:
    """Return the frame as a table, all rows and columns, fit for a terminal."""
    import polars as pl

    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    frame = frame.with_columns(
        pl.col(name).map_elements(lambda text: safe(text, _CELL), return_dtype=pl.String) for name in texts
    )
    wide = columns(sys.stdout) if is_screen(sys.stdout) else _UNLIMITED
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=wide,
        fmt_str_lengths=_CELL,
        tbl_formatting="UTF8_FULL_CONDENSED" if shows(sys.stdout, "┌─┆╞═") else "ASCII_FULL_CONDENSED",
        tbl_hide_dataframe_shape=True,
    ):
        return [safe(line, _UNLIMITED) for line in str(frame).split("\n")]
