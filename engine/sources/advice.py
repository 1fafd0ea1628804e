"""Warnings about a user's own fetcher, given before the first batch is fetched."""

from __future__ import annotations

from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.sources.base import BatchFetcher


def warnings_for(fetcher: BatchFetcher) -> list[str]:
    """Return what the author of this fetcher should know, one sentence each; usually nothing."""
    if not any("OFFSET" in text.upper().split() for text in _texts(getattr(fetcher, "__code__", None))):
        return []
    name = getattr(fetcher, "__name__", type(fetcher).__name__)
    sentence = (
        f"{name} pages with LIMIT and OFFSET: the database reads all earlier rows again for each batch, and without a "
        "total ORDER BY it may skip rows and repeat others. SqlFetcher(url, table) reads each row once, in key order."
    )
    return [sentence]


def _texts(code: object) -> Iterator[str]:
    """Yield the string literals of a function, including those in f-strings and inner functions."""
    if not isinstance(code, CodeType):
        return
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        else:
            yield from _texts(constant)
