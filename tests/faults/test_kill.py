"""Kill -9 at every named point of the protocol once, and at a few random moments: nothing lost, nothing twice."""

from __future__ import annotations

import random
import shutil

import kill_points
import kill_target
import pytest
from kill_victim import FRESH, RESET, RUN, Victim, rewind

RANDOM_KILLS = 10


def test_an_uninterrupted_run_gives_what_polars_gives(finished):
    assert (finished / "checkpoint.duckdb").exists()


def test_a_run_survives_a_kill_at_every_point_of_a_commit(victim):
    for point in kill_points.RUN:
        victim.kill_at(point, *RUN)
    victim.finish()


def test_a_run_survives_a_kill_at_every_point_of_a_compaction(victim):
    for point in kill_points.COMPACTION:
        victim.kill_at(point, *RUN)
    victim.finish()


@pytest.mark.parametrize("half_milliseconds", [1, 10])
def test_a_run_survives_a_kill_while_duckdb_folds_its_log(victim, half_milliseconds):
    victim.kill_at("while the log is folded into the catalog", *RUN, call=half_milliseconds)
    victim.finish()


def test_a_first_run_survives_a_kill_at_every_point_of_its_beginning(victim):
    for point in kill_points.BEGINNING:
        found = victim.kill_at(point, *RUN)
        assert found.next_batch_id == 0
        if point != list(kill_points.BEGINNING)[-1]:
            shutil.rmtree(victim.folder)
    victim.finish()


def test_a_run_survives_a_kill_at_every_point_of_its_end(victim):
    for point in kill_points.END:
        victim.kill_at(point, *RUN)
    victim.finish()


def test_opening_survives_a_kill_at_every_point_of_its_mending(victim):
    for point in kill_points.RECOVERY:
        left = victim.kill_at("after the commit, before the renames", *RUN)
        assert left.published < left.next_batch_id
        victim.kill_at(point, *RUN)
    victim.finish()


def test_opening_survives_a_kill_at_every_point_of_putting_the_copy_back(victim):
    for point in kill_points.RESTORING:
        victim.kill_at("log folded into the catalog", *RUN)
        victim.kill_at(point, *RUN)
    victim.finish()


def test_a_rewind_survives_a_kill_at_every_point(tmp_path, expected, finished):
    for point in kill_points.REWINDING:
        victim = Victim(shutil.copytree(finished, tmp_path / point), expected)
        found = victim.kill_at(point, *rewind(70), call=25 if point.startswith("half") else 1)
        assert found.next_batch_id in {71, kill_target.BATCHES}
    victim.finish()


@pytest.mark.parametrize("command", [RESET, FRESH], ids=["reset", "fresh run"])
def test_starting_over_survives_a_kill(tmp_path, expected, finished, command):
    victim = Victim(shutil.copytree(finished, tmp_path / "checkpoint"), expected)
    assert victim.kill_at("in the rewind's transaction", *command).next_batch_id == kill_target.BATCHES
    assert victim.kill_at("half of the parts deleted", *command, call=25).next_batch_id == 0
    victim.finish()


def test_a_run_survives_kills_at_random_moments(tmp_path, expected):
    whole = Victim(tmp_path / "whole", expected, fetch_seconds=0.02).run(*RUN)
    chance = random.Random(2013)
    victim = Victim(tmp_path / "checkpoint", expected, fetch_seconds=0.02)
    for _ in range(RANDOM_KILLS):
        victim.kill_after(chance.uniform(0, whole / 3), *RUN)
    victim.finish()
