"""Waits for a program that has the catalog open for a moment: any DuckDB client may read it between runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import duckdb

from engine.checkpoint.translate_errors import is_locked
from engine.errors import CheckpointLocked

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.02

T = TypeVar("T")


def patiently(attempt: Callable[[], T]) -> T:
    """Return what `attempt` returns; try again for some seconds while another program has the catalog open."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return attempt()
        except (CheckpointLocked, duckdb.Error) as error:
            if not is_locked(error) or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)
