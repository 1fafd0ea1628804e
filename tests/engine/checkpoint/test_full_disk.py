"""A disk that is really full, in a process of its own whose files may not grow: RLIMIT_FSIZE raises EFBIG.

The limit strikes the catalog's log in the middle of a write, which no stand-in for a system call does.
"""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

from engine import BatchPipeline
from engine.checkpoint.store import CheckpointStore
from engine.testing import NumberSource, RunningTotal

RUN_WITH_LIMIT = """
import resource, signal, sys
from engine import BatchPipeline
from engine.testing import NumberSource, RunningTotal

folder, limit = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
pipeline = BatchPipeline([RunningTotal("sum")], NumberSource(400), 10, folder, workers=2)
pipeline.get_frontier()
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    pipeline.run()
except Exception as error:
    kind, hint = type(error).__name__, error.hint
else:
    kind, hint = "nothing", ""
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(kind, pipeline.get_frontier().last_completed_batch_id, pipeline.collect_results().height, hint, sep="|")
"""


def run_with_limit(folder, limit):
    done = subprocess.run(
        [sys.executable, "-c", RUN_WITH_LIMIT, str(folder), str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    kind, frontier, height, hint = done.stdout.strip().split("|")
    return kind, int(frontier), int(height), hint


@pytest.mark.integration
@pytest.mark.parametrize("limit", [3_000, 6_000, 9_001, 12_345])
def test_when_the_log_cannot_grow_the_run_says_so_and_goes_on_later(tmp_path, limit):
    folder = tmp_path / "checkpoints"
    kind, frontier, height, hint = run_with_limit(folder, limit)
    assert kind == "DiskFull"
    assert "Free some space" in hint
    assert height == (frontier + 1) * 10
    with CheckpointStore(folder) as store:
        assert store.next_batch_id == frontier + 1
        assert not [path.name for path in store.layout.results.iterdir() if path.name.endswith(".tmp")]
    pipeline = BatchPipeline([RunningTotal("sum")], NumberSource(400), 10, folder)
    pipeline.run()
    ids = pl.Series("id", range(400))
    assert pipeline.collect_results()["id"].to_list() == ids.to_list()
    assert pipeline.collect_results()["total"].to_list() == ids.cum_sum().to_list()


@pytest.mark.integration
def test_when_a_part_cannot_be_written_the_run_says_so(tmp_path):
    kind, frontier, height, _ = run_with_limit(tmp_path / "checkpoints", 1_000)
    assert (kind, frontier, height) == ("DiskFull", -1, 0)
