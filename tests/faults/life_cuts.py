"""Does something at the n-th step of the protocol: copy the folder, let a call fail, or kill the process.

A step is a change of a file by Python, or the end of a transaction; the steps of all threads are counted together.
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
    """What happens at step `number`, once; `struck` says whether it has happened."""

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
    """Copy the folder: the next process would find this after a kill. Only for code that runs in one thread."""

    def strike(_: type[Exception]) -> None:
        if folder.exists():
            shutil.copytree(folder, copy)

    return strike


def fail(error: type[Exception]) -> None:
    """Raise the error of a disk that can't write."""
    raise OSError(28, "No space left on device") if error is OSError else error("IO Error: could not write")


@contextmanager
def cutting(cut: Cut) -> Iterator[Cut]:
    """Count the steps in the block, and make the cut at its step."""
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
        cut.pass_by(duckdb.IOException)  # a commit may fail after it has succeeded

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            cut.pass_by()
            return function(*arguments, **keywords)

        return call

    for name in CALLS:
        setattr_(os, name, counted(getattr(os, name)))
    setattr_(Catalog, "transaction", counted_transaction)
