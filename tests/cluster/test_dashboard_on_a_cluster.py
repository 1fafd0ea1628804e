"""The dashboard, in a real terminal, drives a run on a cluster and shows what becomes of it."""

from __future__ import annotations

import re
from pathlib import Path

from terminal_process import TerminalProcess

MORE_THAN_ONE_RETRY = re.compile(r"([2-9]|\d\d+) retries")

TARGET = """
import sys
from pathlib import Path

sys.path.insert(0, {here!r})
import cluster_target

pipeline = cluster_target.pipeline(Path({folder!r}), dies_at=(3, 30), held_by=Path({seen!r}))
"""


def test_a_run_on_a_cluster_shows_nodes_and_retries(cluster, tmp_path):
    target = tmp_path / "target.py"
    target.write_text(
        TARGET.format(here=str(Path(__file__).parent), folder=str(tmp_path), seen=str(tmp_path / "seen")),
        encoding="utf-8",
    )
    words = (target, "--executor", "ray", "--ray-address", cluster.address, "--run")
    with TerminalProcess(*words, cwd=tmp_path, environment={"BATCHPIPE_STATE_DIR": str(tmp_path / "state")}) as process:
        process.until_text(" nodes")  # two, or three when another test has lost one just now
        process.until(lambda: MORE_THAN_ONE_RETRY.search(process.text))  # a node that another test lost adds some
        (tmp_path / "seen").touch()
        process.until_text("FINISHED")
        assert "in flight" in process.text
        process.press("q")
        assert process.exit_code() == 0
