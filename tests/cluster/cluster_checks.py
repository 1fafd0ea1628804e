"""Actions on a cluster, and checks of the results afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import cluster_target
from polars.testing import assert_frame_equal

from engine.checkpoint.location import located
from engine.events import BatchCommitted
from engine.storage import files

DEATHS = int(os.environ.get("CLUSTER_DEATHS", "20"))
"""How many trials of each kind the long form of the tests makes."""


class Listened(list):
    def __call__(self, event):
        self.append(event)

    def of(self, kind):
        return [event for event in self if isinstance(event, kind)]


def finished(run, *, total=False):
    """Check that the results are those of an undisturbed run, and that nothing else is left."""
    assert_frame_equal(run.collect_results(), cluster_target.expected(total=total))
    names = sorted(files.names_in(located(run.checkpoint_dir).results))
    assert names == [f"part-{batch_id:012d}.parquet" for batch_id in range(40)]


def lose_a_node(cluster, tmp_path, executor, *, total):
    """Add a node, and kill it after the first batches have returned."""
    node = cluster.add_node(num_cpus=2, node_ip_address="127.0.0.1")
    log = Listened()
    run = cluster_target.pipeline(tmp_path, executor, seconds=0.05, total=total, listeners=[log])
    gone = threading.Event()

    def watch(event):
        if isinstance(event, BatchCommitted) and event.batch_id >= 5 and not gone.is_set():
            gone.set()
            threading.Thread(target=lambda: cluster.remove_node(node, allow_graceful=False)).start()

    run.add_listener(watch)
    run.run()
    assert gone.is_set()
    finished(run, total=total)


def kill_the_driver(tmp_path, address, seconds, *, total):
    """Run the pipeline in a separate process and kill it; return whether it was still running."""
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import cluster_target; from engine import RayExecutor\n"
        "run = cluster_target.pipeline(pathlib.Path(sys.argv[2]), RayExecutor(sys.argv[3]), seconds=0.02, "
        "total=sys.argv[4] == 'True')\n"
        "run.add_listener(lambda event: print(type(event).__name__, flush=True)); run.run()"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code, str(Path(cluster_target.__file__).parent), str(tmp_path), address, str(total)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with driver:
        for line in driver.stdout:
            if line.strip() == "BatchCommitted":
                break
        try:
            driver.wait(seconds)
        except subprocess.TimeoutExpired:
            driver.kill()
            return True
    return False
