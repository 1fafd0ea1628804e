"""Reads from the parts alone, batch after batch, what is needed to rebuild the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from engine.checkpoint.parts import parts
from engine.storage import files

if TYPE_CHECKING:
    from engine.checkpoint.layout import Layout
    from engine.checkpoint.parts.manifest import Manifest
    from engine.storage.files import StoredPath

_KEY_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class RebuiltBatch:
    """One batch as its part describes it: the manifest, the checkpoint's key, the pipeline's description."""

    manifest: Manifest
    key: str
    pipeline: str


def rebuilt(layout: Layout, batch_id: int, previous: RebuiltBatch | None) -> RebuiltBatch:
    """Return the batch that the part of `batch_id` describes. `previous` is the batch before it, None for batch 0.

    The batch must belong to the same checkpoint as `previous`, begin at the next source row, and not have an older
    epoch: parts that remain after a rewind have an older epoch than the parts before them.

    Raises:
        ValueError: the part is missing, can't be read, or doesn't follow `previous`; the message says which.
    """
    path = layout.part(batch_id)
    if not files.exists(path):
        raise ValueError(f"{path.name} is missing")
    manifest, checkpoint = parts.read_metadata(path)
    key, pipeline = checkpoint.get("key", ""), checkpoint.get("pipeline", "")
    if len(key) != _KEY_CHARACTERS or not pipeline:
        raise ValueError(f"{path.name} doesn't say which checkpoint it belongs to")
    if manifest.batch_id != batch_id:
        raise ValueError(f"{path.name} holds batch {manifest.batch_id}")
    if manifest.start_row != (previous.manifest.end_row + 1 if previous else 0):
        raise ValueError(f"{path.name} begins at row {manifest.start_row:,}, which doesn't follow the batch before it")
    if previous is not None and key != previous.key:
        raise ValueError(f"{path.name} belongs to another checkpoint")
    if previous is not None and manifest.epoch < previous.manifest.epoch:
        raise ValueError(f"{path.name} was left behind by a rewind")
    return RebuiltBatch(manifest, key, pipeline)


def read_whole(path: StoredPath, manifest: Manifest) -> pl.Schema:
    """Decode every value of a part and return its columns and dtypes.

    Raises:
        ValueError: it can't be decoded, or has another number of rows than `manifest`.
    """
    try:
        frame = parts.read(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise ValueError(f"{path.name} can't be read: {error}") from error
    if frame.height != manifest.rows_out:
        raise ValueError(f"{path.name} has {frame.height:,} rows instead of {manifest.rows_out:,}")
    return frame.schema
