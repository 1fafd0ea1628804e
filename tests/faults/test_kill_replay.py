"""Kill -9 while rows go into quarantine, come out of it, and are exported: each row is in exactly one place."""

from __future__ import annotations

import os
import random
import shutil

import kill_points
import kill_replay_target
import kill_target
import polars as pl
import pytest
from kill_replay_victim import FRESH, REPLAY, RUN, ReplayVictim, check, rewind

SEEDS = int(os.environ.get("KILL_SEEDS", "30"))
KILLS_A_SEED = 10
OLD = b"what was there before"
IN_PLACE = {"export in place, folder not fsynced", "exported", "quarantine exported, folder not fsynced"}
IN_PLACE |= {"quarantine exported"}


@pytest.fixture(scope="module")
def incomplete(tmp_path_factory):
    """A finished run with rows in quarantine."""
    victim = ReplayVictim(tmp_path_factory.mktemp("incomplete") / "checkpoint")
    victim.run(*RUN)
    assert check(victim.folder).quarantined == bad_rows(0).height
    return victim.folder


@pytest.fixture
def victim(tmp_path):
    return ReplayVictim(tmp_path / "checkpoint")


@pytest.fixture
def replaying(incomplete, tmp_path):
    victim = ReplayVictim(shutil.copytree(incomplete, tmp_path / "checkpoint"))
    victim.mended = 1
    return victim


def bad_rows(mended):
    return kill_replay_target.expected().filter(kill_replay_target.is_bad(mended))


def test_a_run_survives_a_kill_at_every_point_of_taking_rows_out(victim):
    for point in kill_points.QUARANTINE:
        victim.kill_at(point, *RUN)
    victim.run(*RUN)
    assert check(victim.folder).quarantined == bad_rows(0).height
    victim.finish()


def test_opening_and_rewinding_survive_a_kill_while_they_sweep_the_quarantine(victim):
    (sweeping,) = kill_points.SWEEPING
    victim.kill_at("quarantine files written, their part not", *RUN, call=2)
    victim.kill_at(sweeping, *RUN)
    victim.run(*RUN)
    assert victim.kill_at(sweeping, *rewind(10), call=3).next_batch_id == 11
    victim.finish()


def test_a_replay_survives_a_kill_at_every_point(replaying):
    before = check(replaying.folder)
    for point in kill_points.REPLAY:
        after = replaying.kill_at(point, *REPLAY)
        assert after.next_batch_id == before.next_batch_id, "a replay doesn't move the frontier"
        assert set().union(*after.in_quarantine) >= set(bad_rows(1)["id"]), "a row got through that fails"
    replaying.run(*REPLAY)
    assert check(replaying.folder).quarantined == bad_rows(1).height
    replaying.finish()


def test_a_replay_of_rows_that_the_source_could_not_read_survives_a_kill_at_every_point(tmp_path):
    victim = ReplayVictim(tmp_path / "checkpoint", unreadable=True)
    victim.run(*RUN)
    expected = kill_replay_target.expected(unreadable=True)

    def waiting(mended):
        refused = kill_replay_target.is_unreadable(mended) | kill_replay_target.is_bad(mended)
        return set(expected.filter(refused)["id"])

    assert set().union(*check(victim.folder, expected).in_quarantine) == waiting(0)
    victim.mended = 1
    for point in kill_points.REPLAY:
        assert set().union(*victim.kill_at(point, *REPLAY).in_quarantine) >= waiting(1)
    victim.run(*REPLAY)
    assert set().union(*check(victim.folder, expected).in_quarantine) == waiting(1)
    victim.finish()


def test_a_replay_survives_kills_at_random_moments(incomplete, tmp_path):
    kill_at_random(incomplete, tmp_path, random.Random(1972), kills=3)


@pytest.mark.parametrize("export", ["results", "quarantine"])
def test_an_export_that_is_killed_is_there_whole_or_not_at_all(incomplete, tmp_path, export):
    export_killed(incomplete, tmp_path, export, ".parquet")


def export_killed(folder, tmp_path, export, suffix):
    victim, file = ReplayVictim(folder), tmp_path / f"out{suffix}"
    points = kill_points.EXPORT if export == "results" else kill_points.EXPORT_QUARANTINE
    for number, point in enumerate(points):
        file.unlink(missing_ok=True)
        if number % 2:
            file.write_bytes(OLD)
        victim.kill_at(point, export, "export", str(file))
        if point in IN_PLACE:
            assert_exported(export, file)
        else:
            assert (file.read_bytes() if file.exists() else None) == (OLD if number % 2 else None)
    victim.run(export, "export", str(file))
    assert_exported(export, file)


def assert_exported(export, file):
    frame = pl.read_parquet(file) if file.suffix == ".parquet" else pl.read_csv(file)
    bad = bad_rows(0)
    if export == "quarantine":
        assert frame.select(pl.col("row").str.json_path_match("$.id").cast(pl.Int64))["row"].equals(bad["id"])
    else:
        good = kill_replay_target.expected().join(bad, on="id", how="anti", maintain_order="left")
        assert frame["id"].equals(good["id"])
        assert frame["total"].equals(good["total"])


def kill_at_random(incomplete, tmp_path, chance, kills):
    """Kill replays; when one gets through, start over from a copy or go back and run again."""
    victim, done, copies = None, 0, 0
    while done < kills:
        if victim is None:
            copies += 1
            victim = ReplayVictim(shutil.copytree(incomplete, tmp_path / f"checkpoint {copies}"), seconds=0.01)
        victim.mended = chance.choice([victim.mended, 1, 2])
        command = chance.choice([REPLAY, REPLAY, RUN])
        if victim.kill_after(chance.uniform(0, 0.7), *command) is not None:
            done += 1
        elif check(victim.folder).quarantined == 0:
            victim.finish()
            victim = None
        else:
            victim.run(*rewind(chance.randrange(kill_replay_target.BATCHES)))
    if victim is not None:
        victim.finish()


# --- the long form ------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("call", [1, 2, 4])
@pytest.mark.parametrize("point", kill_points.QUARANTINE)
def test_a_run_dies_and_dies_again_while_it_takes_rows_out(victim, point, call):
    victim.kill_at(point, *RUN, call=call)
    victim.kill_at(point, *RUN)
    victim.finish()


@pytest.mark.long
@pytest.mark.parametrize("call", [1, 3, 6])
@pytest.mark.parametrize("point", kill_points.REPLAY)
def test_a_replay_dies_and_dies_again(replaying, point, call):
    once = point in {"replay begun", "before a replay's end is recorded"}
    replaying.kill_at(point, *REPLAY, call=1 if once else call)
    replaying.kill_at(point, *REPLAY)
    replaying.finish()


@pytest.mark.long
@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("point", [*kill_points.RECOVERY, *kill_points.SWEEPING])
def test_an_opening_dies_over_a_replay_that_died(replaying, point, call):
    """What there is to mend: a part that waits for its name, or files of nobody's."""
    left = {"before a temporary part is deleted": "before a replay's transaction"}
    left |= dict.fromkeys(kill_points.SWEEPING, "replayed part renamed, before the sweep")
    replaying.kill_at(left.get(point, "replay committed, before the rename"), *REPLAY, call=call)
    replaying.kill_at(point, *REPLAY)
    replaying.finish()


@pytest.mark.long
@pytest.mark.parametrize("batch_id", [-1, 3, 20])
@pytest.mark.parametrize("point", kill_points.REWINDING)
def test_a_rewind_over_a_quarantine_dies(incomplete, tmp_path, point, batch_id):
    victim = ReplayVictim(shutil.copytree(incomplete, tmp_path / "checkpoint"))
    command = FRESH if batch_id < 0 else rewind(batch_id)
    found = victim.kill_at(point, *command, call=2 if point.startswith("half") else 1)
    assert found.next_batch_id in {batch_id + 1, kill_replay_target.BATCHES}
    victim.finish()


@pytest.mark.long
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("export", ["results", "quarantine"])
def test_an_export_of_each_kind_that_is_killed_is_there_whole_or_not_at_all(incomplete, tmp_path, export, suffix):
    export_killed(incomplete, tmp_path, export, suffix)


@pytest.mark.long
@pytest.mark.parametrize("half_milliseconds", range(1, 41))
def test_a_killed_export_into_a_new_database_is_there_whole_or_not_at_all(incomplete, tmp_path, half_milliseconds):
    victim, file = ReplayVictim(incomplete), tmp_path / "out.duckdb"
    (point,) = kill_points.EXPORT_TABLE
    victim.kill_at(point, "results", "export", str(file), call=half_milliseconds)
    assert not file.exists()  # it gets its name behind the moment at which the process died
    victim.run("results", "export", str(file))
    assert file.exists()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS))
def test_replays_die_at_random_moments(incomplete, tmp_path, seed):
    kill_at_random(incomplete, tmp_path, random.Random(seed), KILLS_A_SEED)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEEDS))
def test_runs_that_take_rows_out_die_at_random_moments(tmp_path, seed):
    chance, kills, lives = random.Random(1_000 + seed), 0, 0
    victim = ReplayVictim(tmp_path / "checkpoint", seconds=0.015)
    while kills < KILLS_A_SEED:
        if victim.kill_after(chance.uniform(0, 0.6), *RUN) is not None:
            kills += 1
            continue
        assert check(victim.folder).next_batch_id == kill_replay_target.ROWS // kill_target.BATCH_SIZE
        victim.finish()
        lives += 1
        victim = ReplayVictim(tmp_path / f"checkpoint {lives}", seconds=0.015)
    victim.finish()
