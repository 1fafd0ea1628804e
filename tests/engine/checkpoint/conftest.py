from __future__ import annotations

import json
import shutil

import pytest

from engine.checkpoint.layout import new_attempt_id
from engine.checkpoint.parts import parts
from engine.checkpoint.parts.manifest import Manifest
from engine.checkpoint.store import CheckpointStore
from engine.testing import numbers

PIPELINE = json.dumps({"steps": [{"name": "a"}]})


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
def store(folder):
    with CheckpointStore(folder) as opened:
        yield opened


def write(store, batch_id, *, start_row=None, end_row=None, attempt_id=None, **fields):
    start_row = batch_id * 10 if start_row is None else start_row
    end_row = start_row + 9 if end_row is None else end_row
    frame = numbers(start_row, end_row + 1)
    manifest = Manifest(
        batch_id,
        start_row,
        end_row,
        frame.height,
        run_id=1,
        epoch=store.epoch,
        attempt_id=attempt_id or new_attempt_id(),
        **fields,
    )
    checkpoint = json.dumps({"key": store.key, "pipeline": PIPELINE})
    return parts.write(store.layout, frame, manifest, checkpoint=checkpoint, compression="zstd")


@pytest.fixture
def written():
    """A function that writes the part of a batch as a worker does, and returns its manifest.

    By default batch b has the rows 10 · b to 10 · b + 9; the part has them in the column `id`.
    """
    return write


@pytest.fixture(scope="session")
def committed_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("committed") / "checkpoints"
    with CheckpointStore(folder) as store:
        store.history.begin_run(batch_size=10, pipeline=PIPELINE, changed=True)
        for batch_id in range(3):
            store.commit([write(store, batch_id, cursor={"next_row": 10 * batch_id + 10})])
        store.history.end_run(1, "finished")
    return folder


@pytest.fixture
def committed(committed_once, folder):
    """A folder with the batches 0, 1 and 2, committed by run 1; its lock isn't held."""
    shutil.copytree(committed_once, folder)
    return folder


@pytest.fixture
def contents():
    """A function that returns the bytes of every file below a folder, by relative path, except the lock file."""

    def read(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "checkpoint.lock"
        }

    return read
