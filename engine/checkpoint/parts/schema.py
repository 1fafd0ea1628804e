"""The one schema of all results, pinned by the first batch.

Several batches are computed at the same time, so a later batch may arrive before the first one. It waits until batch 0
(or the first part of an earlier run) has decided the columns.
"""

from __future__ import annotations

import threading

import polars as pl

from engine.errors import SchemaDrift


class SchemaPin:
    """Compares the columns of each batch with the pinned ones, and casts those that can be cast without loss.

    `step` is the name of the last step, which made the results.
    """

    def __init__(self, schema: pl.Schema | None, *, first_batch_id: int, step: str) -> None:
        self._schema = schema
        self._first_batch_id = first_batch_id
        self.step = step
        self._decided = threading.Event()
        if schema is not None:
            self._decided.set()

    def conform(self, batch_id: int, frame: pl.DataFrame) -> pl.DataFrame | None:
        """Return `frame` with exactly the pinned columns and dtypes.

        None means that the batch that should pin them was cancelled.

        Raises:
            SchemaDrift: the columns differ, or a dtype can't be cast without loss.
        """
        if self._schema is None and batch_id == self._first_batch_id:
            self._schema = frame.schema
            self._decided.set()
        self._decided.wait()
        if self._schema is None:
            return None
        if frame.schema == self._schema:
            return frame
        differences = drift(self._schema, frame.schema)
        if differences:
            raise SchemaDrift(self.step, batch_id, differences)
        return frame.cast(self._schema)

    def nothing(self, batch_id: int) -> pl.DataFrame | None:
        """Return a frame with the pinned columns and no row, None if no earlier batch pins them."""
        if self._schema is None and batch_id <= self._first_batch_id:
            return None
        self._decided.wait()
        return None if self._schema is None else pl.DataFrame(schema=self._schema)

    def cancel_from(self, batch_id: int) -> None:
        """Release the batches that wait for the pinned schema, if this batch should pin it."""
        if batch_id <= self._first_batch_id:
            self._decided.set()


def drift(pinned: pl.Schema, found: pl.Schema) -> list[str]:
    """Return one line for each difference that a cast without loss can't remove; empty if there is none."""
    lines = [f"column '{name}' ({dtype}) is missing" for name, dtype in pinned.items() if name not in found]
    lines += [f"column '{name}' ({dtype}) is new" for name, dtype in found.items() if name not in pinned]
    lines += [
        f"column '{name}' is {found[name]} instead of {dtype}"
        for name, dtype in pinned.items()
        if name in found and not casts_without_loss(found[name], dtype)
    ]
    if not lines and list(pinned) != list(found):
        lines.append(f"the columns' order is {', '.join(found)} instead of {', '.join(pinned)}")
    return lines


def casts_without_loss(found: pl.DataType, pinned: pl.DataType) -> bool:
    """Return whether every value of `found` has the same value in `pinned`.

    >>> import polars as pl
    >>> casts_without_loss(pl.Int32(), pl.Int64()), casts_without_loss(pl.Int64(), pl.Int32())
    (True, False)
    >>> casts_without_loss(pl.UInt32(), pl.Int64()), casts_without_loss(pl.Int64(), pl.Float64())
    (True, False)
    """
    if found in (pinned, pl.Null):
        return True
    if found.is_integer() and pinned.is_integer():
        (low, high), (least, greatest) = _bounds(pinned), _bounds(found)
        return low <= least and greatest <= high
    return bool(found == pl.Float32 and pinned == pl.Float64)


def _bounds(integer: pl.DataType) -> tuple[int, int]:
    low = getattr(pl, str(integer)).min()
    high = getattr(pl, str(integer)).max()
    least, greatest = pl.select(low.alias("low"), high.alias("high")).row(0)
    return int(least), int(greatest)
