"""The names of the engine in their first package; all of them come from `engine`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import engine

if TYPE_CHECKING:
    from engine import AddColumnBatchStep, Batch, BatchPipeline, BatchStep, DropNullsBatchStep, Frontier

__all__ = ["AddColumnBatchStep", "Batch", "BatchPipeline", "BatchStep", "DropNullsBatchStep", "Frontier"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(engine, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
