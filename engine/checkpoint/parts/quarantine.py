"""The files of the quarantine: written before the commit, and deleted if no committed batch names them.

One row of a file is one row in quarantine: its origin, the error of the step, and `row`, a struct of the columns with
which a replay continues, or of the row's place and text if the source can't read it. A file has its final name from
the start; it counts if the catalog names the attempt that wrote it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from engine.storage import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from engine.checkpoint.layout import Layout
    from engine.checkpoint.parts.manifest import Manifest, QuarantineFile

SCHEMA = {
    "source_row": pl.Int64(),
    "position": pl.Int64(),
    "step": pl.String(),
    "error_type": pl.String(),
    "error": pl.String(),
    "input": pl.String(),
}
"""The columns beside `row`: the number of the row in the source, None if earlier steps lost it; its place in the
results of the batch (the number of result rows before it), None if unknown; the step, the type and the message of its
error; the row as the step received it, as text."""


SOURCE_ROW = pl.Struct(
    {
        "file": pl.String(),
        "line": pl.Int64(),
        "byte": pl.Int64(),
        "text": pl.String(),
        "hint": pl.String(),
        "mended": pl.Boolean(),
    }
)
"""`row` of rows that the source can't read. `mended` says that `text` is what a person made of the line, and that the
source can read it, but a step refused it."""


def write(
    layout: Layout, batch_id: int, attempt_id: str, frames: Sequence[tuple[QuarantineFile, pl.DataFrame]]
) -> tuple[QuarantineFile, ...]:
    """Write the rows of one batch, one file for each frame, durably; return the descriptions of the files.

    Raises:
        OSError: the disk can't store them.
        PolarsError: they have values that Parquet can't store.
    """
    if not frames:
        return ()
    files.make_folder(layout.quarantine)
    written = []
    for number, (about, frame) in enumerate(frames):
        path = layout.quarantine_file(batch_id, attempt_id, number)
        size, checksum = files.write(path, partial(frame.write_parquet, compression="zstd", compression_level=1))
        written.append(replace(about, bytes_written=size, checksum=checksum))
    files.sync(layout.quarantine)
    return tuple(written)


def read(layout: Layout, manifest: Manifest) -> Iterator[tuple[QuarantineFile, pl.DataFrame]]:
    """Yield the files of a batch.

    Raises:
        ValueError: one is missing or damaged.
    """
    for number, about in enumerate(manifest.quarantine):
        path = layout.quarantine_file(manifest.batch_id, manifest.attempt_id, number)
        fault = fault_of(layout, manifest, number)
        if fault:
            raise ValueError(fault)
        with files.local(path) as file:
            yield about, pl.read_parquet(file, glob=False)


def fault_of(layout: Layout, manifest: Manifest, number: int) -> str:
    """Return what is wrong with one file of a batch; an empty text if nothing is wrong."""
    path = layout.quarantine_file(manifest.batch_id, manifest.attempt_id, number)
    about = manifest.quarantine[number]
    try:
        size = files.size(path)
    except FileNotFoundError:
        return f"{path.name} is missing"
    if size != about.bytes_written:
        return f"{path.name} has {size:,} bytes instead of {about.bytes_written:,}"
    if files.checksum(path) != about.checksum:
        return f"{path.name} has been altered: its CRC-32 isn't {about.checksum}"
    return ""


def leftovers(layout: Layout, committed: Iterable[tuple[int, str]]) -> list[str]:
    """Return the names of quarantine files of attempts that aren't in `committed`: (batch id, attempt id)."""
    owners = set(committed)
    found = {name: layout.parse_quarantine_file(name) for name in files.names_in(layout.quarantine)}
    return sorted(name for name, owner in found.items() if owner is not None and owner not in owners)


def drop(layout: Layout, manifest: Manifest) -> None:
    """Delete the files of `manifest`, which was replaced by another manifest of the batch."""
    files.delete(
        layout.quarantine_file(manifest.batch_id, manifest.attempt_id, number)
        for number in range(len(manifest.quarantine))
    )


def sweep(layout: Layout, committed: Iterable[tuple[int, str]]) -> None:
    """Delete the files of attempts that aren't in `committed`: they died, or were rewound or replayed."""
    files.delete(layout.quarantine / name for name in leftovers(layout, committed))
