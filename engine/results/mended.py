"""A file that the quarantine was exported to, after a person has corrected texts in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from engine.errors import UsageError, describe
from engine.results.quarantine import EXPORT_SUFFIXES, source_rows
from engine.text.format import counted

if TYPE_CHECKING:
    from pathlib import Path

    from engine.checkpoint.store import CheckpointStore

_HINT = "Export the quarantine again, change only the column text, and delete the rows that should stay in quarantine."


@dataclass(frozen=True, slots=True)
class Mended:
    """The texts by the number of their row in the source, and a sentence for each reason why rows aren't taken."""

    texts: dict[int, str] = field(default_factory=dict)
    obstacles: tuple[str, ...] = ()


def read_mended(path: Path, store: CheckpointStore) -> Mended:
    """Return the corrected texts of the rows that the source can't read and that are in quarantine.

    Rows that a step refused are left out, since they have no text. So are committed rows that aren't in quarantine: a
    replay that was killed can be repeated with the same file.

    Raises:
        UsageError: the file can't be read, or it has a row twice, or one that isn't committed.
    """
    found = _read(path)
    twice = found.filter(pl.col("source_row").is_duplicated() & pl.col("source_row").is_not_null())
    if twice.height:
        raise UsageError(f"{path} has source_row {twice['source_row'][0]} more than once", hint=_HINT)
    unknown = found.filter(~pl.col("source_row").is_between(0, store.next_row - 1))
    if unknown.height:
        raise UsageError(f"{path} has source_row {unknown['source_row'][0]}, which isn't in quarantine", hint=_HINT)
    of_source, of_steps = source_rows(store)
    texts, others, gone = {}, 0, 0
    for number, text in found.iter_rows():
        if number in of_source:
            texts[number] = text
        elif number is None or number in of_steps:
            others += 1
        else:
            gone += 1
    obstacles = []
    if others:
        obstacles.append(f"{counted(others, 'row')} of {path} that a step refused: there is no text to correct")
    if gone:
        obstacles.append(f"{counted(gone, 'row')} of {path}, not in quarantine any more")
    return Mended(texts, tuple(obstacles))


def _read(path: Path) -> pl.DataFrame:
    """Return the columns `source_row` (Int64) and `text` (String)."""
    suffix = path.suffix.lower()
    if suffix not in EXPORT_SUFFIXES:
        raise UsageError(f"can't tell from the name {path.name} how to read it", hint="Use .csv or .parquet.")
    try:
        with path.open("rb") as file:
            frame = pl.read_csv(file, infer_schema=False) if suffix == ".csv" else pl.read_parquet(file)
        return frame.select(pl.col("source_row").cast(pl.Int64), pl.col("text").cast(pl.String).fill_null(""))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise UsageError(f"{path} can't be used: {describe(error)}", hint=_HINT) from error
