"""The files of the quarantine against what the catalog recorded of them when their batches were committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.checkpoint.parts import quarantine

if TYPE_CHECKING:
    from engine.checkpoint.layout import Layout
    from engine.checkpoint.parts.manifest import Manifest

_MOST_FAULTS = 20


class QuarantineAgainstRecord:
    """Looks at the files of one batch after the other."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._faults: list[str] = []
        self._bad = 0
        self.batches = 0
        self.files = 0
        self.rows = 0

    def look_at(self, manifest: Manifest) -> bool:
        """Look at the files of a batch, say whether all of them are as `manifest` has them."""
        self.batches += bool(manifest.quarantine)
        self.files += len(manifest.quarantine)
        self.rows += manifest.rows_quarantined
        faults = list(faults_of(self._layout, manifest))
        self._bad += len(faults)
        self._faults += [f"batch {manifest.batch_id}: {fault}" for fault in faults]
        del self._faults[_MOST_FAULTS:]
        return not faults

    def faults(self) -> tuple[str, ...]:
        """Return a sentence for each thing that is wrong, the first ones if they are many."""
        more = self._bad - len(self._faults)
        return (*self._faults, f"and {more:,} more") if more else tuple(self._faults)


def faults_of(layout: Layout, manifest: Manifest) -> list[str]:
    """Return what is wrong with the quarantine of one batch."""
    faults = [quarantine.fault_of(layout, manifest, number) for number in range(len(manifest.quarantine))]
    rows = sum(about.rows for about in manifest.quarantine)
    if rows != manifest.rows_quarantined:
        faults.append(f"{manifest.rows_quarantined:,} rows are counted in quarantine, and its files have {rows:,}")
    return [fault for fault in faults if fault]
