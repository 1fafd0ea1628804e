"""Compares parts and quarantine files with what the catalog recorded about them when they were committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.checkpoint.parts import parts, quarantine
from engine.checkpoint.recovery.rebuild import read_whole
from engine.storage import files

if TYPE_CHECKING:
    import polars as pl

    from engine.checkpoint.layout import Layout
    from engine.checkpoint.parts.manifest import Manifest
    from engine.storage.files import StoredPath

_MOST_FAULTS = 20


class _Comparison:
    """Sentences about faults: the first ones are kept, the others are only counted."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._first: list[str] = []
        self._count = 0

    def _add(self, batch_id: int, fault: str) -> None:
        self._count += 1
        if len(self._first) < _MOST_FAULTS:
            self._first.append(f"batch {batch_id}: {fault}")

    def faults(self) -> tuple[str, ...]:
        """Return a sentence for each fault, only the first ones if they are many."""
        more = self._count - len(self._first)
        return (*self._first, f"and {more:,} more") if more else tuple(self._first)


class PartsAgainstCatalog(_Comparison):
    """Compares the parts of the checkpoint `key`, in batch order, one at a time."""

    def __init__(self, layout: Layout, key: str) -> None:
        super().__init__(layout)
        self._key = key
        self._schema: pl.Schema | None = None
        self.count = 0
        self.good = 0
        self.bytes_found = 0

    def compare(self, manifest: Manifest) -> bool:
        """Compare the part of the next batch with the catalog's record `manifest`; return whether it can be used."""
        path = self._layout.temporary_part(manifest.batch_id, manifest.attempt_id)
        # If it exists, it waits for its final name: a file that has that name now is an older one.
        if not files.exists(path):
            path = self._layout.part(manifest.batch_id)
        self.count += 1
        if fault := self._fault(path, manifest):
            self._add(manifest.batch_id, fault)
        else:
            self.good += 1
        return not fault

    def _fault(self, path: StoredPath, manifest: Manifest) -> str:
        try:
            size = files.size(path)
        except FileNotFoundError:
            return f"{path.name} is missing"
        self.bytes_found += size
        if size != manifest.bytes_written:
            return f"{path.name} has {size:,} bytes instead of {manifest.bytes_written:,}"
        with files.local(path) as file:
            if files.checksum(file) != manifest.checksum:
                return f"{path.name} has been altered: its CRC-32 isn't {manifest.checksum}"
            try:
                own, checkpoint = parts.read_footer(file)
                schema = read_whole(file, manifest)
            except ValueError as error:
                return str(error)
        if own.batch_id != manifest.batch_id or checkpoint.get("key") != self._key:
            return f"{path.name} is the part of another batch or checkpoint"
        if self._schema is None:
            self._schema = schema
        return "" if schema == self._schema else f"{path.name} has other columns than the parts before it"


class QuarantineAgainstCatalog(_Comparison):
    """Compares the files of the quarantine, one batch after the other."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self.batches = 0
        self.files = 0
        self.rows = 0

    def compare(self, manifest: Manifest) -> bool:
        """Compare the files of a batch with the catalog's record `manifest`; return whether all of them agree."""
        self.batches += bool(manifest.quarantine)
        self.files += len(manifest.quarantine)
        self.rows += manifest.rows_quarantined
        faults = quarantine_faults(self._layout, manifest)
        for fault in faults:
            self._add(manifest.batch_id, fault)
        return not faults


def quarantine_faults(layout: Layout, manifest: Manifest) -> list[str]:
    """Return what is wrong with the quarantine of one batch."""
    faults = [quarantine.fault_of(layout, manifest, number) for number in range(len(manifest.quarantine))]
    rows = sum(about.rows for about in manifest.quarantine)
    if rows != manifest.rows_quarantined:
        faults.append(f"{manifest.rows_quarantined:,} rows are counted in quarantine, but its files have {rows:,}")
    return [fault for fault in faults if fault]
