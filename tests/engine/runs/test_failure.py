from __future__ import annotations

import polars as pl
import pytest

from engine import CheckBatchStep, DropNullsBatchStep, FilterBatchStep, FunctionBatchStep, WithColumnsBatchStep
from engine.batch import Batch
from engine.errors import CheckFailed, FetchFailed, StepFailed
from engine.runs.failure import named_rows, source_row

NOTHING = ((), ((), ()))

SOURCE = pl.DataFrame({"x": [None, 1, 900, None, 2, 901, 3, 902]})
"""Source rows 100 to 107. Without nulls, rows 102, 105 and 107 are rows 1, 3 and 5."""

CHECK = CheckBatchStep("check", pl.col("x") < 900)
DROP = DropNullsBatchStep("drop")


def failure(steps, *, step="check", source=SOURCE):
    """What the engine raises when `steps` are run over the source and `step` is where it fails."""
    batch = Batch(5, 100, 99 + source.height, source)
    data = batch
    try:
        for one in steps:
            data = one.process(data)
    except CheckFailed as error:
        failed = StepFailed(step, 5, 100, 107, error)
        failed.__cause__ = error
        failed.source = batch
        return failed
    raise AssertionError


def test_rows_are_traced_back_through_steps_that_drop_some():
    steps = [DROP, CHECK]
    numbers, (columns, rows) = named_rows(failure(steps), steps)
    assert numbers == (102, 105, 107)
    assert columns == ("x",)
    assert rows == (("900",), ("901",), ("902",))


def test_rows_are_traced_back_through_several_steps():
    steps = [DROP, FilterBatchStep("odd", pl.col("x") % 2 == 1), WithColumnsBatchStep("y", y=pl.col("x") * 2), CHECK]
    assert named_rows(failure(steps), steps)[0] == (105,)


def test_without_steps_before_it_a_row_is_itself():
    assert named_rows(failure([CHECK]), [CHECK])[0] == (102, 105, 107)


def test_behind_a_step_that_is_no_expression_the_rows_are_shown_and_not_numbered():
    steps = [DROP, FunctionBatchStep("f", lambda frame: frame.reverse()), CHECK]
    numbers, (_, rows) = named_rows(failure(steps), steps)
    assert numbers == ()
    assert rows == (("902",), ("901",), ("900",))


def test_behind_a_step_that_is_not_row_wise_the_rows_are_not_numbered():
    steps = [WithColumnsBatchStep("mean", m=pl.col("x").mean()), CHECK]
    assert not steps[0].row_wise
    assert named_rows(failure(steps), steps)[0] == ()


def test_at_most_twenty_rows_are_named():
    steps = [CHECK]
    numbers, (_, rows) = named_rows(failure(steps, source=pl.DataFrame({"x": [950] * 50})), steps)
    assert numbers == tuple(range(100, 120))
    assert len(rows) == 20


def test_without_the_source_the_rows_are_shown_and_not_numbered():
    error = failure([CHECK])
    error.source = None
    numbers, (_, rows) = named_rows(error, [CHECK])
    assert (numbers, len(rows)) == ((), 3)


@pytest.mark.parametrize(
    "error", [ValueError("x"), FetchFailed(3, OSError()), StepFailed("check", 5, 100, 107, ValueError("x"))]
)
def test_other_errors_name_no_rows(error):
    assert named_rows(error, [CHECK]) == NOTHING


def test_long_cells_are_cut_and_secrets_masked():
    steps = [CheckBatchStep("check", pl.col("url") == "")]
    source = pl.DataFrame({"url": ["pg://ann:hunter2@db/" + "x" * 500]})
    ((_,), ((cell,),)) = named_rows(failure(steps, source=source), steps)[1]
    assert "hunter2" not in cell
    assert len(cell) <= 200
    assert cell.endswith("…")


def test_a_null_is_shown_as_such():
    steps = [CheckBatchStep("check", pl.col("x").is_not_null())]
    assert named_rows(failure(steps), steps)[1][1] == (("null",), ("null",))


def test_an_error_that_cannot_be_traced_names_no_rows():
    error = StepFailed("check", 5, 100, 107, ValueError())
    error.__cause__ = CheckFailed("x", [10**9], SOURCE[:1], 1)  # a row that isn't there
    error.source = Batch(5, 100, 107, SOURCE)
    numbers, (columns, _) = named_rows(error, [DROP, CHECK])
    assert numbers == ()
    assert columns == ("x",)


@pytest.mark.parametrize("row", range(8))
def test_each_row_behind_steps_that_drop_none_is_itself(row):
    assert source_row([WithColumnsBatchStep("y", y=pl.col("x") * 2)], SOURCE, row) == row
