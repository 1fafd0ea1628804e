"""Columns that are in the names of folders: `year=2024/month=1/x.parquet` has the columns year and month.

Spark, DuckDB, pyarrow and Polars write and read such folders; the files in them don't have these columns. Their dtypes
are those that Polars infers from the values of all files.
"""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING
from urllib.parse import unquote

from engine.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl

_NULL = "__HIVE_DEFAULT_PARTITION__"
_SEPARATOR = "\x1f"


def partitions(paths: Sequence[Path], roots: Sequence[Path], hive: bool | None) -> pl.DataFrame:  # noqa: FBT001
    """Return the columns that the folders between root and file stand for: one row for each file.

    Without such folders, or if `hive` is False, there are no columns. If it is True, all folders of a path count.

    Raises:
        SourceError: files have folders with other keys than the first file.
        UsageError: `hive` is True, but no folder is named `key=value`.
    """
    import polars as pl

    if hive is False:
        return pl.DataFrame()
    found = [_keys(path if hive else path.relative_to(root)) for path, root in zip(paths, roots, strict=True)]
    for path, keys in zip(paths, found, strict=True):
        if list(keys) != list(found[0]):
            raise SourceError(
                f"{path} is in folders for the columns {_listed(keys)}, but {paths[0]} for {_listed(found[0])}",
                hint="All files of a source must have the same columns: use hive=False to leave out those of folders, "
                "or read the files separately.",
            )
    if hive and not found[0]:
        raise UsageError(f"hive=True, but no folder of {paths[0]} is named key=value", hint="Leave hive out.")
    return pl.DataFrame({name: _typed([keys[name] for keys in found]) for name in found[0]})


def _keys(path: Path) -> dict[str, str | None]:
    pairs = (folder.split("=", 1) for folder in path.parts[:-1] if folder.count("=") == 1)
    return {unquote(key): None if value == _NULL else unquote(value) for key, value in pairs}


def _listed(keys: dict[str, str | None]) -> str:
    return ", ".join(keys) or "none"


def _typed(values: list[str | None]) -> pl.Series:
    import polars as pl

    known = [value for value in values if value is not None]
    texts = pl.Series(values, dtype=pl.String)
    if any(not value.isprintable() for value in known):
        return texts
    # The inference that Polars uses for these folders is that of its CSV reader.
    lines = "".join(f"{value or ''}{_SEPARATOR}\n" for value in values)
    read = pl.read_csv(
        StringIO(f"value{_SEPARATOR}\n{lines}"),
        separator=_SEPARATOR,
        quote_char=None,
        infer_schema_length=None,
        try_parse_dates=True,
    )["value"]
    return texts if read.dtype == pl.String else read
