"""What the engine can tell about a user's own fetcher before it has cost them a night."""

from __future__ import annotations

from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.sources.base import BatchFetcher


def warnings_for(fetcher: BatchFetcher) -> list[str]:
    """Return sentences about this fetcher that its author should know; mostly none."""
    if not any("OFFSET" in text.upper().split() for text in _texts(getattr(fetcher, "__code__", None))):
        return []
    name = getattr(fetcher, "__name__", type(fetcher).__name__)
    sentence = (
        f"{name} pages with LIMIT and OFFSET: the database reads all earlier rows again for each batch, and without a "
        "total ORDER BY it may skip rows and repeat others. SqlFetcher(url, table) reads each row once, in key order."
    )
    return [sentence]


def _texts(code: object) -> Iterator[str]:
    """Give the literal texts of a function, those inside f-strings and inner functions too."""
    if not isinstance(code, CodeType):
        return
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        else:
            yield from _texts(constant)
