from pathlib import Path

import pytest

from engine.checkpoint.store import CheckpointStore


@pytest.fixture
def failed(command, failing):
    command("run", failing)
    return failing


def lines(answer):
    assert answer.code == 0, answer.err
    return answer.out.splitlines()


def test_status_shows_state_frontier_steps_results_and_the_last_failure(command, failed):
    shown = lines(command("status", failed))
    assert shown[1].startswith("source        ")
    shown.pop(1)
    assert shown[:7] == [
        "state         failed",
        f"checkpoint    {Path.cwd()}/cp",
        "frontier      batch 1; 20 rows done, 10 to go (66.6%)",
        "steps         drop: batch 1",
        "              small: batch 1",
        shown[5],
        shown[6],
    ]
    assert shown[5].startswith("results       2 parts, ")
    assert shown[5].endswith(", 20 rows")
    assert shown[6].startswith("last run      1: failed, began ")
    assert shown[7].startswith("last failure  run 1, batch 2: step 'small' failed at batch 2")


def test_status_needs_no_pipeline_when_the_folder_is_named(command, failed):
    shown = lines(command("status", "--checkpoint-dir", "cp"))
    assert "frontier      batch 1; 20 rows done" in shown
    assert "steps         drop: batch 1" in shown


def test_status_before_the_first_run_says_idle_and_makes_nothing(command, tens, workplace):
    assert lines(command("status", tens))[0] == "state         idle"
    assert not (workplace / "cp").exists()


def test_status_works_while_another_process_is_at_work_and_leaves_the_catalog_alone(command, failed, workplace):
    with CheckpointStore(workplace / "cp"):
        before = (workplace / "cp" / "checkpoint.duckdb").stat().st_atime_ns
        shown = lines(command("status", "--checkpoint-dir", "cp"))
        assert (workplace / "cp" / "checkpoint.duckdb").stat().st_atime_ns == before
    assert shown[0] == "state         running"
    assert shown[1].startswith("held by       process ")
    assert "frontier      batch 1; 20 rows done" in shown
    assert "              small: batch 1" in shown


def test_status_of_a_pipeline_whose_source_has_gone_still_tells_the_frontier(command, write, workplace):
    from engine.testing import numbers

    write(
        "numbers.py",
        """
        from engine import BatchPipeline, ParquetFetcher
        pipeline = BatchPipeline([], ParquetFetcher("n.parquet"), 10, "cp")
        """,
    )
    numbers(0, 30).write_parquet("n.parquet")
    command("run", "numbers.py")
    (workplace / "n.parquet").unlink()
    answer = command("status", "numbers.py")
    assert "frontier      batch 2; 30 rows done" in answer.out
    assert "the source can't be read" in answer.err


@pytest.mark.parametrize("error", ["OSError('gone')", "pl.exceptions.PanicException('unwrap')", "SystemExit(3)"])
@pytest.mark.parametrize("where", ["open", "size", "close", "identity"])
def test_status_of_a_source_that_raises_anything_shows_the_frontier(command, write, failed, where, error):
    write(
        "raising.py",
        f"""
        import polars as pl
        from engine import BatchPipeline
        from engine.testing import SeekableNumbers

        class Source(SeekableNumbers):
            def {where}(self, *arguments):
                raise {error}

        pipeline = BatchPipeline([], Source(30), 10, "cp")
        """,
    )
    answer = command("status", "raising.py")
    assert answer.code == 0
    assert "frontier      batch 1; 20 rows done" in answer.out
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("what", ["status", "history", "failures", "reset", "verify"])
def test_a_folder_without_a_checkpoint_is_told_and_left_alone(command, workplace, what):
    (workplace / "photos").mkdir()
    answer = command(what, "--checkpoint-dir", "photos")
    assert answer.code == 2
    assert f"there is no checkpoint in {workplace}/photos" in answer.err
    assert not list((workplace / "photos").iterdir())


@pytest.mark.parametrize("what", ["status", "history", "failures", "reset", "verify"])
def test_neither_target_nor_folder_is_a_usage_error(command, what):
    answer = command(what)
    assert answer.code == 2
    assert "which checkpoint?" in answer.err


def test_history_lists_the_newest_run_first(command, failed):
    command("run", failed)
    head, newest, oldest = lines(command("history", failed))
    assert head.split()[:4] == ["run", "began", "took", "outcome"]
    assert newest.split()[0] == "2"
    assert oldest.split()[0] == "1"
    assert "failed" in newest


def test_history_without_runs_says_so(command, tens):
    answer = command("history", tens)
    assert (answer.code, answer.out, answer.err) == (0, "", "no runs yet\n")


@pytest.mark.parametrize("words", [["history"], ["failures"], ["quarantine", "list"], ["verify"], ["status"]])
def test_every_look_is_answered_while_a_run_works(command, failed, workplace, words):
    with CheckpointStore(workplace / "cp"):
        answer = command(*words, failed)
    assert answer.code == 0, answer.err


def test_failures_name_batch_step_and_rows(command, failed):
    shown = lines(command("failures", failed))
    assert shown[0].startswith("run 1, batch 2, step small, ")
    assert shown[1] == "  step 'small' failed at batch 2 (rows 20 to 29): 5 rows break the check id < 25"
    assert shown[2] == "  row 25: id=25"
    assert "Traceback" not in "\n".join(shown)


def test_failures_in_full_show_the_traceback(command, failed):
    shown = lines(command("failures", failed, "--full"))
    assert "  | Traceback (most recent call last):" in shown
    assert shown[-1].startswith("  | engine.errors.CheckFailed: 5 rows break the check id < 25")


def test_no_failures_are_told(command, tens):
    command("run", tens)
    answer = command("failures", tens)
    assert (answer.code, answer.out, answer.err) == (0, "", "no failures\n")
