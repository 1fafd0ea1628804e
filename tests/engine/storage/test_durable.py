from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine.storage import durable


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def syncs(monkeypatch):
    """What was fsynced, by name, in order."""
    names = []
    original = os.fsync

    def fsync(descriptor):
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return names


def write_new(path, content):
    with durable.new_file(path) as file:
        file.write(content)


def test_a_new_file_is_private_and_synced(tmp_path, syncs):
    write_new(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"
    assert mode(tmp_path / "a") == 0o600
    assert syncs == ["a"]


def test_a_new_file_never_replaces_another(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", b"yours")
    assert (tmp_path / "a").read_bytes() == b"mine"


def test_a_new_file_is_not_synced_when_writing_it_failed(tmp_path, syncs):
    with pytest.raises(ValueError, match="no more"), durable.new_file(tmp_path / "a"):
        raise ValueError("no more")
    assert not syncs


def test_replacing_syncs_the_text_before_its_name_and_the_folder_after(tmp_path, syncs, monkeypatch):
    original = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (syncs.append("replace"), original(*paths)))
    durable.replace_text(tmp_path / "a", "text")
    assert syncs[0].startswith(".a-")
    assert syncs[1:] == ["replace", tmp_path.name]


def test_replacing_without_durability_syncs_nothing(tmp_path, syncs):
    durable.replace_text(tmp_path / "a", "text", durable=False)
    assert syncs == []
    assert (tmp_path / "a").read_text() == "text"


def test_replacing_keeps_the_old_text_and_nothing_else_when_it_fails(tmp_path, monkeypatch):
    durable.replace_text(tmp_path / "a", "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        durable.replace_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_reader_that_holds_the_old_file_keeps_reading_it(tmp_path):
    durable.replace_text(tmp_path / "a", "old")
    with (tmp_path / "a").open() as reader:
        durable.replace_text(tmp_path / "a", "new")
        assert reader.read() == "old"


def test_folders_are_made_private_with_their_parents(tmp_path, syncs):
    durable.make_private_folder(tmp_path / "a" / "b")
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700
    assert syncs == [tmp_path.name, "a"]


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "a").mkdir(mode=0o755)
    (tmp_path / "a").chmod(0o755)
    durable.make_private_folder(tmp_path / "a")
    assert mode(tmp_path / "a") == 0o755


def test_no_descriptor_stays_open(tmp_path):
    before = open_descriptors()
    write_new(tmp_path / "a", b"x")
    durable.replace_text(tmp_path / "b", "x")
    durable.fsync_path(tmp_path)
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", b"x")
    assert open_descriptors() == before
