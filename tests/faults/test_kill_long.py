"""The long form: each point early and late in a run, killed again on the way back, and many random moments.

`pytest tests/faults -m "long or not long"` runs it with the short form, more than 200 kills, and counts them.
"""

from __future__ import annotations

import random

import kill_points
import pytest
from kill_victim import RUN, Victim

pytestmark = pytest.mark.long


@pytest.mark.parametrize("call", [1, 2, 4])
@pytest.mark.parametrize("point", [*kill_points.RUN, *kill_points.COMPACTION])
def test_a_run_that_dies_and_dies_again_at_the_same_point(victim, point, call):
    victim.kill_at(point, *RUN, call=call)
    victim.kill_at(point, *RUN)
    victim.finish()


@pytest.mark.parametrize("half_milliseconds", range(1, 31))
def test_a_run_that_dies_inside_duckdbs_checkpoint(victim, half_milliseconds):
    victim.kill_at("while the log is folded into the catalog", *RUN, call=half_milliseconds)
    victim.kill_at("while the log is folded into the catalog", *RUN, call=31 - half_milliseconds)
    victim.finish()


@pytest.mark.parametrize("seed", range(10))
def test_a_run_that_dies_at_random_moments(tmp_path, expected, seed):
    whole = Victim(tmp_path / "whole", expected, fetch_seconds=0.02).run(*RUN)
    victim = Victim(tmp_path / "checkpoint", expected, fetch_seconds=0.02)
    chance = random.Random(seed)
    kills = 0
    while kills < 10:
        # Uniform over a whole run; a kill that comes too late has found a finished checkpoint, and begins another.
        if victim.kill_after(chance.uniform(0, whole), *RUN):
            kills += 1
        else:
            victim.finish()
            victim = Victim(tmp_path / f"checkpoint {kills}", expected, fetch_seconds=0.02)
    victim.finish()
