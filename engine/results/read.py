"""Reads the committed results: all at once, lazily, batch by batch, or into another file.

The functions work on the paths of committed parts, in batch order. Only `collect` holds more than one batch in memory.
"""

from __future__ import annotations

import glob
import tempfile
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from engine.checkpoint.layout import Layout
from engine.errors import CheckpointCorrupt, UsageError, describe
from engine.sql import restricted
from engine.storage import files, objects
from engine.storage.durable import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from engine.storage.files import StoredPath

DAMAGED = "`batch-pipeline verify` looks at all parts; with --repair it goes back to the batch before a damaged one."
EXPORT_SUFFIXES = (".parquet", ".csv", ".duckdb", ".db")


def collect(parts: Sequence[StoredPath], first_row: int = 0, row_count: int | None = None) -> pl.DataFrame:
    """Return rows of the parts, in order, all of them by default; a frame without columns if there are no parts.

    Raises:
        CheckpointCorrupt: a part can't be read.
    """
    try:
        return scan(parts).slice(first_row, row_count).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        for part in parts:
            _read(part, columns=[])  # raises, naming the part
        raise CheckpointCorrupt(parts[0].parent, f"the results can't be read: {describe(error)}") from error


def scan(parts: Sequence[StoredPath]) -> pl.LazyFrame:
    """Return the rows of all parts as a LazyFrame, in order; without columns if there are no parts."""
    sources: list[Any] = list(parts)  # either all local, or all in object storage
    return pl.scan_parquet(sources, glob=False, hive_partitioning=False) if parts else pl.LazyFrame()


def iterate(parts: Sequence[StoredPath]) -> Iterator[pl.DataFrame]:
    """Yield each part as a DataFrame, in order.

    Raises:
        CheckpointCorrupt: a part can't be read.
    """
    for part in parts:
        yield _read(part)


def _read(part: StoredPath, columns: list[str] | None = None) -> pl.DataFrame:
    try:
        with files.local(part) as file:
            return pl.read_parquet(file, columns=columns, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CheckpointCorrupt(part, f"{part.name} can't be read: {describe(error)}", hint=DAMAGED) from error


def query(parts: Sequence[StoredPath], sql: str) -> pl.DataFrame:
    """Return the answer of an SQL query in DuckDB's dialect. In the query, the results are the view `results`.

    The query can read the parts and nothing else. A large sort or join is spilled to a temporary folder.

    Raises:
        UsageError: there are no results yet, it isn't a single SELECT, or DuckDB can't run it.
    """
    _require(parts)
    with (
        tempfile.TemporaryDirectory(prefix="batchpipe-") as spill,
        duckdb.connect(":memory:", config=restricted.CONFIG | {"temp_directory": spill}) as connection,
    ):
        try:
            restricted.require_one_select(connection, sql)
            _reach(connection, parts)
            patterns = _patterns(parts)
            restricted.restrict(connection, {*patterns, *map(str, parts)})  # both: see _patterns
            connection.read_parquet(patterns, hive_partitioning=False).create_view("results")
            return pl.DataFrame(connection.sql(sql))
        except (duckdb.Error, TypeError) as error:
            files.require(parts[0])
            raise UsageError(f"the query can't be run: {error}", hint="The results are the table `results`.") from error


def export(
    parts: Sequence[StoredPath], path: Path, *, folder: Path, table: str = "results", overwrite: bool = False
) -> None:
    """Write the results into one Parquet or CSV file, or into a table of a DuckDB file, by the suffix.

    `folder` is the folder of the checkpoint; `path` must not be in it.

    A file appears whole or not at all; a DuckDB table is written in one transaction.

    Raises:
        UsageError: nothing to export, an unknown suffix, a path in the checkpoint, or a file or table that already
            exists while `overwrite` is False.
    """
    _require(parts)
    suffix = path.suffix.lower()
    if suffix not in EXPORT_SUFFIXES:
        raise UsageError(
            f"can't tell what to export to from the name {path.name}", hint=f"Use one of {', '.join(EXPORT_SUFFIXES)}."
        )
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist", hint="Make it first, or choose another.")
    checkpoint = Layout(folder.resolve())
    if path.resolve() == checkpoint.catalog or path.resolve().parent == checkpoint.results:
        raise UsageError(
            f"{path} belongs to the checkpoint", hint="Choose another place; the parts are Parquet already."
        )
    if suffix in {".parquet", ".csv"}:
        _export_file(parts, path, overwrite=overwrite)
    else:
        _export_table(parts, path, table, overwrite=overwrite)


def _export_file(parts: Sequence[StoredPath], path: Path, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already", hint="Choose another name, or say that it may be overwritten.")
    frame = scan(parts)
    try:
        with whole_file(path) as temporary:
            if path.suffix.lower() == ".csv":
                frame.sink_csv(temporary)
            else:
                frame.sink_parquet(temporary)
    except pl.exceptions.PolarsError as error:
        files.require(parts[0])
        raise UsageError(f"the results can't be written as {path.suffix}: {error}") from error
    except OSError as error:
        files.require(parts[0])
        raise UsageError(f"the results can't be written to {path}: {describe(error)}") from error


def _export_table(parts: Sequence[StoredPath], path: Path, table: str, *, overwrite: bool) -> None:
    if path.exists():
        _write_table(parts, path, table, overwrite=overwrite)
        return
    try:
        with whole_file(path) as temporary:
            try:
                _write_table(parts, temporary, table, overwrite=overwrite)
            finally:
                temporary.with_name(temporary.name + ".wal").unlink(missing_ok=True)
    except OSError as error:
        files.require(parts[0])
        raise UsageError(f"the results can't be written to {path}: {describe(error)}") from error


def _write_table(parts: Sequence[StoredPath], path: Path, table: str, *, overwrite: bool) -> None:
    name = '"' + table.replace('"', '""') + '"'
    try:
        with duckdb.connect(str(path.absolute()), config={"autoinstall_known_extensions": "false"}) as connection:
            verb = "CREATE OR REPLACE TABLE" if overwrite else "CREATE TABLE"
            statement = f"{verb} {name} AS SELECT * FROM read_parquet($files, hive_partitioning = false)"  # noqa: S608 (the name is quoted)
            _reach(connection, parts)
            connection.execute(statement, {"files": _patterns(parts)})
    except duckdb.CatalogException as error:
        raise UsageError(
            f"the table {table} exists already in {path}",
            hint="Choose another table name, or say that it may be overwritten.",
        ) from error
    except duckdb.Error as error:
        files.require(parts[0])
        raise UsageError(f"the results can't be written to {path}: {error}") from error


def _reach(connection: duckdb.DuckDBPyConnection, parts: Sequence[StoredPath]) -> None:
    if isinstance(parts[0], objects.ObjectPath):
        objects.let_duckdb_read(connection)


def _patterns(parts: Sequence[StoredPath]) -> list[str]:
    # DuckDB reads each path as a glob: for a folder called "a*" it would also read the parts of other folders.
    return [glob.escape(str(part)) for part in parts]


def _require(parts: Sequence[StoredPath]) -> None:
    if not parts:
        raise UsageError("there are no results yet", hint="Run the pipeline first.")
