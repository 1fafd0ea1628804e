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
"""How many blocks are being parsed, or wait for the caller, beside the one that the caller has. Polars uses one thread
for a block of JSON lines."""


def parsed_ahead(pool: Executor, parse: Callable[[bytes], T], blocks: Iterator[bytes]) -> Iterator[tuple[bytes, T]]:
    """Yield each block, and what `parse` returns for it."""
    waiting: deque[tuple[bytes, Future[T]]] = deque()
    failed: Exception | None = None
    while True:
        while failed is None and len(waiting) < BLOCKS_AHEAD:
            try:
                block = next(blocks)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 (raised below, in its turn)
                failed = error
                break
            waiting.append((block, pool.submit(parse, block)))
        if not waiting:
            break
        block, parsed = waiting.popleft()
        yield block, parsed.result()
    if failed is not None:
        raise failed
