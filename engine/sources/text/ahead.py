"""Parses some blocks at once, and returns them in order.

Invariant: an error comes where it would come if the blocks were parsed one after the other: after all blocks before it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor, Future

T = TypeVar("T")

BLOCKS_AHEAD = 2
"""How many blocks are being parsed, or wait for the caller, beside the one that the caller has."""


def parsed_ahead(
    pool: Executor, parse: Callable[[bytes], T], blocks: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, T]]:
    """Yield for each (offset, bytes) the offset and what `parse` returns for the bytes."""
    waiting: deque[tuple[int, Future[T]]] = deque()
    failed: Exception | None = None
    while True:
        while failed is None and len(waiting) < BLOCKS_AHEAD:
            try:
                start, block = next(blocks)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 (raised below, in its turn)
                failed = error
                break
            waiting.append((start, pool.submit(parse, block)))
        if not waiting:
            break
        start, parsed = waiting.popleft()
        yield start, parsed.result()
    if failed is not None:
        raise failed
