"""How many rows CSV files have, estimated from their sizes in bytes.

Counting would read everything; the average length of the rows in the first megabyte is good enough for a progress bar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.sources.base import SourceSize
from engine.sources.csv.header import read_header
from engine.sources.text.opening import GZIP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.sources.csv.format import CsvFormat
    from engine.sources.csv.grammar import Grammar

SAMPLE_BYTES = 1 << 20


def estimate_rows(paths: Sequence[Path], written: CsvFormat, grammar: Grammar) -> SourceSize | None:
    """Return the estimate for all files together, or None if one is compressed."""
    total = header = 0
    bytes_per_row = 0.0
    for path in paths:
        with path.open("rb") as file:
            start = file.read(len(GZIP) if bytes_per_row else SAMPLE_BYTES)
        if start.startswith(GZIP):
            return None
        size = path.stat().st_size
        if start and not bytes_per_row:
            header = read_header(path, written, grammar).end or len(start)
            sample = start[header:] if len(start) == size else start[header : grammar.row_end(start[header:]) + header]
            text = grammar.unquoted(sample)
            rows = text.count(b"\n") + (bool(text) and not text.endswith(b"\n"))
            bytes_per_row = len(sample) / rows if rows else 0.0
        total += max(size - header, 0)
    return SourceSize(round(total / bytes_per_row) if bytes_per_row else 0, exact=False)
