"""One checkpoint, on which the real command is run and killed again and again, in child processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import kill_checks
import kill_target
import polars as pl
from kill_count import KILLS
from warm_process import WarmProcess

if TYPE_CHECKING:
    from kill_checks import Found

_HERE = Path(__file__).parent


class Victim:
    """A checkpoint folder on which commands are run and killed. After each kill the promises are checked."""

    def __init__(
        self,
        folder: Path,
        expected: pl.DataFrame,
        *,
        fetch_seconds: float = 0.0,
        sink: str = "",
        results_url: str = "",
    ) -> None:
        self.folder = folder
        self._expected = expected
        self._environment = os.environ | {
            "KILL_TARGET_FETCH_SECONDS": str(fetch_seconds),
            "KILL_TARGET_SINK": sink,
            "KILL_TARGET_RESULTS_URL": results_url,
        }
        self._rewinding = False

    def kill_at(self, point: str, *command: str, call: int = 1) -> Found:
        """Run the command, which must die when it reaches the point for the n-th time; return what was found."""
        child = self._start(point, call, command)
        code, talk = child.communicate()
        assert code == -signal.SIGKILL, f"'{point}' was not reached {call} times\n{talk}"
        return self._killed(point)

    def kill_after(self, seconds: float, *command: str) -> Found | None:
        """Run the command and kill it `seconds` after its start; return None if it had already ended."""
        child = self._start("nowhere", 1, command)
        child.stdout.readline()
        time.sleep(seconds)
        child.kill()
        code, talk = child.communicate()
        if code != -signal.SIGKILL:
            assert code == 0, talk
            return None
        return self._killed("at random")

    def run(self, *command: str) -> float:
        """Run the command to its end; it must succeed. Return how many seconds it took after its start."""
        child = self._start("nowhere", 1, command)
        child.stdout.readline()
        began = time.perf_counter()
        code, talk = child.communicate()
        assert code == 0, talk
        self._rewinding = False
        return time.perf_counter() - began

    def finish(self) -> None:
        """Resume to the end; the results must be those of an uninterrupted run."""
        self.run(*RUN)
        with kill_checks.at_hand(self.folder) as folder:
            found = kill_checks.check(folder, self._expected)
            assert found == kill_checks.Found(kill_target.BATCHES, kill_target.BATCHES)
            parts = sorted((folder / "results").iterdir())
            assert len(parts) == kill_target.BATCHES, f"something is left behind: {parts}"
            assert pl.concat(pl.read_parquet(part) for part in parts).equals(self._expected)

    def _killed(self, point: str) -> Found:
        KILLS[point] += 1
        with kill_checks.at_hand(self.folder) as folder:
            return kill_checks.check(folder, self._expected, rewinding=self._rewinding)

    def _start(self, point: str, call: int, command: tuple[str, ...]) -> WarmProcess:
        self._rewinding |= command != RUN
        words = (point, call, *command, "--checkpoint-dir", self.folder)
        return WarmProcess(_HERE / "kill_launcher.py", *words, environment=self._environment)


RUN = ("run", str(_HERE / "kill_target.py"))
FRESH = (*RUN, "--fresh", "--yes")
RESET = ("reset", "--yes")


def rewind(batch_id: int) -> tuple[str, ...]:
    return ("rewind", str(batch_id), "--yes")
