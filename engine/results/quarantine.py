"""The rows in quarantine as users see them: listed, counted, exported."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.batch import SourceRow
from engine.checkpoint.parts.manifest import FROM_SOURCE
from engine.errors import CheckpointCorrupt, UsageError, describe
from engine.storage import files
from engine.storage.durable import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from engine.checkpoint.parts.manifest import QuarantineFile
    from engine.checkpoint.reader import CheckpointReader
    from engine.storage.files import StoredPath

_CHARACTERS = 2_000
"""Characters of a row's text that are listed; an export has all of them."""

_TEXT_COLUMNS = {"file": pl.String(), "line": pl.Int64(), "text": pl.String()}

EXPORT_SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One row in quarantine.

    `source_row` is its number in the source, None if earlier steps lost it. `input` is the row as the step received it,
    as JSON text; None if the whole batch was put into quarantine. `obstacle` says why the row can't be replayed; it is
    empty if it can. For a row that the source can't read, `origin` says where it is, `step` is "source", and `input` is
    its text; if a replay could read it, `step` is the one that refused it then.
    """

    batch_id: int
    source_row: int | None
    step: str
    error_type: str
    error: str
    input: str | None
    obstacle: str = ""
    origin: SourceRow | None = None

    @property
    def message(self) -> str:
        """The error, after the row's place in its file if the source can't read it."""
        place = self.origin.place if self.origin else ""
        return self.error if place in self.error else f"{place}: {self.error}"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why `rows` rows are in quarantine: errors of one type in one step. `error` is the first of them."""

    rows: int
    step: str
    error: str


class QuarantineView:
    """The rows in quarantine of one checkpoint. Every method raises `CheckpointLocked` during a run.

    `opened` opens the checkpoint during a block; it yields None if there is none.
    """

    def __init__(self, opened: Callable[[], AbstractContextManager[CheckpointReader | None]]) -> None:
        self._opened = opened

    def row_count(self) -> int:
        """Return how many rows are in quarantine."""
        with self._opened() as store:
            return store.rows_quarantined() if store else 0

    def rows(self, limit: int | None = 1000) -> list[QuarantinedRow]:
        """Return the rows in source order, at most `limit`.

        Raises:
            CheckpointCorrupt: a file of the quarantine can't be read.
        """
        with self._opened() as store:
            return list(islice(_rows(store, limit), limit)) if store else []

    def reasons(self) -> list[Reason]:
        """Return why rows are in quarantine, the most frequent reason first.

        Raises:
            CheckpointCorrupt: a file of the quarantine can't be read.
        """
        found: dict[tuple[str, str], Reason] = {}
        with self._opened() as store:
            for row in _rows(store) if store else ():
                before = found.get((row.step, row.error_type), Reason(0, row.step, row.message))
                found[row.step, row.error_type] = Reason(before.rows + 1, before.step, before.error)
        return sorted(found.values(), key=lambda reason: -reason.rows)

    def obstacles(self) -> dict[str, int]:
        """Return why rows can't be replayed, with the number of rows for each reason."""
        found: dict[str, int] = {}
        with self._opened() as store:
            for manifest in store.quarantined_batches() if store else ():
                for file in manifest.quarantine:
                    if file.obstacle:
                        found[file.obstacle] = found.get(file.obstacle, 0) + file.rows
        return found

    def export(self, path: str | Path, *, overwrite: bool = False) -> int:
        """Write the rows with their errors to a `.csv` or `.parquet` file; return how many there are.

        The columns are batch_id and source_row (Int64), step, error_type and error (String), and what was refused: file
        (String), line (Int64) and text (String) of a row that the source can't read; otherwise row (String), the
        columns of the row as one JSON text.

        Raises:
            UsageError: an unknown suffix, a file that already exists, or nothing in quarantine.
            CheckpointCorrupt: a file of the quarantine can't be read.
        """
        path = Path(path)
        if path.suffix.lower() not in EXPORT_SUFFIXES:
            raise UsageError(f"can't tell what to export to from the name {path.name}", hint="Use .csv or .parquet.")
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists already", hint="Choose another name, or say that it may be overwritten.")
        if not path.parent.is_dir():
            raise UsageError(f"the folder {path.parent} does not exist", hint="Make it first, or choose another.")
        with self._opened() as store:
            frames = [_for_export(*file) for file in _files(store)] if store else []
        if not frames:
            raise UsageError("there is nothing in quarantine")
        whole = pl.concat(frames)
        _write(whole, path)
        return whole.height


def source_rows(store: CheckpointReader) -> tuple[set[int], set[int]]:
    """Return the numbers of the rows in quarantine: those that the source can't read, and those of steps."""
    of_source: set[int] = set()
    of_steps: set[int] = set()
    for _, about, path in _files(store):
        numbers = _read(path, pl.scan_parquet(path, glob=False).select(pl.col("source_row").drop_nulls()))
        (of_source if about.from_step == FROM_SOURCE else of_steps).update(numbers["source_row"])
    return of_source, of_steps


def _rows(store: CheckpointReader, limit: int | None = None) -> Iterator[QuarantinedRow]:
    """Yield the rows in source order, at most `limit` of each file; batches after those that are wanted aren't read."""
    for _, batch in groupby(_files(store), key=itemgetter(0)):
        rows = [row for file in batch for row in _rows_of(*file, limit)]
        yield from sorted(rows, key=lambda row: math.inf if row.source_row is None else row.source_row)


def _rows_of(batch_id: int, about: QuarantineFile, path: StoredPath, limit: int | None) -> Iterator[QuarantinedRow]:
    plan = pl.scan_parquet(path, glob=False)
    row = _origin() if about.from_step == FROM_SOURCE else pl.lit(None)
    plan = plan.select("source_row", "step", "error_type", "error", "input", row.alias("origin"))
    for *values, origin in _read(path, plan.head(limit) if limit else plan).iter_rows():
        source_row, step, error_type, error, seen = values
        yield QuarantinedRow(
            batch_id, source_row, step, error_type, error, seen, about.obstacle, origin and SourceRow(**origin)
        )


def _origin() -> pl.Expr:
    """Return the fields of a `SourceRow`, from a file of rows that the source can't read."""
    row = pl.col("row").struct
    return pl.struct(
        pl.col("source_row").alias("row"),
        row.field("text").str.head(_CHARACTERS),
        pl.col("error").alias("reason"),
        *(row.field(name) for name in ("file", "line", "byte", "hint")),
    )


def _files(store: CheckpointReader) -> Iterator[tuple[int, QuarantineFile, StoredPath]]:
    """Yield the batch id, the description and the path of each file."""
    for manifest in list(store.quarantined_batches()):
        for number, about in enumerate(manifest.quarantine):
            yield manifest.batch_id, about, store.layout.quarantine_file(manifest.batch_id, manifest.attempt_id, number)


def _read(path: StoredPath, plan: pl.LazyFrame) -> pl.DataFrame:
    try:
        return plan.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        files.require(path)
        raise CheckpointCorrupt(
            path,
            f"the quarantine's file {path.name} can't be read: {describe(error)}",
            hint="Put it back, or rewind to the batch before and run again.",
        ) from error


def _for_export(batch_id: int, about: QuarantineFile, path: StoredPath) -> pl.DataFrame:
    row = pl.col("row")
    if about.from_step == FROM_SOURCE:
        refused = [pl.lit(None, pl.String).alias("row"), *(row.struct.field(name) for name in _TEXT_COLUMNS)]
    else:
        refused = [
            row.map_elements(_as_json, return_dtype=pl.String),
            *(pl.lit(None, dtype).alias(name) for name, dtype in _TEXT_COLUMNS.items()),
        ]
    return _read(path, pl.scan_parquet(path, glob=False)).select(
        pl.lit(batch_id, dtype=pl.Int64).alias("batch_id"),
        "source_row",
        "step",
        "error_type",
        "error",
        *refused,
    )


def _as_json(row: dict[str, Any]) -> str:
    return json.dumps(row, default=str, ensure_ascii=False)


def _write(frame: pl.DataFrame, path: Path) -> None:
    """Write the file. It appears whole or not at all."""
    try:
        with whole_file(path) as temporary:
            if path.suffix.lower() == ".csv":
                frame.write_csv(temporary)
            else:
                frame.write_parquet(temporary)
    except OSError as error:
        raise UsageError(f"the quarantine can't be written to {path}: {describe(error)}") from error
