"""A power cut takes what was not fsynced: so the order of fsyncs, commits and renames is a promise as well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kill_target import BATCHES, pipeline

from engine.checkpoint.catalog.ledger import Ledger

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are looked up in /proc")


@pytest.fixture
def log(monkeypatch, tmp_path):
    """What a run did to its files, as (what, name), in the order in which it was done."""
    log: list[tuple[str, str]] = []
    fsync, rename, commit = os.fsync, Path.replace, Ledger.append

    def noted_fsync(descriptor):
        fsync(descriptor)
        log.append(("fsynced", Path(f"/proc/self/fd/{descriptor}").readlink().name))

    def noted_rename(self, target):
        log.append(("renamed", self.name))
        return rename(self, target)

    def noted_commit(self, manifests, **options):
        names = [f".part-{manifest.batch_id:012d}-{manifest.attempt_id}.tmp" for manifest in manifests]
        log.extend(("committing", name) for name in names)
        commit(self, manifests, **options)
        log.extend(("committed", name) for name in names)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    monkeypatch.setattr(Ledger, "append", noted_commit)
    pipeline(tmp_path / "checkpoint").run()
    return log


def test_a_part_is_durable_with_its_name_before_its_commit_begins(log):
    parts = [name for what, name in log if what == "committing"]
    assert len(parts) == BATCHES
    for part in parts:
        content, commit = log.index(("fsynced", part)), log.index(("committing", part))
        assert content < commit
        assert ("fsynced", "results") in log[content:commit]


def test_a_part_gets_its_final_name_only_after_its_commit_and_durably(log):
    for part in [name for what, name in log if what == "committed"]:
        commit, renamed = log.index(("committed", part)), log.index(("renamed", part))
        assert commit < renamed
        assert ("fsynced", "results") in log[renamed:]


def test_the_mirror_is_replaced_only_after_the_parts_have_their_names(log):
    for place, (what, name) in enumerate(log):
        if what == "renamed" and name.startswith(".frontier.json"):
            committed = {name for what, name in log[:place] if what == "committed"}
            assert committed <= {name for what, name in log[:place] if what == "renamed"}
