"""What is announced has happened: whoever hears of a batch finds it committed, under its name, and in the mirror."""

from __future__ import annotations

import fault_target
import kill_checks
import pytest

from engine import BatchPipeline, Frontier
from engine.checkpoint.store import CheckpointStore
from engine.events import BatchCommitted, GroupCommitted
from engine.testing import InlineExecutor


@pytest.fixture
def heard(tmp_path):
    """For each announcement of a batch: its id, and what was there at that moment, read without the engine."""
    model = fault_target.pipeline()
    folder, heard = tmp_path / "checkpoint", []

    def listen(event):
        if isinstance(event, BatchCommitted):
            found = kill_checks.check(folder, fault_target.expected())
            heard.append((event.batch_id, found, Frontier.load(folder / "frontier.json").last_completed_batch_id))

    executor = InlineExecutor(2)
    steps, fetcher, size = model.steps, model.batch_fetcher, model.batch_size
    BatchPipeline(steps, fetcher, size, folder, executor=executor, listeners=[listen]).run()
    return heard


def test_a_batch_is_announced_when_it_is_committed_and_named_and_in_the_mirror(heard):
    assert [batch_id for batch_id, _, _ in heard] == list(range(fault_target.BATCHES))
    for batch_id, found, mirrored in heard:
        assert found.next_batch_id > batch_id
        assert found.published > batch_id
        assert mirrored >= batch_id


def test_nothing_is_announced_of_a_commit_that_failed(tmp_path, monkeypatch):
    heard = []
    run = fault_target.pipeline(tmp_path / "checkpoint")
    run.add_listener(lambda event: heard.append(event) if isinstance(event, BatchCommitted | GroupCommitted) else None)

    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointStore, "commit", fail)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert heard == []
