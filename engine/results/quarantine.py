"""The rows in quarantine as people see them: listed, counted, exported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.errors import CheckpointCorrupt, UsageError, describe
from engine.storage import files
from engine.storage.durable import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.checkpoint.store import CheckpointStore
    from engine.storage.files import StoredPath

EXPORT_SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One row in quarantine.

    `source_row` is its number in the source, None where steps before have lost it. `input` is the row as the step saw
    it, as JSON text; None for one of a batch that was taken out whole. `obstacle` says why it can't be replayed,
    empty when it can.
    """

    batch_id: int
    source_row: int | None
    step: str
    error_type: str
    error: str
    input: str | None
    obstacle: str = ""


def rows(store: CheckpointStore, limit: int | None = None) -> Iterator[QuarantinedRow]:
    """Yield the rows in source order, at most `limit`.

    Raises:
        CheckpointCorrupt: a file of the quarantine can't be read.
    """
    names = ("source_row", "step", "error_type", "error", "input")
    given = 0
    for batch_id, obstacle, path in _files(store):
        left = None if limit is None else limit - given
        if left == 0:
            return
        frame = _read(path, pl.scan_parquet(path, glob=False).select(names).head(left or 2**32 - 1))
        given += frame.height
        for values in frame.iter_rows():
            source_row, step, error_type, error, seen = values
            yield QuarantinedRow(batch_id, source_row, step, error_type, error, seen, obstacle)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why rows are in quarantine: so many of them for errors of one type in one step, of which `error` is the first."""

    rows: int
    step: str
    error: str


def reasons(store: CheckpointStore) -> list[Reason]:
    """Return why rows are in quarantine, the most frequent reason first.

    Raises:
        CheckpointCorrupt: a file of the quarantine can't be read.
    """
    found: dict[tuple[str, str], Reason] = {}
    for row in rows(store):
        before = found.get((row.step, row.error_type))
        found[row.step, row.error_type] = Reason(before.rows + 1 if before else 1, row.step, (before or row).error)
    return sorted(found.values(), key=lambda reason: -reason.rows)


def export(store: CheckpointStore, path: Path, *, overwrite: bool = False) -> int:
    """Write the rows to a `.csv` or `.parquet` file, their columns as one JSON text each; return how many there are.

    Raises:
        UsageError: another suffix, a file that is there already, or nothing in quarantine.
    """
    if path.suffix.lower() not in EXPORT_SUFFIXES:
        raise UsageError(f"can't tell what to export to from the name {path.name}", hint="Use .csv or .parquet.")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already", hint="Choose another name, or say that it may be overwritten.")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} does not exist", hint="Make it first, or choose another.")
    frames = [
        _read(file, pl.scan_parquet(file, glob=False)).select(
            pl.lit(batch_id, dtype=pl.Int64).alias("batch_id"),
            "source_row",
            "step",
            "error_type",
            "error",
            pl.col("row").map_elements(_as_json, return_dtype=pl.String),
        )
        for batch_id, _, file in _files(store)
    ]
    if not frames:
        raise UsageError("there is nothing in quarantine")
    whole = pl.concat(frames)
    _write(whole, path)
    return whole.height


def _write(frame: pl.DataFrame, path: Path) -> None:
    """Write the file, which appears whole or not at all."""
    try:
        with whole_file(path) as temporary:
            if path.suffix.lower() == ".csv":
                frame.write_csv(temporary)
            else:
                frame.write_parquet(temporary)
    except OSError as error:
        raise UsageError(f"the quarantine can't be written to {path}: {describe(error)}") from error


def _files(store: CheckpointStore) -> Iterator[tuple[int, str, StoredPath]]:
    for manifest in list(store.quarantined_batches()):
        for number, about in enumerate(manifest.quarantine):
            yield (
                manifest.batch_id,
                about.obstacle,
                store.layout.quarantine_file(manifest.batch_id, manifest.attempt_id, number),
            )


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


def _as_json(row: dict[str, Any]) -> str:
    return json.dumps(row, default=str, ensure_ascii=False)
