"""Warnings about a user's own fetcher, given before the first batch is fetched."""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterator
from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.sources.base import BatchFetcher


def warnings_for(fetcher: BatchFetcher) -> list[str]:
    """Return what the author of this fetcher should know, one sentence each; usually nothing."""
    name = getattr(fetcher, "__name__", type(fetcher).__name__)
    sentences = [
        f"{name} uses the iterator {iterator}, which can be read only once: after a failure the next run would get its "
        "first rows again. Pass a generator function instead: it is called again, and committed rows are skipped."
        for iterator in _iterators(fetcher)
    ]
    if any("OFFSET" in text.upper().split() for text in _texts(getattr(fetcher, "__code__", None))):
        sentences.append(
            f"{name} pages with LIMIT and OFFSET: the database reads all earlier rows again for each batch, and "
            "without a total ORDER BY it may skip rows and repeat others. SqlFetcher(url, table) reads each row once, "
            "in key order."
        )
    return sentences


def _iterators(fetcher: object) -> list[str]:
    """Return the names of the iterators that a function uses from outside; files are none, since they can seek."""
    if not inspect.isfunction(fetcher):
        return []
    used = inspect.getclosurevars(fetcher)
    values = {**used.globals, **used.nonlocals}
    return [name for name, value in values.items() if isinstance(value, Iterator) and not isinstance(value, io.IOBase)]


def _texts(code: object) -> Iterator[str]:
    """Yield the string literals of a function, including those in f-strings and inner functions."""
    if not isinstance(code, CodeType):
        return
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        else:
            yield from _texts(constant)
