"""Turns a block of JSON lines into a frame, and names the lines that it can't read.

Invariant: each line that isn't blank is a row of the frame or is named, never both. Which one it is depends on the line
alone, not on its neighbours.

Polars reads a block in one call. It refuses the whole block for one wrong value, and it ignores a key without a column.
Reading each line with `json` would find both, ten times slower. So colons are counted instead: each key has one, and so
has each colon in a text. If a block has no more colons than the frame has values that aren't null, and colons in its
texts, no key was ignored. Only lines that this doesn't prove right are read by `json`.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.errors import describe
from engine.sources.ndjson.check import Problem, misfit, problem_of
from engine.sources.text.line_file import BadLine
from engine.sources.text.values import fields_of, fitted, instance_of, misfits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import polars as pl

_PIECES = 16
"""A block that Polars refuses is divided into so many pieces, again and again, so that few lines are read by `json`."""

_SMALL = 4 << 10

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_COLON = re.compile(rb"\\u003[aA]")
_FLOAT_DIGITS = 15
_FEW = 0.05


class LineParser:
    """Reads lines with these columns. `all_keys`: a line with a key that is no column can't be read."""

    blank = b" \t\r"
    encoding = "utf8"

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
        if not self._dtypes:
            return _no_rows(), ()
        frame = self._read(block)
        if frame is None and len(block) > _SMALL and len(pieces := _divided(block)) > 1:
            return self._joined(pieces)
        return self._checked_rows(block, frame)

    def _checked_rows(self, block: bytes, frame: pl.DataFrame | None) -> tuple[pl.DataFrame, Sequence[BadLine]]:
        bad: dict[int, Problem] = {}
        if frame is None:
            lines = _lines(block)
            bad = self._problems(enumerate(line for _, line in lines))
            good = [row for row in range(len(lines)) if row not in bad]
            frame, refused = self._read_each([lines[row][1] for row in good])
            bad |= {good[row]: problem for row, problem in refused.items()}
        else:
            bad = self._problems(self._suspects(block, frame))
            frame = _without(frame, bad)
        frame, unfit = self._converted(frame)
        if not bad and not unfit:
            return frame, ()
        lines = _lines(block)
        rows = [row for row in range(len(lines)) if row not in bad]
        bad |= {rows[row]: problem for row, problem in unfit.items()}
        return frame, [BadLine(row, *lines[row], bad[row].reason, bad[row].hint) for row in sorted(bad)]

    def _joined(self, pieces: Iterable[bytes]) -> tuple[pl.DataFrame, Sequence[BadLine]]:
        import polars as pl

        frames: list[pl.DataFrame] = []
        named: list[BadLine] = []
        row = start = 0
        for piece in pieces:
            frame, bad = self.parse(piece)
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

    def _problems(self, lines: Iterable[tuple[int, bytes]]) -> dict[int, Problem]:
        found = ((row, problem_of(line, self._checked, all_keys=self._all_keys)) for row, line in lines)
        return {row: problem for row, problem in found if problem is not None}

    def _suspects(self, block: bytes, frame: pl.DataFrame) -> Iterator[tuple[int, bytes]]:
        """Yield each row that may have lost something on its way into the frame, and its line."""
        import polars as pl

        lines: pl.Series | None = None
        suspects = pl.Series([False]).new_from_index(0, frame.height)
        if b"\\" in block and _SURROGATE.search(block):
            lines = _line_series(block, frame.height)
            suspects |= lines.str.contains(_SURROGATE.pattern.decode())
        for name in self._decimals:
            suspects |= frame[name].str.len_bytes().fill_null(0) > _FLOAT_DIGITS
        if self._all_keys:
            values = self._values(frame)
            extra = block.count(b":") - values.sum() - self._colons_in_texts(frame)
            if extra or (b"\\" in block and _COLON.search(block)):
                lines = _line_series(block, frame.height) if lines is None else lines
                suspects |= _colons(lines, few=0 <= extra < frame.height * _FEW) != values
        rows = suspects.arg_true()
        if len(rows):
            lines = _line_series(block, frame.height) if lines is None else lines
            for row, line in zip(rows, lines.gather(rows), strict=True):
                yield row, line.encode()

    def _values(self, frame: pl.DataFrame) -> pl.Series:
        """Return for each row how many keys have a value that isn't null."""
        import polars as pl

        counts = [_keys(pl.col(name), dtype) for name, dtype in self._plain.items()]
        return frame.select(pl.sum_horizontal(counts).alias("keys"))["keys"]

    def _colons_in_texts(self, frame: pl.DataFrame) -> int:
        """Return how many colons the texts of the frame have, without those that are JSON, whose colons are of keys."""
        import polars as pl

        texts = [name for name, dtype in self._plain.items() if isinstance(dtype, pl.String)]
        if not texts:
            return 0
        text = pl.col(*texts)
        plain = ~(text.str.starts_with("{") | text.str.starts_with("["))
        counts = frame.select(pl.when(plain).then(text.str.count_matches(":", literal=True)).sum())
        return sum(counts.row(0))

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
        return _without(whole, unfit), unfit


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


def _colons(lines: pl.Series, *, few: bool) -> pl.Series:
    """Return for each line a number that is at least that of its keys with a value. `few`: few texts have colons."""
    if few:
        return lines.str.count_matches(":", literal=True)
    # A colon after a quote may still be the start of a text, but no key with a value is left out.
    return lines.str.count_matches(r'"[ \t\r]*:') - lines.str.count_matches(r'"[ \t\r]*:[ \t\r]*null')


def _no_rows() -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame()


def _line_series(block: bytes, height: int) -> pl.Series:
    """Return the lines that aren't blank; there are `height` of them."""
    import polars as pl

    lines = pl.Series([block.decode()]).str.split("\n").explode()
    if len(lines) != height:
        lines = lines.filter(lines.str.strip_chars(" \t\r") != "")
    return lines


def _without(frame: pl.DataFrame, rows: Collection[int]) -> pl.DataFrame:
    import polars as pl

    return frame.filter(~pl.Series(range(frame.height)).is_in(list(rows))) if rows else frame


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


def _divided(block: bytes) -> list[bytes]:
    size = max(len(block) // _PIECES, _SMALL)
    pieces, start = [], 0
    while start < len(block):
        end = block.find(b"\n", start + size) + 1 or len(block)
        pieces.append(block[start:end])
        start = end
    return pieces
