"""Kill -9 while results go into a database: in the end its table has each row once, whatever was in flight."""

from __future__ import annotations

import os
import random
import sqlite3

import duckdb
import kill_points
import kill_target
import polars as pl
import pytest
from kill_victim import RESET, RUN, Victim, rewind
from polars.testing import assert_frame_equal

QUICK_KILLS = 4
LONG_KILLS = int(os.environ.get("SINK_KILLS", "60"))
COLUMNS = "id, value, text, feature, total"


class Target:
    """A database that results go to, and the way to read it without the engine."""

    def __init__(self, place, rows):
        self.place = place
        self.rows = rows


@pytest.fixture(params=[pytest.param("postgresql", marks=pytest.mark.needs("postgres")), "sqlite", "duckdb"])
def target(request, tmp_path):
    if request.param == "postgresql":
        url = request.getfixturevalue("database")
        return Target(url, lambda: _postgres_rows(url))
    path = str(tmp_path / f"target.{request.param}")
    if request.param == "sqlite":
        return Target(f"sqlite:///{path}", lambda: sqlite3.connect(path).execute(f"SELECT {COLUMNS} FROM target"))
    return Target(path, lambda: duckdb.connect(path).execute(f"SELECT {COLUMNS} FROM target"))


def _postgres_rows(url):
    import psycopg
    import sqlalchemy as sa

    parsed = sa.make_url(url)
    with psycopg.connect(
        host=parsed.host, port=parsed.port, user=parsed.username, password=parsed.password, dbname=parsed.database
    ) as connection:
        return connection.execute(f"SELECT {COLUMNS} FROM target")


def check(target, expected):
    rows = pl.DataFrame(target.rows().fetchall(), schema=expected.schema, orient="row")
    assert_frame_equal(rows.sort("id"), expected)


def test_a_target_survives_kills_at_random_moments(tmp_path, expected, target):
    survive(tmp_path, expected, target, QUICK_KILLS)


@pytest.mark.long
def test_a_target_survives_many_kills(tmp_path, expected, target):
    survive(tmp_path, expected, target, LONG_KILLS)


def survive(tmp_path, expected, target, kills):
    """Kill runs until there were so many kills, starting over or going back now and then when one gets through."""
    chance = random.Random(1969)
    victim = Victim(tmp_path / "checkpoint", expected, fetch_seconds=0.01, sink=target.place)
    done = 0
    while done < kills:
        if victim.kill_after(chance.uniform(0, 0.8), *RUN) is not None:
            done += 1
            continue
        check(target, expected)
        back = RESET if chance.random() < 0.5 else rewind(chance.randrange(kill_target.BATCHES))
        victim.run(*back)
    victim.finish()
    check(target, expected)


def test_a_target_survives_a_kill_at_every_point_of_a_delivery(tmp_path, expected, target):
    victim = Victim(tmp_path / "checkpoint", expected, sink=target.place)
    for point in kill_points.DELIVERY:
        for call in (1, 2):
            victim.kill_at(point, *RUN, call=call)
    victim.finish()
    check(target, expected)
