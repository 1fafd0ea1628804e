import functools
import subprocess
import sys

import polars as pl
import pytest

from engine import FunctionBatchStep
from engine.batch import Batch
from engine.errors import StepResultInvalid, UsageError

FRAME = pl.DataFrame({"a": [1, 2]})


def double(frame):
    return frame.with_columns(pl.col("a") * 2)


def scale(frame, factor):
    return frame.with_columns(pl.col("a") * factor)


class Doubler:
    def __call__(self, frame):
        return double(frame)

    def method(self, frame):
        return double(frame)


@pytest.mark.parametrize(
    "function", [double, functools.partial(scale, factor=2), Doubler(), Doubler().method, lambda frame: frame * 2]
)
def test_the_function_gets_the_frame_and_its_result_goes_on(function):
    batch = FunctionBatchStep("double", function).process(Batch(3, 6, 7, FRAME, key="run:3"))
    assert batch.data["a"].to_list() == [2, 4]
    assert (batch.batch_id, batch.start_row, batch.end_row, batch.key) == (3, 6, 7, "run:3")


@pytest.mark.parametrize(
    ("result", "what"), [(None, r"nothing \(None\)"), (FRAME.lazy(), "a LazyFrame instead of a DataFrame")]
)
def test_something_else_than_a_frame_is_refused(result, what):
    with pytest.raises(StepResultInvalid, match=f"step 'f' returned {what} for batch 3"):
        FunctionBatchStep("f", lambda frame: result).process(Batch(3, 0, 1, FRAME))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (double, "double"),
        (Doubler(), "Doubler"),
        (Doubler().method, "Doubler.method"),
        (len, "len"),
    ],
)
def test_settings_name_the_function(function, name):
    module, _, qualified = FunctionBatchStep("f", function).settings()["function"].partition(":")
    assert module in {__name__, "builtins"}
    assert qualified == name


def test_settings_hold_what_a_partial_gives():
    step = FunctionBatchStep("f", functools.partial(functools.partial(scale, FRAME), factor=3))
    assert step.settings() == {
        "function": f"{__name__}:scale",
        "args": ["polars.dataframe.frame:DataFrame"],
        "keywords": {"factor": 3},
    }


@pytest.mark.integration
def test_a_function_of_a_script_is_named_as_others_import_it(tmp_path):
    script = tmp_path / "pipeline.py"
    script.write_text(
        "from engine import FunctionBatchStep\n"
        "def clean(frame): return frame\n"
        "print(FunctionBatchStep('f', clean).settings()['function'])\n"
    )
    shown = [
        subprocess.run([sys.executable, *command], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        for command in (["pipeline.py"], ["-m", "pipeline"], ["-c", "import pipeline"])
    ]
    assert shown == ["pipeline:clean\n"] * 3


def test_defaults_are_careful_about_threads():
    step = FunctionBatchStep("f", double)
    assert (step.version, step.row_wise, step.concurrent) == ("1", True, False)
    step = FunctionBatchStep("f", double, version="2", row_wise=False, concurrent=True)
    assert (step.version, step.row_wise, step.concurrent) == ("2", False, True)


async def asynchronous(frame):
    return frame


@pytest.mark.parametrize("wrong", [None, FRAME, "double", asynchronous, Doubler])
def test_something_else_than_a_plain_function_is_refused(wrong):
    with pytest.raises(UsageError, match="step 'f' needs a plain function that takes and returns a frame"):
        FunctionBatchStep("f", wrong)


def test_a_version_must_be_a_text():
    with pytest.raises(UsageError, match="the version must be a non-empty text, not 2"):
        FunctionBatchStep("f", double, version=2)
