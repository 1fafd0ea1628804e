import json
import shutil
import textwrap
from pathlib import Path

import pytest

from engine import Frontier
from engine.checkpoint.store import CheckpointStore

pytestmark = pytest.mark.integration


def frontier():
    return Frontier.load("cp/frontier.json").last_completed_batch_id


def test_a_run_comes_to_the_end_and_says_so(command, tens):
    answer = command("run", tens)
    assert answer.code == 0
    assert answer.out == ""
    assert answer.err.startswith(f"starting at batch 0: 30 rows to go; the checkpoint is in {Path.cwd()}/cp\n")
    assert "finished: 30 rows in 3 batches" in answer.err


def test_a_finished_pipeline_has_nothing_to_do(command, tens):
    command("run", tens)
    answer = command("run", tens)
    assert (answer.code, answer.err) == (0, "nothing to do: finished, 30 rows\n")


def test_a_failure_names_the_rows_the_frontier_and_the_way_on(command, failing):
    answer = command("run", failing)
    assert answer.code == 1
    assert answer.err.splitlines()[-8:] == [
        "failed: step 'small' failed at batch 2 (rows 20 to 29): 5 rows break the check id < 25",
        "  row 25: id=25",
        "  row 26: id=26",
        "  row 27: id=27",
        "  and others",
        "frontier: batch 1; 20 rows done, 10 to go",
        "hint: Batches up to 1 are committed. Fix the step or the data and run again: it continues at batch 2.",
        f"traceback: batch-pipeline failures --full --checkpoint-dir {Path.cwd()}/cp",
    ]


def test_a_resume_says_where_it_goes_on(command, failing, write):
    command("run", failing)
    answer = command("run", failing)
    assert answer.err.startswith("resuming at batch 2: 20 rows done, 10 to go\n")


def test_a_changed_pipeline_is_refused_until_it_is_accepted(command, failing, tens_text, write):
    command("run", failing)
    write("tens.py", tens_text)
    refused = command("run", failing)
    assert refused.code == 2
    assert "the pipeline is not the one of this checkpoint: step 'small': condition" in refused.err
    assert "--accept-changes" in refused.err
    assert frontier() == 1
    assert command("run", failing, "--accept-changes").code == 0
    assert frontier() == 2


def test_the_command_line_can_replace_batch_size_folder_and_workers(command, tens):
    answer = command("run", tens, "--batch-size", "7", "--checkpoint-dir", "other", "--workers", "2", "--json")
    started = json.loads(answer.out.splitlines()[0])
    assert (started["batch_size"], started["checkpoint_dir"], started["workers"]) == (7, str(Path.cwd() / "other"), 2)
    assert Frontier.load("other/frontier.json").last_completed_batch_id == 4


# --- as JSON --------------------------------------------------------------------------------------------


def test_json_gives_one_event_a_line_from_the_start_to_the_end(command, tens):
    events = [json.loads(line) for line in command("run", tens, "--json").out.splitlines()]
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-1]) == ("RunStarted", "RunEnded")
    assert [event["batch_id"] for event in events if event["type"] == "BatchCommitted"] == [0, 1, 2]
    assert events[0]["at"].endswith("+00:00")
    assert events[-1]["state"] == "finished"


def test_json_tells_a_failure_with_its_rows(command, failing):
    answer = command("run", failing, "--json")
    (failed,) = [event for event in map(json.loads, answer.out.splitlines()) if event["type"] == "BatchFailed"]
    assert answer.code == 1
    assert failed["row_numbers"] == [25, 26, 27, 28, 29]
    assert failed["examples"][0] == ["id"]


def test_what_their_code_prints_is_talk(command, write, tens_text):
    write("tens.py", tens_text + "\nprint('hello')\npipeline.add_listener(lambda event: print('heard'))\n")
    answer = command("run", "tens.py", "--json")
    assert all(line.startswith("{") for line in answer.out.splitlines())
    assert "hello" in answer.err
    assert "heard" in answer.err
    assert command("results", "count", "tens.py").out == "30\n"


# --- afresh ---------------------------------------------------------------------------------------------


def test_a_fresh_run_over_results_needs_a_yes(command, tens):
    command("run", tens)
    refused = command("run", tens, "--fresh")
    assert refused.code == 2
    assert refused.err.startswith(f"starting over drops 3 batches, 30 source rows, 30 result rows in {Path.cwd()}/cp\n")
    assert "--yes" in refused.err
    assert frontier() == 2
    done = command("run", tens, "--fresh", "--yes")
    assert done.code == 0
    assert "finished: 30 rows in 3 batches" in done.err


def test_a_fresh_run_without_results_asks_nothing(command, tens):
    assert command("run", tens, "--fresh").code == 0


def test_a_fresh_run_over_a_missing_source_keeps_the_results(command, write):
    source = 'ParquetFetcher("numbers.parquet")'
    write(
        "numbers.py",
        f"""
        from engine import BatchPipeline, ParquetFetcher
        pipeline = BatchPipeline([], {source}, 10, "cp")
        """,
    )
    from engine.testing import numbers

    numbers(0, 30).write_parquet("numbers.parquet")
    command("run", "numbers.py")
    shutil.move("numbers.parquet", "gone.parquet")
    answer = command("run", "numbers.py", "--fresh", "--yes")
    assert answer.code == 2
    assert "numbers.parquet" in answer.err
    assert frontier() == 2


# --- wrong inputs ---------------------------------------------------------------------------------------

HEAD = """
import polars as pl
from engine import Batch, BatchPipeline, BatchStep, DropNullsBatchStep, FunctionBatchStep, FrameFetcher, ParquetFetcher
from engine.testing import NumberSource, numbers

"""
WRONG = {
    "a missing pipeline file": (None, 2, "the file wrong.py does not exist"),
    "a missing source file": (
        'pipeline = BatchPipeline([], ParquetFetcher("nowhere.parquet"), 10, "cp")',
        2,
        "nowhere.parquet",
    ),
    "a step that raises": (
        """
        def fail(frame):
            raise RuntimeError("out of paper")
        pipeline = BatchPipeline([FunctionBatchStep("print", fail)], NumberSource(30), 10, "cp")
        """,
        1,
        "step 'print' failed at batch 0 (rows 0 to 9): RuntimeError: out of paper",
    ),
    "a step that returns None": (
        """
        class Forgetful(BatchStep):
            def process(self, batch):
                return None
        pipeline = BatchPipeline([Forgetful("forgetful")], NumberSource(30), 10, "cp")
        """,
        1,
        "step 'forgetful' returned nothing (None) for batch 0",
    ),
    "a step that returns a bare frame": (
        """
        class Bare(BatchStep):
            def process(self, batch):
                return batch.data
        pipeline = BatchPipeline([Bare("bare")], NumberSource(30), 10, "cp")
        """,
        1,
        "step 'bare' returned a DataFrame instead of a Batch for batch 0",
    ),
    "results that change their columns": (
        """
        def rename(frame):
            return frame.rename({"id": "number"}) if frame["id"][0] else frame
        pipeline = BatchPipeline([FunctionBatchStep("rename", rename)], NumberSource(30), 10, "cp")
        """,
        1,
        "the results of batch 1 differ from the pinned schema",
    ),
    "a duplicate step name": (
        'pipeline = BatchPipeline([DropNullsBatchStep("a"), DropNullsBatchStep("a")], NumberSource(30), 10, "cp")',
        2,
        "two steps are called 'a'",
    ),
    "a batch size of 0": (
        'pipeline = BatchPipeline([], NumberSource(30), 0, "cp")',
        2,
        "batch_size must be a whole number of at least 1, not 0",
    ),
    "overlapping batches": (
        """
        def overlapping(batch_id, size):
            start = batch_id * 9
            return Batch(batch_id, start, start + 9, numbers(start, start + 10)) if batch_id < 3 else None
        pipeline = BatchPipeline([], overlapping, 10, "cp")
        """,
        1,
        "batch 1 has rows 9 to 18, but rows 9 to 9 were in the batch before it already",
    ),
    "gapped batches": (
        """
        def gapped(batch_id, size):
            start = batch_id * 11
            return Batch(batch_id, start, start + 9, numbers(start, start + 10)) if batch_id < 3 else None
        pipeline = BatchPipeline([], gapped, 10, "cp")
        """,
        1,
        "batch 1 has rows 11 to 20, but rows 10 to 10 are missing before it",
    ),
    "a fetcher that raises": (
        """
        def broken(batch_id, size):
            raise OSError("no route to host")
        pipeline = BatchPipeline([], broken, 10, "cp")
        """,
        1,
        "fetching batch 0 failed: OSError: no route to host",
    ),
    "a fetcher that returns something else": (
        'pipeline = BatchPipeline([], lambda batch_id, size: [1, 2], 10, "cp")',
        1,
        "it is a list, not a Batch",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_input_has_its_sentence_and_exit_code_and_no_traceback(case, command, write):
    text, code, sentence = WRONG[case]
    if text is not None:
        write("wrong.py", HEAD + textwrap.dedent(text))
    answer = command("run", "wrong.py")
    assert sentence in answer.err
    assert answer.code == code
    assert "Traceback" not in answer.err
    assert answer.out == ""


def test_an_empty_source_has_nothing_to_do(command, write):
    write("empty.py", HEAD + 'pipeline = BatchPipeline([], FrameFetcher(pl.DataFrame({"x": []})), 10, "cp")')
    answer = command("run", "empty.py")
    assert (answer.code, answer.err) == (0, "nothing to do: the source has no rows\n")


def test_a_batch_size_of_0_on_the_command_line_is_a_usage_error(command, tens):
    answer = command("run", tens, "--batch-size", "0")
    assert (answer.code, answer.err) == (2, "error: batch_size must be a whole number of at least 1, not 0\n")


def test_a_changed_batch_size_of_a_plain_callable_is_refused(command, write):
    write("plain.py", HEAD + 'pipeline = BatchPipeline([], NumberSource(30), 10, "cp")')
    command("run", "plain.py")
    answer = command("run", "plain.py", "--batch-size", "5")
    assert answer.code == 2
    assert "the batch size is 5, was 10" in answer.err
    assert frontier() == 2


def test_a_second_run_at_the_same_time_is_told_who_holds_the_checkpoint(command, tens, workplace):
    command("run", tens)
    with CheckpointStore(workplace / "cp"):
        answer = command("run", tens)
    assert answer.code == 3
    assert f"{Path.cwd()}/cp is in use by process" in answer.err
    assert "stop it; `batch-pipeline status` shows how far it is" in answer.err


def test_a_damaged_catalog_is_told_with_the_way_out(command, tens, workplace):
    command("run", tens)
    (workplace / "cp" / "checkpoint.duckdb").write_bytes(b"")
    answer = command("run", tens)
    assert answer.code == 3
    assert "verify --repair" in answer.err


def test_a_failing_set_up_is_told_as_a_failure_without_traceback(command, write):
    write(
        "wrong.py",
        HEAD
        + """
class Connecting(BatchStep):
    def setup(self):
        raise ConnectionError("postgresql://ann:hunter2@db/sales refuses")
    def process(self, batch):
        return batch
pipeline = BatchPipeline([Connecting("connect")], NumberSource(30), 10, "cp")
""",
    )
    answer = command("run", "wrong.py")
    assert answer.code == 1
    assert "step 'connect' could not be set up: ConnectionError" in answer.err
    assert "hunter2" not in answer.err
    assert "Traceback" not in answer.err


def test_hostile_text_in_an_error_does_not_reach_the_terminal(command, write):
    write(
        "wrong.py",
        HEAD
        + r"""
def fail(frame):
    raise RuntimeError("\x1b]52;c;aGk=\x07 \x9b31m \u202e [/bold]")
pipeline = BatchPipeline([FunctionBatchStep("print", fail)], NumberSource(30), 10, "cp")
""",
    )
    answer = command("run", "wrong.py")
    assert "␛]52;c;aGk=␇" in answer.err
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(answer.err)
    assert "\x1b" not in command("failures", "wrong.py", "--full").out


def test_a_listener_of_theirs_that_fails_is_one_line_and_changes_nothing(command, write, tens_text):
    write("tens.py", tens_text + "\ndef listen(event):\n    raise ValueError('deaf')\npipeline.add_listener(listen)\n")
    answer = command("run", "tens.py")
    assert answer.code == 0
    assert "a listener failed on RunStarted and was ignored: ValueError: deaf" in answer.err
    assert "Traceback" not in answer.err
