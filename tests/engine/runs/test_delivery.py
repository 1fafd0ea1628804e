"""A delivery never leaves a gap in a sink: it refuses a catalog that doesn't have all batches."""

from __future__ import annotations

import pytest

from engine import BatchPipeline, DuckDBSink
from engine.checkpoint.store import CheckpointStore
from engine.errors import CheckpointCorrupt
from engine.testing import NumberSource

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("lost", [0, 3, 9])
def test_a_catalog_without_all_batches_is_not_delivered(tmp_path, monkeypatch, lost):
    BatchPipeline([], NumberSource(100), 10, tmp_path / "ck").run()
    batches = CheckpointStore.batches
    monkeypatch.setattr(
        CheckpointStore, "batches", lambda *given: [one for one in batches(*given) if one.batch_id != lost]
    )
    sink = DuckDBSink(tmp_path / "target.duckdb", "results")
    with pytest.raises(CheckpointCorrupt, match="doesn't have all batches from 0 to 9") as caught:
        BatchPipeline([], NumberSource(100), 10, tmp_path / "ck", sinks=[sink]).run()
    assert "verify --repair" in caught.value.hint
    monkeypatch.undo()
    sink.open("x" * 32)
    assert sink.next_batch_id() == 0
    sink.close()
