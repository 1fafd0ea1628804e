from pathlib import Path

from engine import Frontier
from engine.checkpoint.store import CheckpointStore


def frontier():
    return Frontier.load("cp/frontier.json").last_completed_batch_id


def test_rewind_says_what_goes_and_wants_a_yes(command, tens):
    command("run", tens)
    answer = command("rewind", "0", tens)
    assert answer.code == 2
    assert answer.err.splitlines() == [
        f"going back to batch 0 drops 2 batches, 20 source rows, 20 result rows in {Path.cwd()}/cp",
        "error: this needs a confirmation, and there is no terminal to ask on",
        "hint: Add --yes to confirm it.",
    ]
    assert frontier() == 2


def test_rewind_moves_the_frontier_back_and_a_run_goes_on_from_there(command, tens):
    command("run", tens)
    answer = command("rewind", "0", "--checkpoint-dir", "cp", "--yes")
    assert answer.code == 0
    assert "2 batches dropped. Frontier: batch 0; 10 rows done." in answer.err
    assert frontier() == 0
    assert command("run", tens).err.startswith("resuming at batch 1: 10 rows done, 20 to go")


def test_rewind_beyond_the_frontier_is_refused(command, tens):
    command("run", tens)
    answer = command("rewind", "9", tens, "--yes")
    assert answer.code == 2
    assert "there is no batch 9 to go back to: the frontier is at batch 2" in answer.err


def test_rewind_to_the_frontier_itself_drops_nothing(command, tens):
    command("run", tens)
    answer = command("rewind", "2", tens)
    assert (answer.code, answer.err) == (0, f"nothing to drop in {Path.cwd()}/cp\n")


def test_reset_says_what_goes_and_keeps_the_history(command, tens):
    command("run", tens)
    assert command("reset", tens).code == 2
    answer = command("reset", tens, "--yes")
    assert answer.err.splitlines() == [
        f"starting over drops 3 batches, 30 source rows, 30 result rows in {Path.cwd()}/cp",
        "3 batches dropped. Frontier: at the very start; no rows done.",
    ]
    assert len(command("history", tens).out.splitlines()) == 2


def test_reset_of_nothing_asks_nothing(command, tens):
    answer = command("reset", tens)
    assert (answer.code, answer.err) == (0, f"nothing to drop in {Path.cwd()}/cp\n")


def test_nothing_is_moved_while_a_run_goes_on(command, tens, workplace):
    command("run", tens)
    with CheckpointStore(workplace / "cp"):
        assert command("reset", tens, "--yes").code == 3
        assert command("rewind", "0", tens, "--yes").code == 3
    assert frontier() == 2
