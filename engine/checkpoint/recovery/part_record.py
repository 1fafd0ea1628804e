"""Each part against what the catalog recorded of it when it was committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.checkpoint.parts import parts
from engine.checkpoint.recovery.rebuild import read_whole
from engine.storage import files

if TYPE_CHECKING:
    import polars as pl

    from engine.checkpoint.layout import Layout
    from engine.checkpoint.parts.manifest import Manifest
    from engine.storage.files import StoredPath

_MOST_FAULTS = 20


class PartsAgainstRecord:
    """Looks at the parts of the checkpoint `key`, in batch order, one at a time."""

    def __init__(self, layout: Layout, key: str) -> None:
        self._layout = layout
        self._key = key
        self._schema: pl.Schema | None = None
        self._faults: list[str] = []
        self.count = 0
        self.good = 0
        self.bytes_found = 0

    def look_at(self, manifest: Manifest) -> bool:
        """Look at the part of the next batch, say whether it can be used; `manifest` is the catalog's record of it."""
        path = self._layout.temporary_part(manifest.batch_id, manifest.attempt_id)
        if not files.exists(path):  # else it is committed and waits for its name, whatever bears that name now
            path = self._layout.part(manifest.batch_id)
        self.count += 1
        fault = self._fault(path, manifest)
        if not fault:
            self.good += 1
        elif len(self._faults) < _MOST_FAULTS:
            self._faults.append(f"batch {manifest.batch_id}: {fault}")
        return not fault

    def faults(self) -> tuple[str, ...]:
        """Return a sentence for each part that can't be used, the first ones if they are many."""
        more = self.count - self.good - len(self._faults)
        return (*self._faults, f"and {more:,} more") if more else tuple(self._faults)

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
