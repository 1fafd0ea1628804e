"""Something happens at the n-th step of the protocol: the folder is photographed, a call fails, or the process dies.

The steps are the changes of files that Python makes, and the ends of a transaction; they are counted over all threads.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from engine.checkpoint.catalog.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CALLS = ("fsync", "replace", "unlink", "mkdir")


class Cut:
    """What happens at step `number`, once; `struck` says whether it came to that."""

    def __init__(self, number: int, strike: Callable[[type[Exception]], None]) -> None:
        self.struck = False
        self._left = number
        self._strike = strike
        self._lock = threading.Lock()

    def pass_by(self, error: type[Exception] = OSError) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
            self.struck = True
        self._strike(error)


def photograph(folder: Path, copy: Path) -> Callable[[type[Exception]], None]:
    """Keep what a process would find that was killed. Only for what runs in one thread."""

    def strike(_: type[Exception]) -> None:
        if folder.exists():
            shutil.copytree(folder, copy)

    return strike


def fail(error: type[Exception]) -> None:
    """Raise as a disk does that can't write."""
    raise OSError(28, "No space left on device") if error is OSError else error("IO Error: could not write")


@contextmanager
def cutting(cut: Cut) -> Iterator[Cut]:
    """Count the steps in the block, and let the cut strike at its one."""
    with pytest.MonkeyPatch.context() as patch:
        arm(cut, patch.setattr)
        yield cut


def arm(cut: Cut, setattr_: Callable[[Any, str, Any], None] = setattr) -> None:
    transaction = Catalog.transaction

    @contextmanager
    def counted_transaction(catalog: Catalog) -> Iterator[None]:
        with transaction(catalog):
            yield
            cut.pass_by(duckdb.IOException)
        cut.pass_by(duckdb.IOException)  # a commit may fail after it has landed

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            cut.pass_by()
            return function(*arguments, **keywords)

        return call

    for name in CALLS:
        setattr_(os, name, counted(getattr(os, name)))
    setattr_(Catalog, "transaction", counted_transaction)
