"""The Parquet files that hold the results: encode, write, publish, read, check.

A part is written whole under a temporary name and fsynced; it gets its final name only after the
catalog has committed it, so that `results/*.parquet` never shows an uncommitted row.
"""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from engine import durable
from engine.checkpoint.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from engine.checkpoint.layout import Layout

PartCompression = Literal["zstd", "snappy", "lz4", "uncompressed"]

_MANIFEST_KEY = "batchpipe.manifest"
_CHECKPOINT_KEY = "batchpipe.checkpoint"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class PartFormat:
    """How parts are encoded.

    Measured on TPC-H lineitem: zstd at level 1 makes files a third smaller than Snappy for 12 % more
    time; column statistics cost 8 % of the whole run, and no reader of whole parts looks at them.
    """

    compression: PartCompression = "zstd"
    statistics: bool = False


def write(
    layout: Layout, frame: pl.DataFrame, manifest: Manifest, *, checkpoint: str, part_format: PartFormat
) -> Manifest:
    """Write the batch's part under its temporary name, fsynced; return the manifest with size and checksum.

    `checkpoint` is a JSON text about the whole checkpoint (its key and pipeline), kept with each part.
    """
    buffer = io.BytesIO()
    frame.write_parquet(
        buffer,
        compression=part_format.compression,
        compression_level=1 if part_format.compression == "zstd" else None,
        statistics=part_format.statistics,
        metadata={_MANIFEST_KEY: manifest.to_json(), _CHECKPOINT_KEY: checkpoint},
    )
    content = buffer.getbuffer()
    durable.write_new(layout.temporary_part(manifest.batch_id, manifest.token), content)
    return manifest.with_part(bytes_written=len(content), checksum=f"{zlib.crc32(content):08x}")


def publish(layout: Layout, manifests: Iterable[Manifest]) -> None:
    """Give committed parts their final names, durably."""
    for manifest in manifests:
        temporary = layout.temporary_part(manifest.batch_id, manifest.token)
        temporary.replace(layout.part(manifest.batch_id))
    durable.fsync_path(layout.results)


def checksum(path: Path) -> str:
    """Return the CRC-32 of a file as 8 hex digits, reading it in pieces."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return f"{value:08x}"


def read_metadata(path: Path) -> tuple[Manifest, dict[str, str]]:
    """Return what a part says of itself: its manifest, and the checkpoint it belongs to.

    Raises:
        ValueError: the file is damaged, or no part of ours.
    """
    try:
        metadata = pl.read_parquet_metadata(path)
        manifest = Manifest.from_json(metadata[_MANIFEST_KEY])
        checkpoint = json.loads(metadata[_CHECKPOINT_KEY])
    except (pl.exceptions.PolarsError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name} is not a readable part: {error}") from error
    return manifest.with_part(bytes_written=path.stat().st_size, checksum=checksum(path)), checkpoint
