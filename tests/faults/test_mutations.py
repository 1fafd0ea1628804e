"""Does the suite notice? The protocol is broken on purpose, and the checks that should see it must fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kill_replay_victim import REPLAY, ReplayVictim
from kill_victim import RUN
from mutations import MUTATIONS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

KILLED = "tests/engine/test_kills.py::test_killed_anywhere_in_a_first_run[one batch a commit]"
COMMIT_KILLED = "tests/faults/test_kill.py::test_a_run_survives_a_kill_at_every_point_of_a_commit"
STORE = "tests/engine/checkpoint/test_store.py::"
ORDER = "tests/faults/test_order.py::"
ANNOUNCED = "tests/faults/test_announcements.py::"

NOTICED = {
    "the_frontier_stays": [KILLED, STORE + "test_what_was_committed_is_there_again"],
    "announced_before_the_commit": [
        ANNOUNCED + "test_a_batch_is_announced_when_it_is_committed_and_named_and_in_the_mirror",
        ANNOUNCED + "test_nothing_is_announced_of_a_commit_that_failed",
    ],
    "renamed_before_the_commit": [
        ORDER + "test_a_part_gets_its_final_name_only_after_its_commit_and_durably",
        STORE + "test_the_protocol_is_part_then_catalog_then_name_then_mirror",
    ],
    "two_transactions": [KILLED],
    "any_schema": [
        "tests/engine/worker/test_work.py::test_other_columns_than_the_pinned_ones_are_refused",
        "tests/engine/checkpoint/parts/test_schema.py::test_what_casts_without_loss_is_cast",
    ],
}
"""The checks that must fail, by mutation."""

NOTICED_LATE = {
    "the_frontier_stays": [COMMIT_KILLED, "tests/faults/test_lives.py", "tests/faults/test_every_write.py"],
    "renamed_before_the_commit": [
        COMMIT_KILLED,
        "tests/faults/test_kill_replay.py",
        "tests/faults/test_every_write.py",
    ],
    "two_transactions": [
        COMMIT_KILLED,
        "tests/faults/test_lives.py",
        "tests/faults/test_kill_replay.py::test_a_replay_survives_a_kill_at_every_point",
    ],
}
"""Files of the suite that must have a failure too; they take longer."""


SHOWN = {
    "the_frontier_stays": ("after the commit, before the renames", "the batches don't lead up to the frontier"),
    "renamed_before_the_commit": ("before the commit", "is not committed and yet among the results"),
    "two_transactions": ("in the transaction, batches added", "the batches don't lead up to the frontier"),
}
"""Where a process must die for `kill_checks` to see it, and what it says then."""


def broken(mutation):
    """Return the environment in which the engine is broken so; whole for an empty name."""
    path = os.pathsep.join([str(HERE / "mutated"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {"ENGINE_MUTATION": mutation, "PYTHONPATH": path}


def outcome(tmp_path, mutation, checks, *options):
    """Run checks of the suite in an engine that is broken so; return how many passed and failed, and the output."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-n",
            "0",
            f"--basetemp={tmp_path / 'base'}",
            *options,
            *checks,
        ],
        cwd=ROOT,
        env=os.environ | broken(mutation),
        capture_output=True,
        text=True,
        check=False,
    )
    counted = {what: int(number) for number, what in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    assert "error" not in counted, done.stdout
    return counted.get("passed", 0), counted.get("failed", 0), done.stdout + done.stderr


def test_each_mutation_has_its_checks():
    assert NOTICED.keys() == MUTATIONS.keys()
    checks = [check for checks in [*NOTICED.values(), *NOTICED_LATE.values()] for check in checks]
    assert [check for check in checks if not (ROOT / check.partition("::")[0]).exists()] == []


def test_the_checks_pass_in_an_engine_that_is_whole(tmp_path):
    checks = list(dict.fromkeys(check for checks in NOTICED.values() for check in checks))
    passed, failed, talk = outcome(tmp_path, "", checks)
    assert passed >= len(checks), talk
    assert failed == 0, talk


@pytest.mark.parametrize("mutation", NOTICED)
def test_the_suite_turns_red_when_the_protocol_is_broken(tmp_path, mutation):
    passed, failed, talk = outcome(tmp_path, mutation, NOTICED[mutation])
    assert failed >= len(NOTICED[mutation]), talk
    assert passed == 0, talk


@pytest.mark.parametrize("mutation", SHOWN)
def test_what_a_kill_leaves_shows_it(victim, mutation):
    point, said = SHOWN[mutation]
    victim.kill_at(point, *RUN)
    victim._environment |= broken(mutation)
    with pytest.raises(AssertionError, match=said):
        victim.kill_at(point, *RUN)


def test_what_a_kill_in_a_replay_leaves_shows_two_transactions(tmp_path):
    victim = ReplayVictim(tmp_path / "checkpoint")
    victim.run("run")
    victim.mended = 1
    point = "in a replay's transaction"
    victim.kill_at(point, *REPLAY)
    victim._environment |= broken("two_transactions")
    with pytest.raises(AssertionError, match="the batches don't lead up to the frontier"):
        victim.kill_at(point, *REPLAY)


@pytest.mark.long
@pytest.mark.parametrize(
    ("mutation", "check"), [(name, one) for name, checks in NOTICED_LATE.items() for one in checks]
)
def test_other_parts_of_the_suite_turn_red_too(tmp_path, mutation, check):
    _, failed, talk = outcome(tmp_path, mutation, [check], "-x")
    assert failed == 1, talk
