"""Where the columns of a line are, and how their texts become values: the options of `FixedWidthFetcher`."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from engine.errors import UsageError
from engine.sources.text.values import dtype_of

if TYPE_CHECKING:
    import polars as pl

Columns: TypeAlias = "Mapping[str, tuple[int, int]] | Sequence[tuple[str, int]]"
"""`{name: (start, width)}`, where a line starts at 0, or `[(name, width), …]`, one after the other."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Column `name` is in the `width` characters or bytes from `start` on, and has the dtype `dtypes[name]`."""

    places: Mapping[str, tuple[int, int]]
    dtypes: Mapping[str, pl.DataType]
    units: Literal["characters", "bytes"] = "characters"
    strip: bool = True
    null_values: Sequence[str] = ()
    encoding: str = "utf8"
    short_lines: Literal["error", "null"] = "error"
    long_lines: Literal["error", "cut"] = "error"
    end: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "end", max(start + width for start, width in self.places.values()))
        choices = {
            "units": ("characters", "bytes"),
            "short_lines": ("error", "null"),
            "long_lines": ("error", "cut"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} must be {allowed[0]!r} or {allowed[1]!r}, not {getattr(self, name)!r}")
        if self.encoding == "utf8-lossy":
            return
        try:
            ascii_lines = "\n1".encode(self.encoding) == b"\n1" and codecs.lookup(self.encoding).name != "utf-7"
        except LookupError:
            ascii_lines = False
        if not ascii_lines:
            raise UsageError(
                f"encoding {self.encoding!r} can't be read line by line",
                hint="Use utf8, utf8-lossy, or a codec of Python such as cp1252; convert other files with iconv.",
            )
        if self.units == "bytes" and codecs.lookup(self.encoding).name != "utf-8":
            raise UsageError(
                f"units='bytes' needs encoding='utf8', not {self.encoding!r}",
                hint="In an encoding of one byte for each character, such as cp1252, units='characters' is the same.",
            )


def places_of(columns: Columns) -> dict[str, tuple[int, int]]:
    """Return start and width by column.

    Raises:
        UsageError: they aren't starts and widths, or a name comes twice.
    """
    example = "Write {'id': (0, 5), 'name': (5, 20)}, or [('id', 5), ('name', 20)] for columns without gaps."
    if isinstance(columns, Mapping):
        places = dict(columns)
    else:
        places, start = {}, 0
        for column in columns:
            match column:
                case (str(name), int(width)):
                    if name in places:
                        raise UsageError(f"columns has '{name}' twice")
                    places[name] = (start, width)
                    start += width
                case _:
                    raise UsageError(f"columns has {column!r}, not a name and a width", hint=example)
    for name, place in places.items():
        match place:
            case (int(start), int(width)) if start >= 0 and width > 0:
                continue
            case _:
                raise UsageError(f"columns, '{name}': {place!r} is no start and width", hint=example)
    if not places:
        raise UsageError("columns must name at least one column", hint=example)
    return places


def dtypes_of(places: Mapping[str, tuple[int, int]], declared: Mapping[str, Any]) -> dict[str, pl.DataType]:
    """Return the dtype of each column: the declared one, or String.

    Raises:
        UsageError: a dtype is declared for what is no column, or a text can't be read as it.
    """
    import polars as pl

    for name in declared:
        if name not in places:
            raise UsageError(f"dtypes names '{name}', which is no column", hint=f"Columns are {', '.join(places)}.")
    dtypes = {name: dtype_of(name, declared.get(name, pl.String)) for name in places}
    for name, dtype in dtypes.items():
        if dtype.is_nested():
            raise UsageError(
                f"dtypes, column '{name}': text can't be read as {dtype}",
                hint="Read it as pl.String, and convert it in a step.",
            )
    return dtypes
