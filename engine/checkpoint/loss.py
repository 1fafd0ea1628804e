"""What is lost when the frontier is moved back; users see it before they confirm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.checkpoint.parts.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Loss:
    """Numbers of committed batches, source rows, result rows and rows in quarantine. False if nothing is lost."""

    batches: int = 0
    source_rows: int = 0
    result_rows: int = 0
    quarantined_rows: int = 0

    def __bool__(self) -> bool:
        return self.batches > 0

    def plus(self, manifests: Iterable[Manifest]) -> Loss:
        """Return the sum of this loss and the loss of `manifests`."""
        loss = self
        for manifest in manifests:
            loss = Loss(
                loss.batches + 1,
                loss.source_rows + manifest.rows_in,
                loss.result_rows + manifest.rows_out,
                loss.quarantined_rows + manifest.rows_quarantined,
            )
        return loss
