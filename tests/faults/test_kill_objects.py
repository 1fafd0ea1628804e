"""Kill -9 while results go into object storage: what counts is what the catalog says, and nothing else is left."""

from __future__ import annotations

import os
import random

import kill_points
import kill_target
import pytest
from kill_victim import FRESH, RUN, Victim, rewind

KILLS = int(os.environ.get("OBJECT_KILLS", "60"))


@pytest.fixture
def victim(tmp_path, bucket):
    return Victim(tmp_path / "checkpoint", kill_target.expected(), results_url=f"{bucket}/killed")


def test_a_first_run_survives_a_kill_at_every_point_of_taking_its_place(victim):
    for point in kill_points.OBJECTS_BEGINNING:
        victim.kill_at(point, *RUN)
    victim.finish()


def test_a_run_survives_a_kill_at_every_point_of_a_commit(victim):
    for call, point in enumerate(kill_points.OBJECTS, 1):
        victim.kill_at(point, *RUN, call=call)
    victim.finish()


def test_going_back_survives_a_kill_at_every_point(victim):
    victim.run(*RUN)
    for point, batch_id in zip(kill_points.OBJECTS_REWINDING, (80, 40), strict=True):
        victim.kill_at(point, *rewind(batch_id))
    victim.kill_at("objects deleted", *FRESH)
    victim.finish()


@pytest.mark.long
def test_many_kills_at_points_and_random_moments(victim):
    chance = random.Random(11)
    points = [*kill_points.OBJECTS, "before the commit", "after the commit, before the renames", "after the mirror"]
    kills = 0
    while kills < KILLS:
        found = (
            victim.kill_after(chance.uniform(0, 1), *RUN)
            if chance.random() < 0.5
            else victim.kill_at(chance.choice(points), *RUN)
        )
        kills += found is not None
        committed = kill_target.BATCHES if found is None else found.next_batch_id
        if committed > kill_target.BATCHES // 2:
            victim.run(*rewind(chance.randrange(committed - 1)))
    victim.finish()
