"""Turns a block of JSON lines into a frame, and names the lines that it can't read.

Invariant: each line that isn't blank is a row of the frame or is named, never both. Which one it is depends on the line
alone, not on its neighbours.

Polars reads a block in one call. It refuses the whole block for one wrong value, and it ignores a key without a column.
Reading each line with `json` would find both, ten times slower. So the keys are counted instead: a line has at least as
many colons as keys, so if a block has as many colons as values that aren't null, no key was ignored. Only lines that
this doesn't prove right are read by `json`.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.errors import describe
from engine.sources.ndjson.check import Problem, misfit, problem_of
from engine.sources.text.line_fetcher import BadLine
from engine.sources.text.values import fields_of, fitted, instance_of, misfits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

_PIECES = 16
"""A block that Polars refuses is divided into so many pieces, so that few lines are read by `json`."""

_SMALL = 64 << 10

_KEY = re.compile(rb'"[ \t\r]*:(?![ \t\r]*null)')
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_FLOAT_DIGITS = 15


class LineParser:
    """Reads lines with these columns. `all_keys`: a line with a key that is no column can't be read."""

    def __init__(self, dtypes: Mapping[str, pl.DataType], *, all_keys: bool) -> None:
        import polars as pl

        self._dtypes = dict(dtypes)
        self._all_keys = all_keys
        self._plain = pl.Schema({name: _as_read(dtype) for name, dtype in dtypes.items()})
        self._declared = {name: dtype for name, dtype in dtypes.items() if self._plain[name] != dtype}
        self._checked = self._plain | {name: dtype for name, dtype in dtypes.items() if isinstance(dtype, pl.Decimal)}
        self._decimals = [name for name, dtype in dtypes.items() if isinstance(dtype, pl.Decimal)]

    def parse(self, block: bytes) -> tuple[pl.DataFrame, Sequence[BadLine]]:
        """Return the rows that can be read, in order, and the lines that can't."""
        frame = self._read(block)
        if frame is None and len(block) > _SMALL:
            return self._joined(_divided(block))
        return self._checked_rows(block, frame)

    def _checked_rows(self, block: bytes, frame: pl.DataFrame | None) -> tuple[pl.DataFrame, Sequence[BadLine]]:
        import polars as pl

        bad: dict[int, Problem] = {}
        lines: list[tuple[int, bytes]] | None = None
        if frame is None or not self._proved(block, frame):
            lines = _lines(block)
            bad = self._problems(lines, frame)
            if frame is None:
                good = [row for row in range(len(lines)) if row not in bad]
                frame, refused = self._read_each([lines[row][1] for row in good])
                bad |= {good[row]: problem for row, problem in refused.items()}
            elif bad:
                frame = frame.filter(~pl.Series(range(frame.height)).is_in(list(bad)))
        frame, unfit = self._converted(frame)
        if unfit:
            lines = _lines(block) if lines is None else lines
            rows = [row for row in range(len(lines)) if row not in bad]
            bad |= {rows[row]: problem for row, problem in unfit.items()}
        named = (BadLine(row, *(lines or [])[row], bad[row].reason, bad[row].hint) for row in sorted(bad))
        return frame, list(named)

    def _joined(self, pieces: Iterable[bytes]) -> tuple[pl.DataFrame, Sequence[BadLine]]:
        import polars as pl

        frames: list[pl.DataFrame] = []
        named: list[BadLine] = []
        row = start = 0
        for piece in pieces:
            frame, bad = self._checked_rows(piece, self._read(piece))
            frames.append(frame)
            named += [replace(line, row=row + line.row, start=start + line.start) for line in bad]
            row += frame.height + len(bad)
            start += len(piece)
        return pl.concat(frames), named

    def _read(self, block: bytes) -> pl.DataFrame | None:
        import polars as pl

        try:
            return pl.scan_ndjson(block, schema=self._plain).collect()
        except pl.exceptions.PolarsError:
            return None

    def _read_each(self, lines: Sequence[bytes]) -> tuple[pl.DataFrame, dict[int, Problem]]:
        """Return the lines that Polars reads, and those that it refuses though `check` finds nothing wrong."""
        import polars as pl

        try:
            return pl.scan_ndjson(b"\n".join(lines), schema=self._plain).collect(), {}
        except pl.exceptions.PolarsError as error:
            if len(lines) == 1:
                return pl.DataFrame(schema=self._plain), {0: Problem(f"Polars can't read it: {describe(error)}")}
        middle = len(lines) // 2
        first, refused = self._read_each(lines[:middle])
        second, more = self._read_each(lines[middle:])
        return pl.concat([first, second]), refused | {middle + row: problem for row, problem in more.items()}

    def _proved(self, block: bytes, frame: pl.DataFrame) -> bool:
        """Return whether every value of every line is certainly in the frame, and exact."""
        import polars as pl

        if b"\\" in block and _SURROGATE.search(block):
            return False
        if self._decimals:
            longest = frame.select(pl.max_horizontal(pl.col(*self._decimals).str.len_bytes().max())).item()
            if (longest or 0) > _FLOAT_DIGITS:
                return False
        if not self._all_keys:
            return True
        values = self._values(frame).sum()
        colons = block.count(b":")
        if colons == values:
            return True
        if any(spaced in block for spaced in (b" :", b"\t:", b"\r:")):
            return False
        keys = block.count(b'":')
        return keys == values or keys - block.count(b'":null') - block.count(b'": null') == values

    def _problems(self, lines: Sequence[tuple[int, bytes]], frame: pl.DataFrame | None) -> dict[int, Problem]:
        suspects: Iterable[int] = range(len(lines))
        if frame is not None:
            suspects = self._suspects(lines, frame)
        found = {}
        for row in suspects:
            problem = problem_of(lines[row][1], self._checked, all_keys=self._all_keys)
            if problem is not None:
                found[row] = problem
        return found

    def _suspects(self, lines: Sequence[tuple[int, bytes]], frame: pl.DataFrame) -> list[int]:
        import polars as pl

        values = self._values(frame)
        long = pl.Series([False]).new_from_index(0, frame.height)
        for name in self._decimals:
            long |= frame[name].str.len_bytes().fill_null(0) > _FLOAT_DIGITS
        return [
            row
            for row, ((_, line), value, digits) in enumerate(zip(lines, values, long, strict=True))
            if digits or (self._all_keys and len(_KEY.findall(line)) != value) or _SURROGATE.search(line)
        ]

    def _values(self, frame: pl.DataFrame) -> pl.Series:
        """Return for each row how many keys have a value that isn't null."""
        import polars as pl

        counts = [_keys(pl.col(name), dtype) for name, dtype in self._plain.items()]
        return frame.select(pl.sum_horizontal(counts).alias("keys"))["keys"]

    def _converted(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, Problem]]:
        """Return the rows whose values fit the declared dtypes, and what is wrong with the others."""
        import polars as pl

        if not self._declared:
            return frame, {}
        whole = frame.with_columns(fitted(pl.col(name), dtype) for name, dtype in self._declared.items())
        unfit: dict[int, Problem] = {}
        for name, mask in misfits(frame, whole).items():
            for row in mask.arg_true():
                value = json.dumps(frame[name][row], ensure_ascii=False, default=str)
                unfit.setdefault(row, misfit(name, value, self._dtypes[name]))
        return (whole.filter(~pl.Series(range(whole.height)).is_in(list(unfit))) if unfit else whole), unfit


def _as_read(dtype: pl.DataType) -> pl.DataType:
    """Return the dtype that Polars reads, strictly, before the values become `dtype`."""
    import polars as pl

    as_it_is = (pl.Boolean, pl.String, pl.Int64, pl.UInt64, pl.Int128, pl.Float64, pl.List, pl.Struct)
    if isinstance(dtype, as_it_is):
        return dtype
    if isinstance(dtype, pl.UInt128):
        return pl.String()
    if dtype.is_integer():
        return pl.Int64()
    return pl.Float64() if dtype.is_float() else pl.String()


def _keys(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return for each value of a key how many keys it stands for: itself, if it isn't null, and those inside."""
    import polars as pl

    return value.is_not_null().cast(pl.UInt32) + _keys_inside(value, dtype)


def _keys_inside(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    none = pl.lit(0, pl.UInt32)
    if isinstance(dtype, pl.Struct):
        inner = [_keys(value.struct.field(name), field) for name, field in fields_of(dtype).items()]
        return pl.sum_horizontal(inner) if inner else none
    if isinstance(dtype, pl.List) and _has_struct(dtype):
        item = instance_of(dtype.inner)
        return value.list.eval(_keys_inside(pl.element(), item)).list.sum().fill_null(0).cast(pl.UInt32)
    return none


def _has_struct(dtype: pl.DataType) -> bool:
    import polars as pl

    return isinstance(dtype, pl.Struct) or (isinstance(dtype, pl.List) and _has_struct(instance_of(dtype.inner)))


def _lines(block: bytes) -> list[tuple[int, bytes]]:
    """Return the lines that aren't blank, each with the byte where it begins."""
    lines = []
    start = 0
    for line in block.split(b"\n"):
        if line.strip(b" \t\r"):
            lines.append((start, line))
        start += len(line) + 1
    return lines


def _divided(block: bytes) -> Iterable[bytes]:
    size = max(len(block) // _PIECES, _SMALL)
    start = 0
    while start < len(block):
        end = block.find(b"\n", start + size) + 1 or len(block)
        yield block[start:end]
        start = end
