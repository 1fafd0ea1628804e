from __future__ import annotations

import os
import shutil
from contextlib import contextmanager

import pytest

from engine.checkpoint.catalog.catalog import Catalog


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Copies of a folder before and after each change to it: what the next process would find after a kill.

    The fixture is a function that starts the recording and returns the list to which copies are added;
    `monkeypatch.undo()` ends it. Only for code that runs in one thread.
    """

    def start(folder):
        taken = []
        busy = []
        last = []

        def photograph():
            if busy or not folder.exists():
                return
            busy.append(True)
            stats = [(str(path), path.stat()) for path in sorted(folder.rglob("*"))]
            seen = [(path, stat.st_ino, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
            if seen != last:
                take()
                last[:] = seen
            busy.clear()

        def take():
            copy = tmp_path / "photographs" / f"{len(taken):04d}"
            shutil.copytree(folder, copy)
            taken.append(copy)

        def photographed(function):
            def call(*arguments, **keywords):
                photograph()
                try:
                    return function(*arguments, **keywords)
                finally:
                    photograph()

            return call

        transaction = Catalog.transaction

        @contextmanager
        def photographed_transaction(catalog):
            photograph()
            with transaction(catalog):
                yield
                photograph()
            photograph()

        for name in ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "write", "pwrite"):
            monkeypatch.setattr(os, name, photographed(getattr(os, name)))
        monkeypatch.setattr(shutil, "copyfileobj", photographed(shutil.copyfileobj))
        monkeypatch.setattr(shutil, "rmtree", photographed(shutil.rmtree))
        monkeypatch.setattr(Catalog, "checkpoint", photographed(Catalog.checkpoint))
        monkeypatch.setattr(Catalog, "transaction", photographed_transaction)
        return taken

    return start
