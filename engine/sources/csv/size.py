"""How many rows CSV files have, estimated from their sizes in bytes.

Counting would read everything; the average length of the rows in the first megabyte is good enough for a progress bar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.sources.base import SourceSize
from engine.sources.csv.row_ends import row_end_of
from engine.sources.text.opening import GZIP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.sources.csv.format import CsvFormat

SAMPLE_BYTES = 1 << 20


def estimate_rows(paths: Sequence[Path], written: CsvFormat) -> SourceSize | None:
    """Return the estimate for all files together, or None if one is compressed or damaged."""
    import polars as pl

    total = header = 0
    bytes_per_row = 0.0
    for path in paths:
        with path.open("rb") as file:
            start = file.read(len(GZIP) if bytes_per_row else SAMPLE_BYTES)
        if start.startswith(GZIP):
            return None
        size = path.stat().st_size
        if start and not bytes_per_row:
            sample = start if len(start) == size else start[: row_end_of(written)(start)]
            try:
                rows = written.scan(sample, written.infer(sample, 0), first=True).select(pl.len()).collect().item()
            except pl.exceptions.PolarsError:
                return None
            header = sample.find(b"\n") + 1 if written.has_header else 0
            bytes_per_row = (len(sample) - header) / rows if rows else 0.0
        total += max(size - header, 0)
    return SourceSize(round(total / bytes_per_row) if bytes_per_row else 0, exact=False)
