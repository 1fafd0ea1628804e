"""Whoever looks changes nothing, follows no link, takes no lock, and sees what a run would find."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from engine.checkpoint.catalog import compaction
from engine.checkpoint.copying import is_held
from engine.checkpoint.layout import Layout
from engine.checkpoint.lock import CheckpointLock
from engine.checkpoint.store import CheckpointStore
from engine.checkpoint.waiting import PATIENCE_SECONDS
from engine.errors import CheckpointError, CheckpointForeign, CheckpointLocked
from engine.pipeline import BatchPipeline
from engine.results.view import CheckpointView
from engine.testing import FailingStep, NumberSource

pytestmark = pytest.mark.integration

LOOKS = {
    "frontier": CheckpointView.get_frontier,
    "status": CheckpointView.status,
    "history": CheckpointView.history,
    "failures": CheckpointView.failures,
    "loss": lambda view: view.loss_of_rewind(-1),
    "quarantine": lambda view: view.quarantine.rows(),
    "verify": CheckpointView.verify,
    "results": CheckpointView.collect_results,
    "page": lambda view: view.results_page(0, 10),
    "sql": lambda view: view.query_results("SELECT count(*) FROM results"),
    "batch": lambda view: view.batch(0),
}


@pytest.fixture
def folder(tmp_path):
    """A checkpoint with four batches and a run that failed."""
    pipeline = BatchPipeline([FailingStep("small", {4: ValueError("no")})], NumberSource(60), 10, tmp_path / "ck")
    with pytest.raises(Exception, match="batch 4"):
        pipeline.run()
    return tmp_path / "ck"


def state(folder):
    """Everything about the files below a folder that a look could change."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        about = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[path] = (about.st_ino, about.st_mode, about.st_size, about.st_mtime_ns, content)
    return found


def without_its_last_name(folder):
    with CheckpointStore(folder) as store:
        last = store.last_manifest()
    Layout(folder).part(3).rename(Layout(folder).temporary_part(3, last.attempt_id))


def crashed(folder):
    with CheckpointStore(folder) as store:
        store.history.begin_run(batch_size=10, pipeline='{"steps": []}', changed=False)


def compacting(folder):
    layout = Layout(folder)
    layout.guard.mkdir()
    layout.catalog.rename(layout.guard / layout.catalog.name)
    layout.wal.rename(layout.guard / layout.wal.name)
    layout.catalog.write_bytes(b"half written")


def without_log(folder):
    Layout(folder).wal.unlink()


def untidy(folder):
    (folder / "frontier.json").write_text("garbage")
    (folder / f".guard-{'0' * 16}.tmp").mkdir()
    (folder / "results" / f".part-{7:012d}-{'0' * 16}.tmp").write_bytes(b"left")
    (folder / "checkpoint.lock").unlink()


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("leave", [None, without_its_last_name, crashed, compacting, without_log, untidy])
def test_looking_changes_nothing_and_sees_what_a_run_would_find(folder, leave, look):
    if leave:
        leave(folder)
    before = state(folder)
    answer = LOOKS[look](CheckpointView(folder))
    assert state(folder) == before
    if look == "frontier":
        assert answer.next_batch_id == 4
    if look in {"results", "sql"}:
        assert (answer.height if look == "results" else answer.item()) == 40


@pytest.mark.parametrize("name", ["checkpoint.lock", "checkpoint.duckdb", "checkpoint.duckdb.wal", "checkpoint.guard"])
@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_no_link_is_followed(folder, tmp_path, name, kind):
    mine = tmp_path / "mine"
    if kind == "file":
        mine.write_text("mine")
    elif kind == "folder":
        mine.mkdir()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(mine)
    before = state(tmp_path)
    view = CheckpointView(folder)
    for look in LOOKS.values():
        try:
            look(view)
        except CheckpointForeign as error:
            assert "a link" in str(error)  # noqa: PT017 (reading a part alone needs none of these files)
    for write in (view.repair, lambda: view.rewind(0), lambda: CheckpointStore(folder)):
        with pytest.raises(CheckpointForeign, match="a link"):
            write()
    assert state(tmp_path) == before


def test_what_was_repaired_is_said_by_the_run_and_not_lost_to_a_look(folder):
    crashed(folder)
    view = CheckpointView(folder)
    assert view.history(1)[0].state == "crashed"
    with CheckpointStore(folder) as store:
        assert "ended without recording how" in store.notices[0]


def test_the_first_moments_of_a_first_run_are_no_error(tmp_path):
    folder = tmp_path / "ck"
    folder.mkdir()
    held = CheckpointLock(folder / "checkpoint.lock")
    view = CheckpointView(folder)
    assert view.get_frontier().next_batch_id == 0
    assert view.history() == []
    held.release()


def test_looking_never_keeps_a_run_from_its_lock(folder):
    layout, ended = Layout(folder), threading.Event()

    def look():
        while not ended.is_set():
            is_held(layout)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(200):
            CheckpointLock(layout.lock).release()
    finally:
        ended.set()
        for reader in readers:
            reader.join()


# --- other programs ---------------------------------------------------------------------------------------

CLIENT = """
import sys, duckdb
try:
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        print("in", flush=True)
        sys.stdin.readline()
except duckdb.IOException:
    print("out", flush=True)
"""
POLLING = """
import sys, duckdb
print("ready", flush=True)
while True:
    try:
        with duckdb.connect(sys.argv[1], read_only=True) as connection:
            connection.sql("SELECT count(*) FROM batches").fetchall()
    except duckdb.Error:
        pass
"""


@pytest.fixture
def client(folder):
    """A function that starts a program with DuckDB on the catalog; it returns the first line of its output."""
    started = []

    def start(code):
        command = [sys.executable, "-c", code, str(Layout(folder).catalog)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(child)
        return child.stdout.readline().strip()

    yield start
    for child in started:
        child.kill()
        child.communicate()


def test_looking_in_the_process_of_the_run_does_not_open_the_catalog_to_others(folder, client):
    with CheckpointStore(folder):
        for look in LOOKS.values():
            look(CheckpointView(folder))
        assert client(CLIENT) == "out"


def test_a_client_that_polls_the_catalog_ends_no_run(folder, client, monkeypatch):
    monkeypatch.setattr(compaction, "COMPACT_AT_BYTES", 1)
    assert client(POLLING) == "ready"
    for _ in range(5):
        pipeline = BatchPipeline([FailingStep("small", {})], NumberSource(60), 10, folder)
        pipeline.run(resume=False)
        assert pipeline.collect_results().height == 60


def test_a_client_that_stays_is_named_with_what_to_do(folder, client, monkeypatch):
    monkeypatch.setattr("engine.checkpoint.waiting.PATIENCE_SECONDS", 0.1)
    assert PATIENCE_SECONDS >= 1
    assert client(CLIENT) == "in"
    with pytest.raises(CheckpointLocked, match=r"in use by .+ \(PID \d+\)") as caught:
        CheckpointStore(folder)
    assert "permission" not in str(caught.value) + caught.value.hint
    assert "Close that program" in caught.value.hint
    assert CheckpointView(folder).get_frontier().next_batch_id == 4


def test_a_folder_that_cannot_be_read_is_one_sentence(folder):
    (folder / "checkpoint.duckdb").write_bytes(b"DUCK" * 10)
    for look in ("frontier", "status", "history"):
        with pytest.raises(CheckpointError):
            LOOKS[look](CheckpointView(folder))
