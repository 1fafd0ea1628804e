"""CSV files with planted faults, read by a run that is killed again and again: no row is lost, doubled or misnamed.

`PLANTED_FILES`, `PLANTED_ROWS`, `PLANTED_FAULTS` and `PLANTED_KILLS` choose the size of the long form.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import planted
import planted_target
import polars as pl
import pytest
from kill_count import KILLS
from warm_process import WarmProcess

LAUNCHER = Path(__file__).parent / "kill_launcher.py"
TARGET = Path(__file__).parent / "planted_target.py"


class PlantedRun:
    """Runs of the real command over the planted files, in child processes."""

    def __init__(self, place, *, files, rows, faults, batch_size, monkeypatch):
        self.folder, self.checkpoint = place / "orders", place / "checkpoint"
        self.folder.mkdir()
        self.rows = files * rows
        self.faults = planted.plant(self.folder, files=files, rows=rows, faults=faults, seed=faults)
        monkeypatch.setenv("PLANTED_FOLDER", str(self.folder))
        monkeypatch.setenv("PLANTED_BATCH_SIZE", str(batch_size))

    def start(self, *options):
        command = ("run", TARGET, "--checkpoint-dir", self.checkpoint, *options)
        child = WarmProcess(LAUNCHER, "nowhere", 1, *command, environment=os.environ)
        child.stdout.readline()
        return child

    def run(self):
        """Run to the end; return the seconds that it took."""
        began = time.perf_counter()
        code, talk = self.start().communicate()
        assert code == 0, talk
        return time.perf_counter() - began

    def kill(self, seconds):
        """Run, and kill it after so many seconds; return whether it was still running."""
        child = self.start()
        time.sleep(seconds)
        child.kill()
        code, talk = child.communicate()
        KILLS["at random"] += code == -signal.SIGKILL
        assert code in {-signal.SIGKILL, 0}, talk
        return code == -signal.SIGKILL

    def check_ids(self, missing):
        ids = pl.scan_parquet(self.checkpoint / "results" / "*.parquet").select("id").collect()["id"]
        expected = pl.int_range(self.rows, eager=True).rename("id")
        assert ids.equals(expected.filter(~expected.is_in(missing)))

    def check(self):
        """The results are the good rows in order, and the quarantine names each of the others by file and line."""
        self.check_ids([fault.row for fault in self.faults])
        quarantined = planted_target.pipeline(self.checkpoint).quarantine.rows(None)
        assert [(row.source_row, Path(row.origin.file), row.origin.line) for row in quarantined] == [
            (fault.row, fault.file, fault.line) for fault in self.faults
        ]

    def mend_and_replay(self, place):
        """Correct the exported texts and replay them; each row is in its place then."""
        exported, mended = place / "quarantine.csv", place / "mended.csv"
        pipeline = planted_target.pipeline(self.checkpoint)
        pipeline.quarantine.export(exported)
        texts = {fault.row: fault.mended for fault in self.faults}
        pl.read_csv(exported).with_columns(
            text=pl.col("source_row").replace_strict(texts, return_dtype=pl.String)
        ).write_csv(mended)
        done = pipeline.quarantine.replay(mended=mended)
        assert (done.rows, done.still) == (len(self.faults), 0)
        self.check_ids([])


def test_every_good_row_is_in_the_results_once_and_every_other_one_is_named(tmp_path, monkeypatch):
    run = PlantedRun(tmp_path, files=4, rows=5_000, faults=24, batch_size=500, monkeypatch=monkeypatch)
    chance = random.Random(1)
    for _ in range(3):
        run.kill(chance.uniform(0, 0.4))
    run.run()
    run.check()
    run.mend_and_replay(tmp_path)


@pytest.mark.long
def test_a_gigabyte_with_planted_faults_that_is_killed_again_and_again(tmp_path, monkeypatch, capsys):
    files, rows = int(os.environ.get("PLANTED_FILES", "50")), int(os.environ.get("PLANTED_ROWS", "560000"))
    faults, kills = int(os.environ.get("PLANTED_FAULTS", "200")), int(os.environ.get("PLANTED_KILLS", "20"))
    (tmp_path / "clean").mkdir()
    clean = PlantedRun(tmp_path / "clean", files=files, rows=rows, faults=0, batch_size=50_000, monkeypatch=monkeypatch)
    seconds = []
    for _ in range(2):  # the first one warms the cache of the files up
        began = time.perf_counter()
        code, talk = clean.start("--fresh", "--yes").communicate()
        assert code == 0, talk
        seconds.append(time.perf_counter() - began)
    run = PlantedRun(tmp_path, files=files, rows=rows, faults=faults, batch_size=50_000, monkeypatch=monkeypatch)
    whole = run.run()
    run.check()
    planted_target.pipeline(run.checkpoint).reset_frontier()
    chance = random.Random(2)
    killed = 0
    while killed < kills:
        killed += run.kill(chance.uniform(0, 2 * whole / kills))
    run.run()
    run.check()
    run.mend_and_replay(tmp_path)
    size = sum(file.stat().st_size for file in run.folder.iterdir())
    with capsys.disabled():
        print(f"\n{size / 1e9:.2f} GB: clean {seconds[1]:.1f} s, with {faults} faults {whole:.1f} s")  # noqa: T201
