from __future__ import annotations

import json
import os

import pytest

from engine.checkpoint.store import CheckpointStore
from engine.events import FailureRecord
from engine.runs.failure import now


def failure(**changes):
    fields = {
        "run_id": 1,
        "at": now(),
        "batch_id": 3,
        "start_row": 30,
        "end_row": 39,
        "step": "speed",
        "attempts": 2,
        "error_type": "ValueError",
        "message": "703 mph",
        "hint": "Mend it.",
        "traceback": "Traceback …",
        "row_numbers": (31, 35),
        "examples": (("mph", "dest"), (("703", "ATL"), ("null", "é"))),
    }
    return FailureRecord(**(fields | changes))


def test_a_failure_comes_back_as_it_was(folder):
    recorded = failure()
    with CheckpointStore(folder) as store:
        store.history.add_failure(recorded)
    with CheckpointStore(folder) as store:
        assert store.history.failures() == [recorded]


def test_a_failure_of_the_source_has_no_step_and_no_rows(store):
    recorded = failure(step=None, start_row=None, end_row=None, row_numbers=(), examples=((), ()))
    store.history.add_failure(recorded)
    assert store.history.failures() == [recorded]


@pytest.mark.parametrize("text", ["caf\udce9.csv", "a\x00b", "\x1b[31mred", "\u202e", "x" * 100_000, "é\n速"])
def test_any_text_can_be_recorded(store, text):
    store.history.add_failure(
        failure(message=text, traceback=text, hint=text, step=text, examples=((text,), ((text,),)))
    )
    store.history.begin_run(batch_size=1, pipeline=json.dumps({"steps": []}), changed=True)
    store.history.end_run(1, "failed", text)
    assert store.history.failures()[0].message == text.replace("\udce9", "\\udce9")
    assert store.history.failures()[0].examples == ((text,), ((text,),))
    assert store.history.runs()[0].message == text.replace("\udce9", "\\udce9")


def test_the_newest_failures_come_first_and_no_more_than_asked_for(store):
    for batch_id in range(5):
        store.history.add_failure(failure(batch_id=batch_id, at=now()))
    assert [record.batch_id for record in store.history.failures(3)] == [4, 3, 2]


def test_a_run_is_recorded_from_its_start_to_its_end(store, written):
    run_id = store.history.begin_run(batch_size=10, pipeline='{"steps": []}', changed=True)
    (run,) = store.history.runs()
    assert (run.run_id, run.state, run.ended_at, run.first_batch_id) == (1, "running", None, 0)
    assert (run.pid, run.batch_size) == (os.getpid(), 10)
    assert run.started_at.tzinfo is not None
    store.commit([written(store, 0), written(store, 1)])
    store.history.end_run(run_id, "resumable")
    (run,) = store.history.runs()
    assert (run.state, run.next_batch_id, run.rows_done, run.message) == ("resumable", 2, 20, "")
    assert run.ended_at >= run.started_at


def test_runs_are_numbered_for_good(committed):
    with CheckpointStore(committed) as store:
        store.rewind(-1)
        assert store.history.begin_run(batch_size=10, pipeline='{"steps": []}', changed=True) == 2
    with CheckpointStore(committed) as store:
        assert [run.run_id for run in store.history.runs()] == [2, 1]


def test_a_run_that_ended_without_a_word_is_marked_as_crashed(folder):
    with CheckpointStore(folder) as store:
        store.history.begin_run(batch_size=10, pipeline='{"steps": []}', changed=True)
    with CheckpointStore(folder) as store:
        assert store.history.runs()[0].state == "crashed"
        assert store.history.runs()[0].ended_at is None
        assert store.notices == ["run 1 ended without recording how (crash or kill); the next batch is batch 0"]
    with CheckpointStore(folder) as store:
        assert store.notices == []


def test_the_pipeline_is_recorded_when_it_changes(store):
    store.history.begin_run(batch_size=1, pipeline='{"steps": [{"name": "a"}]}', changed=True)
    store.history.begin_run(batch_size=1, pipeline='{"steps": [{"name": "b"}]}', changed=False)
    assert store.history.steps() == ("a",)
    store.history.begin_run(batch_size=1, pipeline='{"steps": [{"name": "b"}]}', changed=True)
    assert store.history.steps() == ("b",)
    assert store.history.pipeline() == '{"steps": [{"name": "b"}]}'
