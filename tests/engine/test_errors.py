from __future__ import annotations

import inspect
import pickle
import re
from pathlib import Path

import polars as pl
import pytest

from engine import errors
from engine.batch import Batch
from engine.errors import (
    CheckFailed,
    CheckpointCorrupt,
    CheckpointForeign,
    CheckpointLocked,
    CheckpointNewer,
    CheckpointNotWritable,
    DiskFull,
    FetchFailed,
    FrontierUnreadable,
    PipelineChanged,
    PipelineError,
    QuarantineFull,
    ResultsTaken,
    RowsNotContiguous,
    RowsUnaccounted,
    SchemaDrift,
    SinkFailed,
    SourceChanged,
    SourceContractBroken,
    StepFailed,
    StepResultInvalid,
    StepSetupFailed,
    StorageUnavailable,
    UsageError,
    WorkerFailed,
    describe,
)
from engine.storage.objects import ObjectPath

PATH = Path("/data/checkpoints/checkpoint.duckdb")

EACH = [
    FetchFailed(3, OSError("gone"), attempts=2),
    SourceContractBroken(3, "it is a dict, not a Batch"),
    RowsNotContiguous(3, 35, 39, expected_batch_id=3, expected_row=30),
    SourceChanged("the source now has 20 rows"),
    PipelineChanged(["step 'a' is new"], hint="Reset."),
    StepFailed("speed", 3, 30, 39, ValueError("703 mph")),
    StepSetupFailed("speed", 3, OSError("no model")),
    StepResultInvalid("speed", 3, "nothing (None)"),
    SchemaDrift("speed", 3, ["column 'mph' (Float64) is missing"]),
    CheckpointLocked(PATH.parent, "process 7 on host"),
    CheckpointForeign(PATH, "an SQLite database"),
    CheckpointNewer(PATH, 2, 1),
    CheckpointCorrupt(PATH, "the catalog is cut short", hint="Repair it."),
    CheckpointNotWritable(PATH, PermissionError(13, "Permission denied")),
    ResultsTaken(ObjectPath("s3://bucket/flights")),
    StorageUnavailable(ObjectPath("s3://bucket/flights/results/a"), "there is no such bucket"),
    DiskFull(PATH, OSError(28, "No space left on device")),
    FrontierUnreadable(PATH, ValueError("no JSON")),
    QuarantineFull("speed", 3, "11 rows, where 10 may be in quarantine", "ValueError: 703 mph"),
    SinkFailed("target in sqlite:x", 3, OSError("gone"), attempts=2),
    WorkerFailed(3, ImportError("no module named x")),
    RowsUnaccounted(3, 10, 8, 1, 0),
]


@pytest.mark.parametrize("error", EACH, ids=lambda error: type(error).__name__)
def test_each_error_says_what_happened_and_what_to_do(error):
    assert isinstance(error, PipelineError)
    assert len(str(error)) > 10
    assert len(error.hint) > 5
    assert error.hint.endswith(".")


@pytest.mark.parametrize("error", EACH, ids=lambda error: type(error).__name__)
def test_each_error_can_be_sent_to_another_process(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.hint, copy.exit_code) == (str(error), error.hint, error.exit_code)
    assert vars(copy).keys() == vars(error).keys()


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    drawn: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        if match := re.match(r"^    ([│├└─ ]*)([A-Z]\w+)", line):
            depth, name = len(match[1]), match[2]
            above = [entry for entry in above if entry[0] < depth]
            drawn[name] = above[-1][1] if above else "Exception"
            above.append((depth, name))
    defined = {
        name: value.__bases__[0].__name__
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, PipelineError)
    }
    assert drawn == defined


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StepFailed("s", 0, 0, 9, ValueError()), 1),
        (FetchFailed(0, OSError()), 1),
        (UsageError("no"), 2),
        (PipelineChanged([], hint=""), 2),
        (CheckpointLocked(PATH, "x"), 3),
        (DiskFull(PATH, OSError()), 3),
    ],
)
def test_exit_codes_tell_failures_usage_and_checkpoint_apart(error, code):
    assert error.exit_code == code


def test_a_step_failure_names_step_batch_rows_and_cause():
    error = StepFailed("speed", 21, 210_000, 219_999, ValueError("703 mph"))
    assert str(error) == "step 'speed' failed at batch 21 (rows 210,000 to 219,999): ValueError: 703 mph"
    assert (error.step, error.batch_id, error.start_row, error.end_row, error.attempts) == (
        "speed",
        21,
        210_000,
        219_999,
        1,
    )
    assert error.hint.endswith("it continues at batch 21.")


def test_a_failure_of_the_first_batch_does_not_speak_of_batches_before_it():
    assert "-1" not in StepFailed("speed", 0, 0, 9, ValueError()).hint


def test_attempts_are_told_when_there_were_several():
    assert "after 3 attempts" in str(StepFailed("speed", 1, 10, 19, ValueError("x"), attempts=3))
    assert "after 3 attempts" in str(FetchFailed(1, ValueError("x"), attempts=3))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ((4, 30, 39), "batch 3 was expected"),
        ((3, 35, 39), "rows 30 to 34 are missing before it"),
        ((3, 25, 39), "rows 25 to 29 were in the batch before it already"),
        ((3, 30, 20), "it ends before it starts"),
    ],
)
def test_rows_that_do_not_follow_are_told_apart(given, problem):
    assert problem in str(RowsNotContiguous(*given, expected_batch_id=3, expected_row=30))


def test_a_failed_check_counts_its_rows():
    rows = pl.DataFrame({"mph": [703.0]})
    assert str(CheckFailed("mph <= 700", [7], rows, 1)) == "1 row breaks the check mph <= 700"
    assert str(CheckFailed("mph <= 700", [7], rows, 1200)) == "1,200 rows break the check mph <= 700"


def test_secrets_are_masked_in_message_and_hint():
    error = PipelineError("can't reach pg://ann:hunter2@db", hint="Try password=hunter2 again.")
    assert "hunter2" not in str(error) + error.hint + repr(error)


def test_secrets_are_masked_in_what_other_errors_say():
    error = StepFailed("load", 0, 0, 9, ConnectionError("postgresql://ann:hunter2@db:5432 refused"))
    assert "hunter2" not in str(error)


def test_describe_puts_type_and_message_on_one_line():
    assert describe(ValueError("a\n  b\tc")) == "ValueError: a b c"
    assert describe(KeyError("x")) == "KeyError: 'x'"
    assert describe(ValueError()) == "ValueError: no message"


def test_describe_leaves_out_the_type_of_our_own_errors():
    assert describe(UsageError("batch_size must be at least 1")) == "batch_size must be at least 1"


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("can't even say what is wrong")


def test_describe_survives_an_error_that_cannot_be_shown():
    assert describe(Mute()) == "Mute: no message"


def test_a_step_failure_can_hold_its_source():
    error = StepFailed("s", 0, 0, 1, ValueError())
    error.source = Batch(0, 0, 1, pl.DataFrame({"x": [1, 2]}))
    assert error.source.size == 2
