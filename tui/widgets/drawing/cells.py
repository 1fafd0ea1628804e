"""From one state a batch to one state a cell: pure, and without a Python loop over batches."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from engine.progress import BatchState

WORST_FIRST = (
    BatchState.FAILED,
    BatchState.RUNNING,
    BatchState.COMPUTED,
    BatchState.PENDING,
    BatchState.QUARANTINED,
    BatchState.COMMITTED,
    BatchState.EARLIER,
)
"""What a cell shows when its batches differ: a failure always; else what is going on; else what is still to do.

So a cell says done only when all of its batches are, and is of an earlier run only when all of them are.
"""


def _bits() -> bytes:
    table = bytearray([1 << (6 - WORST_FIRST.index(BatchState.PENDING))] * 256)
    for place, state in enumerate(WORST_FIRST):
        table[state] = 1 << (6 - place)
    return bytes(table)


def _worst() -> bytes:
    return bytes(WORST_FIRST[7 - (number & 0x7F).bit_length()] if number & 0x7F else 0 for number in range(256))


_BITS = _bits()
"""State → the bit of its rank; a state that isn't known counts as pending."""
_WORST = _worst()
"""Bits of several batches → the worst state among them."""


def worst_states(states: bytes, per_cell: int) -> bytes:
    """Return the worst state of each `per_cell` batches; the last cell may stand for fewer.

    One bit a state, so that the worst of two batches is an OR; each shift of the whole doubles how many batches
    a byte has taken in: about log2(per_cell) passes at the speed of memory.

    >>> worst_states(bytes([3, 3, 3, 4, 3, 1, 0]), 3) == bytes([3, 4, 0])
    True
    """
    if per_cell <= 1:
        return states
    bits = int.from_bytes(states.translate(_BITS), "little")
    taken = 1
    while taken < per_cell:
        more = min(taken, per_cell - taken)
        bits |= bits >> (8 * more)
        taken += more
    return bits.to_bytes(len(states), "little")[::per_cell].translate(_WORST)


@dataclass(frozen=True, slots=True)
class GridShape:
    """How `total` batches lie in a block of cells: `pitch` is 2 where there is room for a gap between cells."""

    total: int
    per_cell: int
    columns: int
    pitch: int

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return ceil(self.total / self.per_cell)

    @property
    def rows(self) -> int:
        """How many lines they need."""
        return ceil(self.cells / self.columns)


def grid_shape(total: int, width: int, height: int, *, is_exact: bool = True) -> GridShape:
    """Return the shape that shows `total` batches in as many cells as fit.

    While the total isn't known and still grows, only round numbers of batches a cell, so that the picture
    is not rescaled with each new batch.

    >>> grid_shape(34, 76, 3)
    GridShape(total=34, per_cell=1, columns=38, pitch=2)
    >>> grid_shape(9_999, 76, 10), grid_shape(9_999, 76, 10, is_exact=False).per_cell
    (GridShape(total=9999, per_cell=14, columns=76, pitch=1), 20)
    """
    capacity = max(1, width * height)
    per_cell = max(1, ceil(total / capacity))
    if not is_exact:
        per_cell = _round_number(per_cell)
    airy = (width + 1) // 2
    if ceil(total / per_cell) <= airy * height:
        return GridShape(total, per_cell, max(1, airy), 2)
    return GridShape(total, per_cell, max(1, width), 1)


def _round_number(number: int) -> int:
    """Return the least of 1, 2, 5, 10, 20, 50 and so on that is not below `number`."""
    power: int = 10 ** (len(str(number)) - 1)
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= number)
