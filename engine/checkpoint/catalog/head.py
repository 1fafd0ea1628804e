"""The position up to which a checkpoint is committed. It moves by whole batches, without a gap. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.errors import RowsNotContiguous
from engine.frontier import Frontier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.checkpoint.parts.manifest import Manifest


@dataclass(frozen=True, slots=True)
class CatalogHead:
    """The frontier in the catalog: the first batch and the first source row that are not committed.

    `epoch` counts the rewinds and resets.
    """

    next_batch_id: int
    next_row: int
    epoch: int

    def after(self, manifests: Iterable[Manifest]) -> CatalogHead:
        """Return the head after `manifests`.

        Raises:
            RowsNotContiguous: one of them isn't the next batch, or doesn't begin at the next row.
        """
        head = self
        for manifest in manifests:
            if (manifest.batch_id, manifest.start_row) != (head.next_batch_id, head.next_row):
                raise RowsNotContiguous(
                    manifest.batch_id,
                    manifest.start_row,
                    manifest.end_row,
                    expected_batch_id=head.next_batch_id,
                    expected_row=head.next_row,
                )
            head = replace(head, next_batch_id=manifest.batch_id + 1, next_row=manifest.end_row + 1)
        return head

    def frontier(self, steps: Iterable[str]) -> Frontier:
        """Return it as a `Frontier`, in which each of `steps` has the same position.

        >>> CatalogHead(next_batch_id=2, next_row=20, epoch=0).frontier(["a"])
        Frontier(last_completed_batch_id=1, last_completed_row=19, total_rows_processed=20, step_states={'a': 1})
        """
        last = self.next_batch_id - 1
        return Frontier(
            last_completed_batch_id=last,
            last_completed_row=self.next_row - 1,
            total_rows_processed=self.next_row,
            step_states=dict.fromkeys(steps, last),
        )
