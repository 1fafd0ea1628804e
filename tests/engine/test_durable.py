from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine import durable


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


def test_a_new_file_is_private_and_synced(tmp_path, syncs):
    durable.write_new(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"
    assert mode(tmp_path / "a") == 0o600
    assert syncs == ["a"]


def test_a_new_file_never_replaces_another(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        durable.write_new(tmp_path / "a", b"yours")
    assert (tmp_path / "a").read_bytes() == b"mine"


def test_a_new_file_is_whole_though_the_disk_takes_little_at_a_time(tmp_path, monkeypatch):
    original = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: original(descriptor, bytes(data[:3])))
    durable.write_new(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_replacing_syncs_the_text_before_its_name_and_the_folder_after(tmp_path, syncs, monkeypatch):
    original = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (syncs.append("replace"), original(*paths)))
    durable.replace_text(tmp_path / "a", "text")
    assert syncs[0].startswith(".a.")
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
    durable.write_new(tmp_path / "a", b"x")
    durable.replace_text(tmp_path / "b", "x")
    durable.fsync_path(tmp_path)
    with pytest.raises(FileExistsError):
        durable.write_new(tmp_path / "a", b"x")
    assert open_descriptors() == before
