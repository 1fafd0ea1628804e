"""`batch-pipeline quarantine`, and what the other commands tell of rows in quarantine."""

import json
import threading
from pathlib import Path

import polars as pl
import pytest

from engine import BatchPipeline

pytestmark = pytest.mark.integration

PICKY = """
from engine import BatchPipeline, Quarantine
from engine.testing import NumberSource, PickyStep

BAD = {3, 15, 16}

pipeline = BatchPipeline(
    [PickyStep("picky", BAD)],
    NumberSource(30),
    10,
    "cp",
    on_error=Quarantine(max_rows=None, max_fraction=None),
)
"""


VERSIONED = """import NumberSource
from engine.testing import PickyStep as Picky

class PickyStep(Picky):
    def __init__(self, name, bad, version):
        super().__init__(name, bad)
        self.version = version
"""


@pytest.fixture
def bad(write):
    """A function that writes the pipeline with other bad rows."""

    def rewrite(rows="{3, 15, 16}", **changes):
        text = PICKY.replace("{3, 15, 16}", rows)
        for old, new in changes.items():
            text = text.replace(old, new)
        write("picky.py", text)

    rewrite()
    return rewrite


@pytest.fixture
def ran(command, bad):
    command("run", "picky.py")
    return bad


def test_a_run_says_loudly_that_rows_are_missing(command, bad):
    answer = command("run", "picky.py")
    assert answer.code == 0
    assert answer.err.splitlines()[-1] == (
        f"finished, but 3 rows are in quarantine: batch-pipeline quarantine list --checkpoint-dir {Path.cwd()}/cp"
    )
    again = command("run", "picky.py")
    assert again.err.splitlines()[-2:] == [
        "nothing to do: finished, 30 rows",
        f"finished, but 3 rows are in quarantine: batch-pipeline quarantine list --checkpoint-dir {Path.cwd()}/cp",
    ]


def test_a_run_can_be_told_to_fail_when_rows_are_in_quarantine(command, bad):
    assert command("run", "picky.py", "--fail-on-quarantine").code == 5
    assert command("run", "picky.py", "--fail-on-quarantine").code == 5
    bad("set()")
    assert command("run", "picky.py", "--fail-on-quarantine", "--fresh", "--yes").code == 0


def test_the_command_line_decides_what_happens_to_bad_rows(command, bad):
    stopped = command("run", "picky.py", "--on-error", "stop")
    assert stopped.code == 1
    assert "failed: step 'picky' failed at batch 0" in stopped.err
    full = command("run", "picky.py", "--on-error", "quarantine", "--max-quarantined", "2")
    assert full.code == 1
    assert "with batch 1 it would be 3 rows, where 2 may be in quarantine" in full.err
    assert f"\n1 row is in quarantine: batch-pipeline quarantine list --checkpoint-dir {Path.cwd()}/cp\n" in full.err
    assert command("run", "picky.py", "--max-quarantined", "3").code == 0


@pytest.mark.parametrize(
    "options", [["--on-error", "stop", "--max-quarantined", "3"], ["--max-quarantined", "3"], ["--on-error", "skip"]]
)
def test_options_that_contradict_are_a_usage_error(command, bad, workplace, options):
    bad(**{"Quarantine(max_rows=None, max_fraction=None)": '"stop"'})
    assert command("run", "picky.py", *options).code == 2
    assert not (workplace / "cp").exists()


def test_a_run_with_quarantine_by_the_command_line_alone_has_the_usual_limits(command, bad):
    bad(**{"Quarantine(max_rows=None, max_fraction=None)": '"stop"'})
    assert "where 5.00 % may be in quarantine" in command("run", "picky.py", "--on-error", "quarantine").err


def test_status_and_history_tell_of_it(command, ran):
    shown = command("status", "picky.py").out.splitlines()
    assert shown[0] == "state         incomplete"
    assert f"quarantine    3 rows; see batch-pipeline quarantine list --checkpoint-dir {Path.cwd()}/cp" in shown
    bad = ran
    bad("set()")
    command("quarantine", "replay", "picky.py")
    shown = command("status", "picky.py").out
    assert shown.startswith("state         finished\n")
    assert "quarantine" not in shown
    assert "replayed 3 rows, 0 still in quarantine" in command("history", "picky.py").out


def test_list_shows_the_rows_their_step_and_their_error(command, ran):
    answer = command("quarantine", "list", "picky.py")
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "batch  row  step   error                  input",
        '0      3    picky  ValueError: 3 is bad   {"id": 3}',
        '1      15   picky  ValueError: 15 is bad  {"id": 15}',
        '1      16   picky  ValueError: 16 is bad  {"id": 16}',
    ]
    assert answer.err == ""
    assert command("quarantine", "list", "--checkpoint-dir", "cp").out == answer.out


def test_list_says_when_it_does_not_show_all(command, ran):
    answer = command("quarantine", "list", "picky.py", "--limit", "2")
    assert len(answer.out.splitlines()) == 3
    assert answer.err == "2 of 3 rows; --limit shows more, quarantine export writes all of them\n"


def test_list_says_what_cannot_be_replayed(command, bad):
    bad(
        **{
            "[PickyStep": "[PickyStep",
            '("picky", BAD)]': '("picky", BAD), RunningTotal("sum")]',
            "NumberSource, PickyStep": "NumberSource, PickyStep, RunningTotal",
        }
    )
    command("run", "picky.py")
    answer = command("quarantine", "list", "picky.py")
    assert answer.err == "3 rows can't be replayed: step 'sum' after it works on whole batches\n"
    replayed = command("quarantine", "replay", "picky.py")
    assert replayed.code == 5
    assert "  not tried: step 'sum' after it works on whole batches\n" in replayed.err


def test_nothing_in_quarantine_is_said(command, tens):
    for name in ("list", "replay"):
        command("run", tens)
        answer = command("quarantine", name, tens)
        assert (answer.code, answer.out, answer.err) == (0, "", "nothing in quarantine\n")
    assert command("quarantine", "export", "bad.csv", tens).code == 0


def test_hostile_texts_are_made_safe(command, bad):
    bad(
        **{
            "BAD = ": "class Evil(PickyStep):\n    def process(self, batch):\n        try:\n"
            "            return super().process(batch)\n        except ValueError:\n"
            "            raise ValueError('\\x1b[31m red') from None\n\nPickyStep = Evil\nBAD = "
        }
    )
    command("run", "picky.py")
    assert "\x1b" not in command("quarantine", "list", "picky.py").out
    assert "\x1b" not in command("quarantine", "replay", "picky.py").err


@pytest.mark.parametrize("name", ["bad.csv", "bad.parquet"])
def test_export_writes_a_file_once(command, ran, name, workplace):
    answer = command("quarantine", "export", name, "picky.py")
    assert (answer.code, answer.out, answer.err) == (0, "", f"3 rows from quarantine are in {name}\n")
    frame = pl.read_csv(name) if name.endswith("csv") else pl.read_parquet(name)
    assert frame["source_row"].to_list() == [3, 15, 16]
    refused = command("quarantine", "export", name, "--checkpoint-dir", "cp")
    assert refused.code == 2
    assert "exists already" in refused.err
    assert command("quarantine", "export", name, "picky.py", "--overwrite").code == 0


def test_replay_says_what_got_through_and_what_did_not(command, ran):
    ran("{16}")
    answer = command("quarantine", "replay", "picky.py")
    assert answer.code == 5
    assert answer.err.splitlines() == [
        "batch 0: 1 row replayed",
        "batch 1: 1 row replayed, 1 still in quarantine",
        "2 rows replayed into the results, 1 still in quarantine",
        "  1 row: step 'picky': ValueError: 16 is bad",
        f"see batch-pipeline quarantine list --checkpoint-dir {Path.cwd()}/cp",
    ]
    ran("set()")
    done = command("quarantine", "replay", "picky.py")
    assert (done.code, done.err.splitlines()[-1]) == (0, "1 row replayed into the results, 0 still in quarantine")
    assert command("results", "count", "picky.py").out == "30\n"


def test_replay_of_a_changed_pipeline_needs_a_word(command, ran):
    ran("set()", **{"BAD)]": "BAD, version='2')]", "import NumberSource, PickyStep": VERSIONED})
    refused = command("quarantine", "replay", "picky.py")
    assert refused.code == 2
    assert "--accept-changes" in refused.err
    assert command("quarantine", "replay", "picky.py", "--accept-changes").code == 0


def test_replay_without_a_checkpoint_is_a_usage_error(command, bad, workplace):
    assert command("quarantine", "replay", "picky.py").code == 2
    assert not (workplace / "cp").exists()


def test_events_of_rows_taken_out_and_replayed_are_lines_of_json(command, bad):
    events = [json.loads(line) for line in command("run", "picky.py", "--json").out.splitlines()]
    assert [event["rows"] for event in events if event["type"] == "RowsQuarantined"] in ([1, 2], [2, 1])
    assert events[-1]["state"] == "incomplete"
    bad("{16}")
    events = [json.loads(line) for line in command("quarantine", "replay", "picky.py", "--json").out.splitlines()]
    assert [event for event in events if event["type"] == "RowsReplayed"] == [
        {"type": "RowsReplayed", "batch_id": 0, "rows": 1, "still": 0},
        {"type": "RowsReplayed", "batch_id": 1, "rows": 1, "still": 1},
    ]


def test_verify_looks_at_the_quarantine(command, ran, workplace):
    answer = command("verify", "picky.py")
    assert "ok    quarantine: 3 rows in 2 files of 2 batches" in answer.out
    max((workplace / "cp" / "quarantine").iterdir()).unlink()
    damaged = command("verify", "picky.py")
    assert damaged.code == 3
    assert "wrong quarantine: " in damaged.out
    assert "      batch 1: " in damaged.out
    assert command("verify", "picky.py", "--repair", "--yes").code == 0
    assert command("run", "picky.py").code == 0
    assert command("results", "count", "picky.py").out == "27\n"


def test_history_counts_retries(command, write):
    write(
        "flaky.py",
        """
        from engine import BatchPipeline, RetryPolicy
        from engine.testing import FailingStep, NumberSource, TransientError

        step = FailingStep("flaky", {1: [TransientError("x"), TransientError("x")]})
        retry = RetryPolicy(transient=(TransientError,), base_seconds=0)
        pipeline = BatchPipeline([step], NumberSource(30), 10, "cp", retry=retry)
        """,
    )
    command("run", "flaky.py")
    head, run = command("history", "flaky.py").out.splitlines()
    assert run[head.index("retries") :].split()[0] == "2"


def test_going_back_says_that_rows_in_quarantine_go_too(command, ran):
    refused = command("rewind", "0", "picky.py")
    assert "going back to batch 0 drops 2 batches, 20 source rows, 18 result rows, 2 rows in quarantine" in refused.err
    assert command("reset", "picky.py", "--yes").code == 0
    assert command("quarantine", "list", "picky.py").err == "nothing in quarantine\n"


STOPPING = """
import os, signal
from engine.events import RowsReplayed

def stop(event):
    if isinstance(event, RowsReplayed):
        os.kill(os.getpid(), signal.SIGTERM)
        assert BatchPipeline.heard.wait(60)

pipeline.add_listener(stop)
"""


def test_a_replay_that_is_stopped_says_so_by_its_exit_code(command, ran, write, workplace, monkeypatch):
    heard = threading.Event()
    request_stop = BatchPipeline.request_stop

    def heard_request(self, **how):
        request_stop(self, **how)
        heard.set()

    monkeypatch.setattr(BatchPipeline, "request_stop", heard_request)
    monkeypatch.setattr(BatchPipeline, "heard", heard, raising=False)
    ran("set()")
    text = (workplace / "picky.py").read_text(encoding="utf-8")
    write("stopping.py", text + STOPPING)
    answer = command("quarantine", "replay", "stopping.py")
    assert "1 row replayed into the results, 2 still in quarantine" in answer.err
    assert answer.code == 4
    assert command("quarantine", "replay", "picky.py").code == 0
