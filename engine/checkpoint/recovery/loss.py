"""What goes when the frontier is moved back: said before anybody agrees to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.checkpoint.parts.manifest import Manifest
    from engine.checkpoint.store import CheckpointStore

PAGE = 1_000
"""How many manifests are held at a time while a history of any length is gone through."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Committed batches, with their source rows, result rows and rows in quarantine. False when it is nothing."""

    batches: int = 0
    source_rows: int = 0
    result_rows: int = 0
    quarantined_rows: int = 0

    def __bool__(self) -> bool:
        return self.batches > 0

    def plus(self, manifests: Iterable[Manifest]) -> Loss:
        """Return this loss and that of `manifests` together."""
        loss = self
        for manifest in manifests:
            loss = Loss(
                loss.batches + 1,
                loss.source_rows + manifest.rows_in,
                loss.result_rows + manifest.rows_out,
                loss.quarantined_rows + manifest.rows_quarantined,
            )
        return loss


def loss_of_rewind(store: CheckpointStore, batch_id: int) -> Loss:
    """Return what a rewind to `batch_id` (-1 for the very start) drops; nothing if it isn't behind the frontier."""
    loss = Loss()
    for first in range(max(batch_id + 1, 0), store.next_batch_id, PAGE):
        loss = loss.plus(store.batches(first, first + PAGE - 1))
    return loss
