"""Files in the catalog's place that aren't one, or not one that can be used: each its own error, left untouched."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from engine.checkpoint.catalog.catalog import Catalog
from engine.checkpoint.store import CheckpointStore
from engine.errors import (
    CheckpointCorrupt,
    CheckpointForeign,
    CheckpointLocked,
    CheckpointNewer,
    CheckpointNotWritable,
    DiskFull,
)


def catalog(folder):
    return folder / "checkpoint.duckdb"


def refused(folder, kind, message, contents):
    """Opening `folder` raises this kind of error, which says so and helps, and leaves all files as they are."""
    before = contents(folder)
    with pytest.raises(kind, match=message) as caught:
        CheckpointStore(folder)
    assert caught.value.hint
    assert contents(folder) == before
    return caught.value


@pytest.fixture
def place(folder):
    """A function that makes the folder with a file in the catalog's place."""

    def put(content):
        folder.mkdir()
        catalog(folder).write_bytes(content)

    return put


# --- not ours -------------------------------------------------------------------------------------------


def test_an_sqlite_file_is_foreign(folder, contents):
    folder.mkdir()
    with sqlite3.connect(catalog(folder)) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    refused(folder, CheckpointForeign, "an SQLite database", contents)


@pytest.mark.parametrize(
    "content", [b"To do: buy milk, call Ann, feed the cat\n" * 500, b"PAR1" * 5000, b"\x00" * 20_000, b"\x7fELF" * 4096]
)
def test_any_other_file_is_foreign(folder, place, contents, content):
    place(content)
    refused(folder, CheckpointForeign, "not a DuckDB database", contents)


def test_a_short_text_is_foreign(folder, place, contents):
    place(b"To do: buy milk\n")
    refused(folder, CheckpointForeign, "not a DuckDB database", contents)


def test_a_folder_in_its_place_is_foreign(folder, contents):
    catalog(folder).mkdir(parents=True)
    refused(folder, CheckpointForeign, "not a file", contents)


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE customers (id INTEGER)",
        "CREATE TABLE checkpoint (id INTEGER)",
        "CREATE TABLE checkpoint (format VARCHAR, checkpoint_key VARCHAR); INSERT INTO checkpoint VALUES ('a', 'b')",
        "CREATE VIEW checkpoint AS SELECT 1 AS format, 'x' AS checkpoint_key",
    ],
)
def test_somebody_elses_duckdb_file_is_foreign(folder, contents, ddl):
    folder.mkdir()
    with duckdb.connect(str(catalog(folder))) as connection:
        connection.execute(ddl)
    refused(folder, CheckpointForeign, "a DuckDB database without a checkpoint in it", contents)


@pytest.mark.integration
def test_somebody_elses_duckdb_file_with_a_log_is_left_untouched(folder, contents):
    folder.mkdir()
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('CREATE TABLE t (x INT)');"
        "c.execute('CHECKPOINT'); c.execute('INSERT INTO t VALUES (1)'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(catalog(folder))], check=True)
    assert catalog(folder).with_name("checkpoint.duckdb.wal").exists()
    refused(folder, CheckpointForeign, "without a checkpoint", contents)
    with duckdb.connect(str(catalog(folder))) as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == [(1,)]


@pytest.mark.integration
def test_another_program_that_has_it_open_is_named(committed, contents):
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(catalog(committed))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        other.stdout.readline()
        error = refused(committed, CheckpointLocked, "in use by", contents)
        assert str(other.pid) in error.holder
    finally:
        other.kill()
        other.communicate()


def test_this_process_that_has_it_open_through_another_connection_is_named(committed, contents):
    with duckdb.connect(str(catalog(committed))):
        refused(committed, CheckpointLocked, "another DuckDB connection of this process", contents)


# --- of another version ---------------------------------------------------------------------------------


def test_a_newer_format_is_refused(committed, contents):
    opened = Catalog(catalog(committed))
    opened._connection.execute("UPDATE checkpoint SET format = 3")
    opened.close()
    error = refused(committed, CheckpointNewer, "has format 3, and this version reads up to 2", contents)
    assert "Upgrade" in error.hint


@pytest.mark.parametrize("statement", ["DELETE FROM checkpoint", "INSERT INTO checkpoint SELECT * FROM checkpoint"])
def test_a_catalog_that_does_not_say_whose_it_is_is_corrupt(committed, contents, statement):
    opened = Catalog(catalog(committed))
    opened._connection.execute(statement)
    opened.close()
    refused(committed, CheckpointCorrupt, "has lost its key", contents)


# --- damaged --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 8192, 12_287])
def test_a_catalog_cut_short_in_its_headers_is_corrupt(committed, contents, size):
    os.truncate(catalog(committed), size)
    error = refused(committed, CheckpointCorrupt, "cut short", contents)
    assert "verify --repair" in error.hint


@pytest.mark.parametrize("size", [12_288, 50_000, 274_432])
def test_a_catalog_cut_short_behind_its_headers_is_corrupt(committed, contents, size):
    assert catalog(committed).stat().st_size > size
    os.truncate(catalog(committed), size)
    error = refused(committed, CheckpointCorrupt, "damaged", contents)
    assert "verify --repair" in error.hint


def test_a_log_of_another_catalog_is_refused(committed, tmp_path, written, contents):
    with CheckpointStore(tmp_path / "other") as other:
        other.commit([written(other, 0)])
    foreign = (tmp_path / "other" / "checkpoint.duckdb.wal").read_bytes()
    (committed / "checkpoint.duckdb.wal").write_bytes(foreign)
    refused(committed, CheckpointCorrupt, "damaged", contents)


# --- not writable ---------------------------------------------------------------------------------------


def test_a_file_in_the_folders_place_is_said_so(folder):
    folder.write_text("mine")
    with pytest.raises(CheckpointNotWritable):
        CheckpointStore(folder)
    assert folder.read_text() == "mine"


@pytest.mark.parametrize("error", [30, 13, 1], ids=["read-only disk", "no permission", "not permitted"])
def test_a_folder_that_cannot_be_written_is_said_so(committed, contents, monkeypatch, error):
    original = os.open

    def read_only(path, flags, *more, **keywords):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(error, os.strerror(error), str(path))
        return original(path, flags, *more, **keywords)

    monkeypatch.setattr(os, "open", read_only)
    caught = refused(committed, CheckpointNotWritable, "cannot write the checkpoint", contents)
    assert "what is committed is safe" in caught.hint


def test_a_new_folder_that_cannot_be_made_is_said_so(folder, monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", read_only)
    with pytest.raises(CheckpointNotWritable, match="Read-only file system"):
        CheckpointStore(folder)


@pytest.mark.integration
def test_a_user_without_permission_is_told_so(committed):
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    for path in [committed, *committed.parents[:-2]]:
        path.chmod(path.stat().st_mode | 0o055)  # nobody may look, and not write
    code = (
        "import os, sys; from pathlib import Path; from engine.checkpoint.store import CheckpointStore\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: CheckpointStore(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error.hint != '', error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(committed)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("CheckpointNotWritable True ")
    assert "Permission denied" in done.stdout


def test_a_disk_that_is_full_from_the_start_leaves_nothing_half_made(folder, monkeypatch):
    original = os.fsync

    def full(descriptor):
        if ".tmp" in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            raise OSError(28, "No space left on device")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        CheckpointStore(folder)
    assert sorted(path.name for path in folder.iterdir()) in (["checkpoint.lock"], ["checkpoint.lock", "results"])
    monkeypatch.undo()
    CheckpointStore(folder).close()


# --- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "md:x",
        "sqlite:x",
        ":memory:x",
        "file:x",
        "s3:x",
        "~x",
        "a b",
        "it's",
        'a"b',
        "a#b",
        "a%20b",
        "é速",
        "n\nl",
        "[1]*",
    ],
)
def test_a_folder_may_have_any_name(tmp_path, monkeypatch, written, name):
    monkeypatch.chdir(tmp_path)
    with CheckpointStore(Path(name)) as store:
        store.commit([written(store, 0)])
    with CheckpointStore(Path(name)) as store:
        assert store.next_batch_id == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_duckdb_takes_for_a_query_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(CheckpointNotWritable, match=r"\?"):
        CheckpointStore(tmp_path / "what?")
    assert list(tmp_path.iterdir()) == []


def test_a_relative_folder_stays_the_same_when_the_process_goes_elsewhere(tmp_path, monkeypatch, written):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with CheckpointStore(Path("checkpoints")) as store:
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.commit([written(store, 0)])
    assert list((tmp_path / "elsewhere").iterdir()) == []
    with CheckpointStore(tmp_path / "checkpoints") as store:
        assert store.next_batch_id == 1


# --- permissions ----------------------------------------------------------------------------------------


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_everything_is_for_its_owner_alone(folder, written, umask):
    old = os.umask(umask)
    try:
        with CheckpointStore(folder) as store:
            store.history.begin_run(batch_size=10, pipeline='{"steps": []}', changed=True)
            store.commit([written(store, 0)])
            store.compact()
            store.commit([written(store, 1)])
            store.compact()
            store.history.end_run(1, "finished")
            written(store, 2)
        modes = {path.relative_to(folder).as_posix(): mode(path) for path in folder.rglob("*")}
    finally:
        os.umask(old)
    assert mode(folder) == 0o700
    assert modes.pop("results") == 0o700
    assert set(modes) >= {"checkpoint.duckdb", "checkpoint.duckdb.wal", "checkpoint.lock", "frontier.json"}
    assert {name for name, value in modes.items() if value != 0o600} == set()


def test_a_checkpoint_can_be_looked_at_on_a_full_disk(committed, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    (committed / "frontier.json").unlink()
    for call in ("write", "pwrite", "ftruncate", "replace"):
        monkeypatch.setattr(os, call, full)
    with CheckpointStore(committed) as store:
        assert store.next_batch_id == 3
        assert len(store.history.runs()) == 1
